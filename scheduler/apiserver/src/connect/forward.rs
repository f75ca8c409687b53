//! `portforward`: each connection of the client becomes one to a port of the pod.

mod pairs;
mod spdy;
mod websocket;

use std::sync::Arc;

#[cfg(any(test, fuzzing))]
pub(super) use pairs::Label;

use axum::extract::Request;
use axum::response::Response;
use wasmk_api::{Object, Status};

use super::channels::Channels;
use super::idle::Idle;
use super::slot::Slot;
use super::upgrade::Transport;
use super::websocket::{over, tunnel};
use super::{IDLE_TIMEOUT, target};
use crate::ApiServer;
use crate::nodes::{NodeStream, PodTarget, StreamRequest};
use crate::rest::Call;

/// What a WebSocket subprotocol stands for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Dialect {
    /// Two channels for each port of the query.
    Channels(Channels),
    /// SPDY in binary messages.
    Tunnel,
}

const WEBSOCKET: [(&str, Dialect); 5] = [
    ("SPDY/3.1+portforward.k8s.io", Dialect::Tunnel),
    ("v4.channel.k8s.io", Dialect::Channels(Channels::Binary)),
    ("v4.base64.channel.k8s.io", Dialect::Channels(Channels::Base64)),
    ("portforward.k8s.io", Dialect::Channels(Channels::Binary)),
    ("", Dialect::Channels(Channels::Binary)),
];

const SPDY: [(&str, ()); 1] = [("portforward.k8s.io", ())];

pub(super) async fn answer(call: &Call, request: Request) -> Result<Response, Status> {
    let (node, pod, ports) = target::forward(&call.server.store.snapshot(), &call.path, &call.query)?;
    let pod = Pod { server: call.server.clone(), node, target: pod };
    let headers = request.headers();
    let transport = Transport::of(headers)?;
    let slot = Slot::take(call)?;
    match transport {
        Transport::Spdy => {
            let (name, ()) = transport.negotiate(headers, &SPDY)?;
            let response = transport.response(headers, name)?;
            slot.spawn(&call.server, hyper::upgrade::on(request), move |connection| spdy::run(connection, pod));
            Ok(response)
        }
        Transport::WebSocket => {
            let (name, dialect) = transport.negotiate(headers, &WEBSOCKET)?;
            let response = transport.response(headers, name)?;
            match dialect {
                Dialect::Tunnel => slot.spawn(&call.server, hyper::upgrade::on(request), async move |connection| {
                    let (sender, receiver) = over(connection).await;
                    spdy::run(tunnel(sender, receiver), pod).await;
                }),
                Dialect::Channels(_) if ports.is_empty() => {
                    return Err(Status::bad_request("query parameter \"ports\" is required"));
                }
                Dialect::Channels(channels) => {
                    slot.spawn(&call.server, hyper::upgrade::on(request), move |connection| {
                        websocket::run(connection, channels, ports, pod)
                    });
                }
            }
            Ok(response)
        }
    }
}

/// To a port of a pod.
pub(super) type Connection = Idle<NodeStream>;

/// To whose ports the connections go.
#[derive(Clone)]
pub(super) struct Pod {
    pub(super) server: Arc<ApiServer>,
    pub(super) node: Arc<Object>,
    pub(super) target: PodTarget,
}

impl Pod {
    /// A connection to `port`.
    pub(super) async fn connect(&self, port: u16) -> Result<Connection, Status> {
        let request = StreamRequest::PortForward { pod: self.target.clone(), port };
        let stream = self.server.nodes.open(&self.node, request).await?;
        Ok(Idle::new(stream, IDLE_TIMEOUT))
    }

    /// As the kubelet tells it on the error stream.
    fn failure(&self, port: u16, why: &Status) -> String {
        let PodTarget { namespace, name, uid } = &self.target;
        format!("error forwarding port {port} to pod {name}_{namespace}, uid {uid}: {why}")
    }
}
