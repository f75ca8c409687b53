use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use wasmk_api::Status;
use wasmk_apiserver::pki::PkiError;
use wasmk_store::{CommitError, OpenError};

/// The control plane cannot start.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The configuration cannot work; the text says what to change.
    #[error("{0}")]
    Config(String),
    #[error("make the data directory {}", path.display())]
    DataDirectory {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error(transparent)]
    Store(#[from] OpenError),
    #[error(transparent)]
    Pki(#[from] PkiError),
    #[error("port {} of {} is taken: stop what listens there (another wasmk?), or choose another port", address.port(), address.ip())]
    PortTaken { address: SocketAddr },
    #[error("port {} of {} needs more rights than this user has: choose one above 1023", address.port(), address.ip())]
    PortForbidden { address: SocketAddr },
    #[error("{} is no address of this machine: choose one that it has", address.ip())]
    NoSuchAddress { address: SocketAddr },
    #[error("listen on {address}")]
    Listen {
        address: SocketAddr,
        #[source]
        source: io::Error,
    },
    #[error("write the cluster's own objects")]
    SystemObjects(#[source] CommitError),
    /// The API refuses what the cluster itself needs: a bug of ours, or a data directory that others have changed.
    #[error("prepare the cluster's own objects")]
    SystemObjectsRefused(#[source] Status),
}
