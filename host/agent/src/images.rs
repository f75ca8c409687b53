//! What the agent asks of the node's image store; the host implements it.

use std::path::PathBuf;

use async_trait::async_trait;

#[async_trait]
pub trait Images: Send + Sync + 'static {
    /// The image as it lies on this node, without asking any registry; `None` when it is not here.
    async fn find(&self, reference: &str) -> Result<Option<Image>, ImageError>;

    /// Brings the newest image of that name to this node. What is here already is not transferred again.
    async fn pull(&self, reference: &str, credentials: &[Credential]) -> Result<Image, ImageError>;

    /// Everything on this node, for `Node.status.images`.
    async fn list(&self) -> Vec<ImageSummary>;
}

/// An image on this node, unpacked as far as running it needs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Image {
    /// `sha256:…` of its manifest.
    pub digest: String,
    pub wasm: PathBuf,
    /// `sha256:…` of that file: images that differ in other things share its native code.
    pub wasm_digest: String,
    /// Files that come with it, mounted read-only at `/`.
    pub rootfs: Option<PathBuf>,
    /// Its own argv; empty leaves `argv[0]` to the file's name, or the image's.
    pub entrypoint: Vec<String>,
    /// Arguments after the entrypoint that a pod's `args` replace.
    pub cmd: Vec<String>,
    pub env: Vec<(String, String)>,
    pub working_dir: Option<String>,
    pub size_bytes: u64,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ImageSummary {
    /// Tags and digests it goes by.
    pub names: Vec<String>,
    pub size_bytes: u64,
}

/// A login at a registry, from a pod's `imagePullSecrets`.
#[derive(Clone, PartialEq, Eq)]
pub struct Credential {
    /// The registry's host, as in an image's name.
    pub registry: String,
    pub username: String,
    pub password: String,
}

/// Why an image is not here. The text is what a user reads in the pod's status.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ImageError {
    #[error("{0}")]
    NotFound(String),
    /// Trying again cannot help.
    #[error("{0}")]
    InvalidName(String),
    #[error("{0}")]
    Unauthorized(String),
    #[error("{0}")]
    Unreachable(String),
    /// It was fetched, and is not an image that can run.
    #[error("{0}")]
    Broken(String),
}

/// A password is not for logs.
impl std::fmt::Debug for Credential {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credential")
            .field("registry", &self.registry)
            .field("username", &self.username)
            .finish_non_exhaustive()
    }
}
