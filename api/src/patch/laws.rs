//! What must hold of patches whatever the objects: checked by property tests and by fuzz targets, which both bring bytes.

mod apply;
mod diff;
mod strategic;
mod text;

pub use apply::server_side_apply;
pub use strategic::strategic_merge;
pub use text::{json_patch, patch_documents};
