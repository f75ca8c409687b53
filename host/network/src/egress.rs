use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

use dashmap::DashMap;
use futures::future::BoxFuture;
use http::{Request, Response};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::dns::Name;
use hyper_util::rt::TokioExecutor;

use crate::backend::{CONNECT_TIMEOUT, SendError, TcpBackend, describe};
use crate::body::{Body, boxed};
use crate::forward::send_tcp;
use crate::table::Endpoint;

/// Where pods may go outside of the cluster. Asked with the address that is really dialled, after name resolution.
pub trait EgressPolicy: Send + Sync + 'static {
    fn allows(&self, to: SocketAddr) -> bool;
}

/// Everywhere but this machine itself, link-local addresses (cloud metadata) and addresses of no host.
pub struct DefaultEgress;

impl EgressPolicy for DefaultEgress {
    fn allows(&self, to: SocketAddr) -> bool {
        let ip = to.ip().to_canonical();
        let special = match ip {
            IpAddr::V4(ip) => ip.is_loopback() || ip.is_unspecified() || ip.is_link_local() || ip.is_broadcast(),
            IpAddr::V6(ip) => ip.is_loopback() || ip.is_unspecified() || ip.is_unicast_link_local(),
        };
        !special && !ip.is_multicast() && !is_own_address(ip)
    }
}

/// Only an address of this machine can be bound. Portable, and right after addresses have changed.
fn is_own_address(ip: IpAddr) -> bool {
    UdpSocket::bind((ip, 0)).is_ok()
}

/// Nowhere.
pub struct DenyEgress;

impl EgressPolicy for DenyEgress {
    fn allows(&self, _to: SocketAddr) -> bool {
        false
    }
}

/// Why a request did not leave the cluster, or did not come back.
#[derive(Debug, thiserror::Error)]
pub enum EgressError {
    #[error("pods may not connect to {0}")]
    Denied(String),
    #[error("name {0} does not resolve")]
    Unresolved(String),
    #[error("the system's trusted certificates cannot be read")]
    NoRoots(#[source] std::io::Error),
    #[error("{host} did not answer: {why}")]
    Failed { host: String, why: String },
}

type OutsideClient = Client<HttpsConnector<HttpConnector<PolicyResolver>>, Body>;

/// Connections kept to hand-written endpoints.
const OUTSIDE_BACKENDS_MAX: usize = 1024;

/// The way out of the cluster.
pub(crate) struct Egress {
    policy: Arc<dyn EgressPolicy>,
    client: OnceLock<OutsideClient>,
    backends: DashMap<SocketAddr, Arc<TcpBackend>>,
}

impl Egress {
    pub(crate) fn new(policy: Arc<dyn EgressPolicy>) -> Self {
        Self { policy, client: OnceLock::new(), backends: DashMap::new() }
    }

    pub(crate) fn check(&self, to: SocketAddr) -> Result<(), String> {
        if self.policy.allows(to) { Ok(()) } else { Err(format!("pods may not connect to {to}")) }
    }

    /// The allowed addresses of an outside name.
    pub(crate) async fn resolve(&self, host: &str) -> Result<Vec<IpAddr>, EgressError> {
        let unresolved = || EgressError::Unresolved(host.into());
        let found: Vec<_> = tokio::net::lookup_host((host, 0)).await.map_err(|_| unresolved())?.collect();
        let allowed: Vec<_> =
            found.iter().filter(|address| self.policy.allows(**address)).map(SocketAddr::ip).collect();
        match (found.is_empty(), allowed.is_empty()) {
            (true, _) => Err(unresolved()),
            (false, true) => Err(EgressError::Denied(host.into())),
            _ => Ok(allowed),
        }
    }

