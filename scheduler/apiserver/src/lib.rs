//! The Kubernetes API over HTTPS: what `kubectl`, client libraries, nodes and controllers talk to.
//!
//! Entry points: [`ApiServer::router`] is the whole API as one service over a [`wasmk_store::Store`]; [`serve`] puts it
//! on a TLS listener and tells it who asks ([`Identity`], from the client's certificate); [`pki`] makes the
//! certificates, the kubeconfig and the join token. An in-process client calls the router directly, with
//! [`Identity::control_plane`] among the request's extensions.
//!
//! How it reads: `server` lists the paths; `authz` says who may; `request` and `respond` read and write HTTP; `rest`
//! is one machinery for every kind of the registry (`wasmk_api::kind`), with `watch`, `discovery` and `openapi` beside
//! it; `logs` goes to the nodes through [`NodeClient`].
//!
//! Invariants: every write is prepared by `wasmk_api::write` and takes effect as one transaction of the store; nothing
//! is kept here between requests; no request without an identity learns more than health, version and the authority's
//! certificate. Tasks: [`serve`] spawns one a connection and awaits them all; nothing else spawns.
//!
//! Deliberately absent: service account tokens, RBAC, admission webhooks, exec and port-forward; answers in protobuf
//! (every client takes JSON).

mod authz;
mod discovery;
mod health;
mod identity;
mod join;
mod logs;
mod openapi;
pub mod pki;
mod protobuf;
mod request;
mod respond;
mod rest;
mod serve;
mod server;
mod subresource;
mod watch;

pub use identity::Identity;
pub use logs::{LogBody, LogRequest, NodeClient};
pub use serve::serve;
pub use server::{ApiServer, Settings};
