//! Images of wasm guests: names, a content-addressed store, the cluster's registry, and transfer.
//!
//! [`ImageStore`] is a directory of blobs by digest, with names that point at manifests; several processes may use one at
//! once. [`registry`] serves it by the OCI distribution protocol, [`pull`] and [`push`] transfer images between a
//! store and a registry, [`ImageStore::unpack`] makes one ready to run.
//!
//! What is outside of the cluster is reached as [`Registries`] says; [`save`] and [`load`] write and read archives.
//!
//! Two formats are read: the wasm OCI artifact of the CNCF (one layer `application/wasm`), and the Docker-style image
//! whose layers hold a file system with a wasm file as its entrypoint. [`store_module`] writes the first, [`store_file_system`]
//! the second.
//!
//! Names that nobody needs any longer go by [`ImageStore::remove`], what they led to by [`ImageStore::collect_garbage`].
//!
//! Invariants: a blob is only ever seen whole and with the digest that names it; a name points at a manifest whose
//! blobs are there; what comes from outside is bounded in size and cannot leave its directory.
//!
//! Deliberately absent: who may use the registry (whoever mounts it decides), and making what is stored (`wasmk-build`).

mod archive;
mod blocking;
mod config;
mod digest;
mod file_system;
mod listing;
mod manifest;
mod reference;
mod registry;
mod settings;
mod store;
mod transfer;
mod unpack;

pub use archive::{LoadError, Loaded, SaveError, load, save};
pub use config::{Empty, HistoryEntry, ImageConfig, RootFs, RunConfig};
pub use digest::{Digest, InvalidDigest};
pub use file_system::{FileSystemImage, ImageLayer, LayerSource, store_file_system};
pub use listing::{ImageDetails, LayerDetails, StoredImage};
pub use manifest::{InvalidManifest, Manifest, store_module};
pub use reference::{InvalidReference, Reference};
pub use registry::registry;
pub use settings::{Login, Registries, SettingsError, registry_key};
pub use store::{Collected, ImageStore, ImageSummary, OpenStoreError, Removed, StoreError};
pub use transfer::{
    Blobs, CHUNK_BYTES_MAX, LoginError, PullError, PushError, Registry, Step, Transport, TransportError, check_login,
    pull, pull_from, push, push_to,
};
pub use unpack::{LayerError, UnpackError, UnpackedImage};

/// The one HTTP body type of this crate.
pub type Body = axum::body::Body;
