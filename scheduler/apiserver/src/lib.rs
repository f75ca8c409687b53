//! The Kubernetes API over HTTPS: what `kubectl`, client libraries, nodes and controllers talk to.
//!
//! Entry points: [`ApiServer::router`] is the whole API as one service over a [`wasmk_store::Store`]; [`serve`] puts it
//! on a TLS listener and tells it who asks ([`Identity`], from the client's certificate); [`pki`] makes the
//! certificates, the kubeconfig and the join token. An in-process client calls the router directly, with
//! [`Identity::control_plane`] among the request's extensions.
//!
//! How it reads: `server` lists the paths; `authn` says who asks, `tokens` what accounts of the cluster show, `authz` who
//! may, `fairness` whose turn it is; `request` and `respond` read and write HTTP; `rest`
//! is one machinery for every kind of the registry (`wasmk_api::kind`), with `watch`, `discovery` and `openapi` beside
//! it; `reviews` answers kinds that are asked and not stored, `usage` those that nodes measure; `logs` and `connect` (exec, attach, port-forward, proxy) go
//! to the nodes through [`NodeClient`].
//!
//! Invariants: every write is prepared by `wasmk_api::write` and takes effect as one transaction of the store; nothing
//! is kept here between requests but who waits, what was counted, and documents that can be made again; no request
//! without an identity learns more than health, version and the authority's certificate. Tasks: [`serve`] spawns one a
//! connection and awaits them all; on [`Settings::streams`], which whoever made the server waits for, `connect` spawns one
//! an upgraded or proxied connection, and `stall` one a body that may stay open (watches, logs, what pods answer); nothing
//! else spawns.
//!
//! Deliberately absent: admission webhooks; answers in protobuf
//! (every client takes JSON).

mod authn;
mod authz;
mod certificates;
mod compress;
mod connect;
mod discovery;
mod fairness;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzzing;
mod headers;
mod health;
mod heavy;
mod identity;
mod join;
mod logs;
mod metrics;
mod nodes;
mod openapi;
pub mod pki;
mod protobuf;
mod request;
mod respond;
mod rest;
mod reviews;
mod serve;
mod server;
mod shares;
mod stall;
mod subresource;
mod timeout;
mod tokens;
mod usage;
mod watch;

pub use identity::Identity;
pub use logs::LogRequest;
pub use nodes::{Duplex, LogBody, NodeClient, NodeStream, PodTarget, StreamRequest};
pub use serve::serve;
pub use server::{ApiServer, Settings};
pub use tokens::AccountTokens;