    /// Sends a request with an absolute URI, `http` or `https`.
    pub(crate) async fn request(&self, request: Request<Body>) -> Result<Response<Body>, EgressError> {
        let host = request.uri().host().unwrap_or_default().to_owned();
        // A literal address never reaches the resolver.
        if let Ok(ip) = host.trim_matches(['[', ']']).parse::<IpAddr>() {
            let port = request.uri().port_u16().unwrap_or(443);
            self.check((ip, port).into()).map_err(|_| EgressError::Denied(host.clone()))?;
        }
        let response = self.client()?.request(request).await;
        response.map(|response| response.map(boxed)).map_err(|error| {
            let why = describe(&error);
            if why.contains(DENIED) { EgressError::Denied(host) } else { EgressError::Failed { host, why } }
        })
    }

    /// To a hand-written endpoint.
    pub(crate) async fn send_to(
        &self,
        endpoint: &Endpoint,
        request: Request<Body>,
    ) -> Result<Response<Body>, SendError> {
        if let Err(why) = self.check(endpoint.address) {
            return Err(SendError::Unsent(Box::new(request), why));
        }
        if self.backends.len() >= OUTSIDE_BACKENDS_MAX {
            self.backends.clear();
        }
        let backend =
            self.backends.entry(endpoint.address).or_insert_with(|| Arc::new(TcpBackend::new(endpoint.address)));
        let backend = backend.clone();
        send_tcp(&backend, endpoint.protocol, request).await
    }

    fn client(&self) -> Result<&OutsideClient, EgressError> {
        if let Some(client) = self.client.get() {
            return Ok(client);
        }
        let mut connector = HttpConnector::new_with_resolver(PolicyResolver(self.policy.clone()));
        connector.enforce_http(false);
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(CONNECT_TIMEOUT * 5));
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        let https =
            HttpsConnectorBuilder::new().with_provider_and_native_roots(provider).map_err(EgressError::NoRoots)?;
        let https = https.https_or_http().enable_all_versions().wrap_connector(connector);
        let client = Client::builder(TokioExecutor::new()).build(https);
        Ok(self.client.get_or_init(|| client))
    }
}

const DENIED: &str = "the egress policy denies every address of the name";

/// The system's resolver, without the addresses that the policy denies.
#[derive(Clone)]
struct PolicyResolver(Arc<dyn EgressPolicy>);

impl tower::Service<Name> for PolicyResolver {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = std::io::Error;
    type Future = BoxFuture<'static, Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let policy = self.0.clone();
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let allowed: Vec<_> = found.filter(|address| policy.allows(*address)).collect();
            match allowed.is_empty() {
                true => Err(std::io::Error::new(std::io::ErrorKind::PermissionDenied, DENIED)),
                false => Ok(allowed.into_iter()),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    struct AllowAll;

    impl EgressPolicy for AllowAll {
        fn allows(&self, _to: SocketAddr) -> bool {
            true
        }
    }

    async fn server() -> u16 {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let _ = stream.read(&mut [0; 1024]).await;
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 7\r\n\r\noutside").await;
            }
        });
        port
    }

    async fn ask(policy: impl EgressPolicy, uri: String) -> Result<String, EgressError> {
        let request = Request::get(uri).body(crate::empty()).unwrap();
        let response = Egress::new(Arc::new(policy)).request(request).await?;
        let body = response.into_body().collect().await.unwrap().to_bytes();
        Ok(String::from_utf8_lossy(&body).into_owned())
    }

    #[tokio::test]
    async fn an_allowed_host_answers() {
        let port = server().await;
        assert_eq!(ask(AllowAll, format!("http://127.0.0.1:{port}/")).await.unwrap(), "outside");
        assert_eq!(ask(AllowAll, format!("http://localhost:{port}/")).await.unwrap(), "outside");
    }

    #[tokio::test]
    async fn a_name_or_address_of_this_machine_is_denied() {
        let port = server().await;
        for host in ["127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0", "169.254.169.254"] {
            let answer = ask(DefaultEgress, format!("http://{host}:{port}/")).await;
            assert!(matches!(answer, Err(EgressError::Denied(_))), "{host}: {answer:?}");
        }
    }

    #[test]
    fn the_rest_of_the_world_is_allowed() {
        assert!(DefaultEgress.allows("192.0.2.1:443".parse().unwrap()));
    }
}
