//! The Kubernetes API over HTTPS: what `kubectl`, client libraries, nodes and controllers talk to.

mod authz;
mod identity;
mod logs;
pub mod pki;
mod protobuf;
mod request;
mod respond;
mod serve;

pub use identity::Identity;
pub use logs::{LogBody, LogRequest, NoNodes, NodeClient};
pub use serve::serve;
