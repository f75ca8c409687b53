use std::convert::Infallible;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response, StatusCode, header};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::body::{boxed, text_response};
use crate::forward::{ForwardError, Forwarded as ForwardedResponse, Target, Tracked, forward};
use crate::headers::{Forwarded, strip_hop_by_hop, wants_upgrade};
use crate::network::Network;
use crate::upgrade::forward_upgrade;

/// A client has this long for the head of a request; a silent one must not hold a connection for ever.
const HEAD_TIMEOUT: Duration = Duration::from_secs(60);

/// Reads requests (HTTP/1.1 or HTTP/2 without TLS) from a stream and has each answered by an endpoint of `target`.
/// On shutdown the request in hand is finished.
pub(crate) async fn serve_http<S>(network: &Arc<Network>, target: Target, stream: S, client: Option<IpAddr>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let door = Arc::new(Door {
        network: network.clone(),
        forwarded: client.filter(|_| matches!(target, Target::Front(_))).map(Forwarded::new),
        target,
        client,
    });
    let service = service_fn(move |request| {
        let door = door.clone();
        async move { Ok::<_, Infallible>(door.answer(request).await) }
    });
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT);
    builder.http2().timer(TokioTimer::new());
    let mut connection = pin!(builder.serve_connection_with_upgrades(TokioIo::new(stream), service));
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = network.stopping().cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(error, "client connection ended");
    }
}

/// Through which requests come in: one for each client connection.
struct Door {
    network: Arc<Network>,
    target: Target,
    client: Option<IpAddr>,
    forwarded: Option<Forwarded>,
}

impl Door {
    async fn answer(&self, mut request: Request<Incoming>) -> ForwardedResponse {
        if let Some(forwarded) = &self.forwarded {
            forwarded.add_to(request.headers_mut());
        }
        if wants_upgrade(request.headers()) {
            return self.finish(forward_upgrade(&self.network, &self.target, self.client, request).await);
        }
        strip_hop_by_hop(request.headers_mut());
        let answer = forward(&self.network, &self.target, self.client, request.map(boxed)).await;
        self.finish(answer.map(|mut response| {
            strip_hop_by_hop(response.headers_mut());
            response
        }))
    }

    fn finish(&self, answer: Result<ForwardedResponse, ForwardError>) -> ForwardedResponse {
        answer.unwrap_or_else(|error| {
            tracing::debug!(target = ?self.target, %error, "request failed");
            error_response(&error).map(Tracked::from)
        })
    }
}

fn error_response(error: &ForwardError) -> Response<crate::Body> {
    let status = match error {
        ForwardError::NoEndpoint(_) => StatusCode::SERVICE_UNAVAILABLE,
        ForwardError::Broken { .. } | ForwardError::Unreachable { .. } => StatusCode::BAD_GATEWAY,
    };
    let mut response = text_response(status, error);
    if status == StatusCode::SERVICE_UNAVAILABLE {
        response.headers_mut().insert(header::RETRY_AFTER, header::HeaderValue::from_static("1"));
    }
    response
}
