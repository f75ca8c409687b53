//! Images in a file: an OCI layout in a tar, as Docker reads and writes too.

mod load;
mod save;

pub use load::{LoadError, Loaded, load};
pub use save::{SaveError, save};

/// The full name; Docker and containerd write it.
const NAME: &str = "io.containerd.image.name";
/// The tag, or the full name with some tools.
const REF_NAME: &str = "org.opencontainers.image.ref.name";
const INDEX: &str = "index.json";
/// Docker's own list, which older archives have alone.
const DOCKER_LIST: &str = "manifest.json";
const BLOBS: &str = "blobs/sha256/";

#[cfg(test)]
mod tests;
