use std::net::{IpAddr, SocketAddr};

use async_trait::async_trait;
use http::{Request, Response};
use wasmk_network::{ConnectError, GuestNet, HttpError as NetworkError};
use wasmk_runtime::{BindRefused, Body, ConnectRefused, GuestNetwork, HttpError};

/// A guest's sockets, names and outgoing requests, through its pod's place in the network.
pub(crate) struct PodGuestNetwork(pub(crate) GuestNet);

#[async_trait]
impl GuestNetwork for PodGuestNetwork {
    fn pod_ip(&self) -> IpAddr {
        self.0.identity().ip.into()
    }

    fn source_ip(&self) -> Option<IpAddr> {
        self.0.source_address()
    }

    async fn resolve(&self, name: &str) -> Vec<IpAddr> {
        self.0.resolve(name).await.unwrap_or_else(|error| {
            tracing::debug!(pod = self.0.identity().name, %error, "a name did not resolve");
            Vec::new()
        })
    }

    async fn connect(&self, to: SocketAddr) -> Result<SocketAddr, ConnectRefused> {
        self.0.connect(to).map_err(|error| match error {
            ConnectError::Denied(_) => ConnectRefused::Denied,
            ConnectError::NoEndpoint(_) | ConnectError::Refused(_) => ConnectRefused::Refused,
            ConnectError::Bridge(_) => ConnectRefused::Unreachable,
        })
    }

    fn bind(&self, port: u16) -> Result<SocketAddr, BindRefused> {
        self.0.bind(SocketAddr::new(self.pod_ip(), port)).map_err(|_| BindRefused::Denied)
    }

    fn listening(&self, guest: SocketAddr, real: SocketAddr) {
        self.0.listening(guest.port(), real);
    }

    fn closed(&self, guest: SocketAddr, _real: SocketAddr) {
        self.0.closed(guest.port());
    }

    fn guest_address(&self, real: SocketAddr) -> SocketAddr {
        self.0.guest_address(real)
    }

    async fn http(&self, request: Request<Body>) -> Result<Response<Body>, HttpError> {
        // The guest sets its own deadline, and the runtime the one of the request that it serves.
        self.0.http(request, None).await.map_err(outgoing_error)
    }
}

fn outgoing_error(error: NetworkError) -> HttpError {
    match error {
        NetworkError::NameUnknown(name) => HttpError::NoSuchHost(name),
        NetworkError::NoHost => HttpError::NoSuchHost(String::new()),
        NetworkError::NoEndpoint(_) => HttpError::Unavailable,
        NetworkError::Denied(_) => HttpError::Denied,
        NetworkError::Timeout(_) => HttpError::Timeout,
        NetworkError::Unreachable(_) => HttpError::Refused,
        NetworkError::Broken(_) => HttpError::ConnectionLost,
        other @ NetworkError::TlsInside(_) => HttpError::Other(other.to_string()),
    }
}
