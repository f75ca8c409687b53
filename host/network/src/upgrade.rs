use std::net::IpAddr;
use std::sync::Arc;

use http::{Request, StatusCode, Version};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, copy_bidirectional};

use crate::backend::{describe, to_origin_form};
use crate::body::{Body, boxed, empty};
use crate::forward::{ForwardError, Forwarded, Picked, Target, Tracked, forward};
use crate::headers::strip_hop_by_hop;
use crate::network::Network;
use crate::stream::{Opened, connect};

/// Sends a request that asks to leave HTTP (a WebSocket) over a connection of its own, and after the backend's
/// `101` passes bytes both ways. A replica that is called has no connection to leave: it gets a plain request.
pub(crate) async fn forward_upgrade(
    network: &Arc<Network>,
    target: &Target,
    client: Option<IpAddr>,
    mut request: Request<Incoming>,
) -> Result<Forwarded, ForwardError> {
    let (picked, opened) = connect(network, target, client).await?;
    match opened {
        Opened::Tcp(stream) => exchange(network, picked, stream, request).await,
        Opened::Tunnel(stream) => exchange(network, picked, stream, request).await,
        Opened::Http => {
            strip_hop_by_hop(request.headers_mut());
            forward(network, target, client, request.map(boxed)).await
        }
    }
}

async fn exchange<S>(
    network: &Arc<Network>,
    picked: Picked,
    stream: S,
    mut request: Request<Incoming>,
) -> Result<Forwarded, ForwardError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let endpoint = picked.endpoint.address;
    let broken = |error: hyper::Error| ForwardError::Broken { endpoint, why: describe(&error) };
    let client_side = hyper::upgrade::on(&mut request);
    let mut request: Request<Body> = request.map(boxed);
    to_origin_form(&mut request);
    *request.version_mut() = Version::HTTP_11;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
    network.spawn(async move {
        let _ = connection.with_upgrades().await;
    });
    let mut response = sender.send_request(request).await.map_err(broken)?;
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        return Ok(response.map(|body| Tracked::new(boxed(body), picked.in_flight)));
    }
    let server_side = hyper::upgrade::on(&mut response);
    network.spawn(async move {
        if let Ok((client, server)) = futures::try_join!(client_side, server_side) {
            let _ = copy_bidirectional(&mut TokioIo::new(client), &mut TokioIo::new(server)).await;
        }
        drop(picked);
    });
    Ok(response.map(|_| Tracked::from(empty())))
}
