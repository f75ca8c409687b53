//! The node's own objects: Node and Lease.

mod lease;
mod remember;
mod resources;
mod status;
mod system;
mod task;

pub use resources::Resources;

pub(crate) use remember::Remembered;
pub(crate) use task::NodeTask;
