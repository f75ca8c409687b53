use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, copy_bidirectional};
use tokio::net::TcpStream;

use crate::backend;
use crate::forward::{Attempts, ForwardError, Picked, Target};
use crate::l7::serve_http;
use crate::network::Network;
use crate::pods::LocalBackend;
use crate::table::{AppProtocol, Endpoint, Place};

/// How long a client of a port with unknown protocol has to say something.
const SNIFF_TIMEOUT: Duration = Duration::from_secs(1);

/// A byte stream to an endpoint.
pub(crate) enum Opened {
    Tcp(TcpStream),
    Tunnel(TokioIo<Upgraded>),
    /// There is no socket: requests are read from the client's stream, and the replica is called.
    Http,
}

/// Serves one TCP connection to `target`: per request when it speaks HTTP, else as a whole.
pub(crate) async fn serve_connection(network: &Arc<Network>, target: Target, stream: TcpStream, client: IpAddr) {
    let protocol = target.protocol(&network.table());
    let is_http = match protocol {
        AppProtocol::Unknown => looks_like_http(&stream).await,
        protocol => protocol.is_http(),
    };
    if is_http {
        return serve_http(network, target, stream, Some(client)).await;
    }
    // A client must not take "nobody is there" for an empty answer: it gets a reset.
    let _ = socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO));
    match connect(network, &target, Some(client)).await {
        Ok((picked, opened)) => {
            let _ = socket2::SockRef::from(&stream).set_linger(None);
            splice(network, picked, opened, stream).await;
        }
        Err(error) => tracing::debug!(?target, %client, %error, "refused a connection"),
    }
}

/// As [`serve_connection`], for a stream that is already known to be no HTTP proxy's business.
pub(crate) async fn splice<S>(network: &Arc<Network>, picked: Picked, opened: Opened, mut stream: S)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let address = picked.endpoint.address;
    let copied = match opened {
        Opened::Tcp(mut server) => copy_bidirectional(&mut stream, &mut server).await,
        Opened::Tunnel(mut server) => copy_bidirectional(&mut stream, &mut server).await,
        Opened::Http => {
            drop(picked);
            return serve_http(network, Target::LocalPod(address), stream, None).await;
        }
    };
    if let Err(error) = copied {
        tracing::debug!(%address, %error, "connection broke off");
    }
}

/// Opens a stream to an endpoint of `target`, passing over those that refuse.
pub(crate) async fn connect(
    network: &Arc<Network>,
    target: &Target,
    client: Option<IpAddr>,
) -> Result<(Picked, Opened), ForwardError> {
    let mut attempts = Attempts::new(network);
    loop {
        let picked = attempts.pick(target, client).await?;
        match open(network, &picked.endpoint).await {
            Ok(opened) => return Ok((picked, opened)),
            Err(why) => attempts.failed(picked.endpoint.address, why)?,
        }
    }
}

pub(crate) async fn open(network: &Arc<Network>, endpoint: &Endpoint) -> Result<Opened, String> {
    match &endpoint.place {
        Place::Local => {
            let pod = network.pod(endpoint.address.ip());
            match pod.and_then(|pod| pod.backend(endpoint.address.port())) {
                Some(LocalBackend::Http(_)) => Ok(Opened::Http),
                Some(LocalBackend::Tcp(backend)) => backend.connect().await.map(Opened::Tcp).map_err(text),
                None => Err("nothing listens there".into()),
            }
        }
        Place::Node(node) => network.mesh().tunnel(node, endpoint.address).await.map(Opened::Tunnel),
        Place::Outside => {
            network.egress().check(endpoint.address)?;
            backend::connect(endpoint.address).await.map(Opened::Tcp).map_err(text)
        }
    }
}

fn text(error: std::io::Error) -> String {
    error.to_string()
}

async fn looks_like_http(stream: &TcpStream) -> bool {
    const METHODS: [&[u8]; 10] =
        [b"GET ", b"HEAD", b"POST", b"PUT ", b"DELE", b"OPTI", b"PATC", b"TRAC", b"CONN", b"PRI "];
    let mut first = [0; 4];
    match tokio::time::timeout(SNIFF_TIMEOUT, stream.peek(&mut first)).await {
        Ok(Ok(read)) => read > 0 && METHODS.iter().any(|method| method.starts_with(&first[..read])),
        _ => false,
    }
}
