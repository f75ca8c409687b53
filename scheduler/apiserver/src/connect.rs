//! Requests that become streams: `exec` and `attach` ([`command`]), `portforward` ([`forward`]), and `proxy`.
//!
//! Each looks up who is meant in the snapshot ([`target`]), agrees with the client on how to talk ([`upgrade`]), opens the
//! node's stream, answers 101, and goes on as a task of its own that ends with its client, its node or the server.

mod channels;
mod command;
mod forward;
mod idle;
#[cfg(any(test, fuzzing))]
pub(crate) mod laws;
mod proxy;
mod slot;
mod target;
mod upgrade;
mod websocket;

use std::time::Duration;

use axum::extract::Request;
use axum::response::Response;
use wasmk_api::Status;

use crate::rest::Call;
pub(crate) use slot::{Slot, Streams};

/// As in Kubernetes: streams on which nothing moves for this long are ended.
const IDLE_TIMEOUT: Duration = Duration::from_secs(4 * 60 * 60);

pub(crate) async fn answer(call: &Call, request: Request) -> Result<Response, Status> {
    match call.path.subresource.as_str() {
        "exec" | "attach" => command::answer(call, request).await,
        "portforward" => forward::answer(call, request).await,
        _ => proxy::answer(call, request).await,
    }
}
