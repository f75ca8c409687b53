//! The cluster's certificates: one authority, and what it vouches for.
//!
//! The authority's key and the join secret are the only things kept, in the data directory, readable by the owner
//! alone. Server and client certificates are issued anew at each start (a P-256 key takes microseconds), so a restart
//! always renews them and nothing can expire unnoticed on disk.

mod authority;
mod kubeconfig;
pub(crate) mod private_file;
mod token;

pub use authority::{CertificateAuthority, Credentials, NODES_GROUP};
pub use kubeconfig::{Kubeconfig, write_kubeconfig};
pub use token::JoinToken;

use std::path::PathBuf;

/// Why a certificate, a key or the join secret is not to be had.
#[derive(Debug, thiserror::Error)]
pub enum PkiError {
    #[error("read or write {path}")]
    File {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error(
        "{path} does not hold what belongs there; restore it, or remove the whole directory to begin a new cluster"
    )]
    Damaged { path: PathBuf },
    #[error("issue a certificate")]
    Issue(#[from] rcgen::Error),
    /// The certificate signing request of a joining node is of no use; the text says why.
    #[error("refuse a certificate signing request: {0}")]
    Request(String),
    #[error("configure TLS")]
    Tls(#[from] rustls::Error),
}
