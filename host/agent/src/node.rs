//! The node's own objects: Node and Lease.

mod resources;
mod system;

pub use resources::Resources;
