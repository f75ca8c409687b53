//! The Kubernetes API over HTTPS.
mod identity;
pub mod pki;
mod request;
mod serve;

pub use identity::Identity;
pub use serve::serve;
