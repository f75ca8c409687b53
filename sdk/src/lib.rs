//! What a Rust guest of wasmk would otherwise write again and again. A service in five lines:
//!
//! ```
//! use wasmk_sdk::http::{Path, Router, get};
//!
//! wasmk_sdk::serve!(app);
//!
//! fn app() -> Router {
//!     Router::new().route("/hello/{name}", get(async |Path(name): Path<String>| format!("Hello, {name}\n")))
//! }
//! ```
//!
//! | what | where | stands on |
//! | --- | --- | --- |
//! | handlers, routes, JSON, streams, errors as responses | [`http`], [`serve!`] | `axum`, `wstd` |
//! | readiness of what a service needs | [`http::Health`] | |
//! | calls to other services: deadlines, retries within a budget | [`client`] | `wstd` |
//! | settings from the environment and mounted volumes | [`config`] | `serde` |
//! | values that do not print themselves | [`Secret`] | |
//! | logs with level and fields | [`logs`] | `tracing` |
//! | an orderly end of a program | [`shutdown`] | `wstd` |
//!
//! Nothing here is needed to run on wasmk: a guest of any language has the same abilities through WASI alone, and whatever
//! the SDK is built of can be used beside it. It talks to no interface of wasmk's own, so its guests run wherever
//! `wasi:http` and `wasi:cli` are.
//!
//! **Features**, all on by default: `http` (needs WASI 0.2), `shutdown` (needs WASI 0.2), `logs`. Configuration and secrets
//! are always there; with `default-features = false` the crate builds for WASI 0.1 as well.
//!
//! **Deliberately absent:** a readiness *file* (probes are `httpGet` and `tcpSocket`; a program that listens is ready when it
//! does, a handler when [`http::Health`] says so), signals (WASI has none, see [`shutdown`]), a circuit breaker (the node
//! already leads requests past replicas that are gone).
//!
//! Each part has a program under `sdk/examples` that the tests build, deploy and ask.

#[cfg(feature = "http")]
pub mod client;
pub mod config;
#[cfg(feature = "http")]
pub mod http;
#[cfg(feature = "logs")]
pub mod logs;
mod secret;
#[cfg(feature = "shutdown")]
pub mod shutdown;

#[cfg(feature = "http")]
pub use client::Client;
pub use config::{Config, ConfigError};
pub use secret::Secret;
/// Events and spans; [`logs`] says where they go.
pub use tracing;

/// Runs a program's async part to its end.
#[cfg(any(feature = "http", feature = "shutdown"))]
pub use wstd::runtime::block_on;

/// Waits for some time.
#[cfg(any(feature = "http", feature = "shutdown"))]
pub async fn sleep(time: std::time::Duration) {
    wstd::task::sleep(time.into()).await;
}

/// For the macros of this crate.
#[cfg(feature = "http")]
#[doc(hidden)]
pub mod __private {
    pub use crate::http::handle;
    pub use wstd::__internal::wasip2;
}
