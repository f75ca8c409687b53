//! `exec` and `attach`: the client's channels to the node's frames and back.

mod node;
mod spdy;
mod websocket;

use axum::extract::Request;
use axum::response::Response;
use serde_json::Value;
use wasmk_api::Status;

use super::channels::Channels;
use super::idle::Idle;
use super::slot::Slot;
use super::upgrade::Transport;
use super::{IDLE_TIMEOUT, target};
use crate::rest::Call;
use node::Node;

/// How the outcome is told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Outcome {
    /// As a `Status`.
    Status,
    /// Before version 4: the message of a failure, nothing of a success.
    Message,
}

/// What a WebSocket subprotocol stands for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Dialect {
    channels: Channels,
    outcome: Outcome,
    /// The client says when stdin ends.
    has_close: bool,
}

const fn dialect(channels: Channels, outcome: Outcome, has_close: bool) -> Dialect {
    Dialect { channels, outcome, has_close }
}

const WEBSOCKET: [(&str, Dialect); 6] = [
    ("v5.channel.k8s.io", dialect(Channels::Binary, Outcome::Status, true)),
    ("v4.channel.k8s.io", dialect(Channels::Binary, Outcome::Status, false)),
    ("v4.base64.channel.k8s.io", dialect(Channels::Base64, Outcome::Status, false)),
    ("channel.k8s.io", dialect(Channels::Binary, Outcome::Message, false)),
    ("base64.channel.k8s.io", dialect(Channels::Base64, Outcome::Message, false)),
    ("", dialect(Channels::Binary, Outcome::Message, false)),
];

/// With what each version of the protocol of SPDY can do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Version {
    outcome: Outcome,
    has_resize: bool,
}

const SPDY: [(&str, Version); 4] = [
    ("v4.channel.k8s.io", Version { outcome: Outcome::Status, has_resize: true }),
    ("v3.channel.k8s.io", Version { outcome: Outcome::Message, has_resize: true }),
    ("v2.channel.k8s.io", Version { outcome: Outcome::Message, has_resize: false }),
    ("channel.k8s.io", Version { outcome: Outcome::Message, has_resize: false }),
];

pub(super) async fn answer(call: &Call, request: Request) -> Result<Response, Status> {
    let (node, asked, streams) = target::command(&call.server.store.snapshot(), &call.path, &call.query)?;
    let headers = request.headers();
    let transport = Transport::of(headers)?;
    let slot = Slot::take(call)?;
    let open = async || {
        let stream = call.server.nodes.open(&node, asked).await?;
        Ok::<_, Status>(Node::new(Idle::new(stream, IDLE_TIMEOUT)))
    };
    match transport {
        Transport::WebSocket => {
            let (name, dialect) = transport.negotiate(headers, &WEBSOCKET)?;
            let response = transport.response(headers, name)?;
            let node = open().await?;
            slot.spawn(&call.server, hyper::upgrade::on(request), move |connection| {
                websocket::run(connection, dialect, streams, node)
            });
            Ok(response)
        }
        Transport::Spdy => {
            let (name, version) = transport.negotiate(headers, &SPDY)?;
            let response = transport.response(headers, name)?;
            let node = open().await?;
            slot.spawn(&call.server, hyper::upgrade::on(request), move |connection| {
                spdy::run(connection, version, streams, node)
            });
            Ok(response)
        }
    }
}

impl Outcome {
    /// The bytes for the error channel; `None`: nothing is written.
    pub(super) fn write(self, status: &[u8]) -> Option<Vec<u8>> {
        if self == Self::Status {
            return Some(status.to_vec());
        }
        let status: Value = serde_json::from_slice(status).unwrap_or_default();
        (status["status"] != "Success").then(|| status["message"].as_str().unwrap_or("unknown").as_bytes().to_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_clients_are_told_only_of_failures_and_in_words() {
        assert_eq!(Outcome::Message.write(br#"{"status":"Success"}"#), None);
        assert_eq!(Outcome::Message.write(br#"{"status":"Failure","message":"no"}"#), Some(b"no".to_vec()));
        assert_eq!(Outcome::Status.write(b"{}"), Some(b"{}".to_vec()));
    }
}
