//! What a guest's network is made of, declared here and implemented by whoever runs guests.

use crate::Body;
use async_trait::async_trait;
use http::{Request, Response};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// One container's view of the network. *Guest* addresses are what the guest sees, *real* ones what the host's sockets use.
///
/// Called on guest threads: an implementation that does I/O spawns it on a runtime of its own.
#[async_trait]
pub trait GuestNetwork: Send + Sync {
    /// The guest's own (virtual) address.
    fn pod_ip(&self) -> IpAddr;

    /// The real address that outgoing connections start from; `None` leaves the choice to the host.
    fn source_ip(&self) -> Option<IpAddr>;

    /// The guest addresses of a name; empty if there is no such name.
    async fn resolve(&self, name: &str) -> Vec<IpAddr>;

    /// The guest wants to connect to `to`: the real address to dial, chosen now, for this connection.
    async fn connect(&self, to: SocketAddr) -> Result<SocketAddr, ConnectRefused>;

    /// The guest wants to listen on `port` of its own address (0: any port): the real address to bind.
    fn bind(&self, port: u16) -> Result<SocketAddr, BindRefused>;

    /// The guest now accepts connections.
    fn listening(&self, guest: SocketAddr, real: SocketAddr);

    /// It no longer does, or it is gone.
    fn closed(&self, guest: SocketAddr, real: SocketAddr);

    /// The address to show to the guest for a real one: a peer's, or its own.
    fn guest_address(&self, real: SocketAddr) -> SocketAddr;

    /// An outgoing `wasi:http` request, its URI absolute.
    async fn http(&self, request: Request<Body>) -> Result<Response<Body>, HttpError>;
}

/// Why a guest may not connect somewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConnectRefused {
    #[error("not allowed by policy")]
    Denied,
    #[error("no route to the address")]
    Unreachable,
    #[error("nothing listens there")]
    Refused,
}

/// Why a guest may not listen on a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BindRefused {
    #[error("not allowed")]
    Denied,
    #[error("the port is in use")]
    InUse,
}

/// Why an outgoing request has no response.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    #[error("no such host: {0}")]
    NoSuchHost(String),
    #[error("not allowed by policy")]
    Denied,
    #[error("connection refused")]
    Refused,
    #[error("no endpoint is ready")]
    Unavailable,
    #[error("connection lost before the response")]
    ConnectionLost,
    #[error("timed out")]
    Timeout,
    #[error("{0}")]
    Other(String),
}

/// No network at all: for jobs that need none, and for tests.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoNetwork;

#[async_trait]
impl GuestNetwork for NoNetwork {
    fn pod_ip(&self) -> IpAddr {
        Ipv4Addr::LOCALHOST.into()
    }
    fn source_ip(&self) -> Option<IpAddr> {
        None
    }
    async fn resolve(&self, _: &str) -> Vec<IpAddr> {
        Vec::new()
    }
    async fn connect(&self, _: SocketAddr) -> Result<SocketAddr, ConnectRefused> {
        Err(ConnectRefused::Unreachable)
    }
    fn bind(&self, _: u16) -> Result<SocketAddr, BindRefused> {
        Err(BindRefused::Denied)
    }
    fn listening(&self, _: SocketAddr, _: SocketAddr) {}
    fn closed(&self, _: SocketAddr, _: SocketAddr) {}
    fn guest_address(&self, real: SocketAddr) -> SocketAddr {
        real
    }
    async fn http(&self, request: Request<Body>) -> Result<Response<Body>, HttpError> {
        Err(HttpError::NoSuchHost(request.uri().host().unwrap_or_default().to_owned()))
    }
}
