//! Outgoing `wasi:http`, 0.2 and 0.3: handed to the [`GuestNetwork`]; no socket is opened here.

use crate::{Body, BoxError, GuestNetwork, HttpError};
use bytes::Bytes;
use http::{Request, Response};
use http_body::{Frame, SizeHint};
use http_body_util::BodyExt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::Sleep;
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody, WasiHttpHooks};

/// A guest that names no timeout waits this long for a response; also wasmtime's default.
const FIRST_BYTE_TIMEOUT: Duration = Duration::from_secs(600);

/// The hooks of one instance.
pub(crate) struct Outgoing(pub(crate) Arc<dyn GuestNetwork>);

type Transmission = Box<dyn Future<Output = Result<(), Error>> + Send>;
type Sent = Result<(Response<WasiBody>, Transmission), Error>;

impl WasiHttpHooks for Outgoing {
    fn send_request(
        &mut self,
        request: Request<WasiBody>,
        options: Option<RequestOptions>,
        _body_read: Transmission,
    ) -> Box<dyn Future<Output = Sent> + Send> {
        let network = self.0.clone();
        let options = options.unwrap_or_default();
        Box::new(async move {
            let request = request.map(from_wasi_body);
            let timeout = options.first_byte_timeout.unwrap_or(FIRST_BYTE_TIMEOUT);
            let response = tokio::time::timeout(timeout, network.http(request))
                .await
                .map_err(|_| Error::ConnectionReadTimeout)?
                .map_err(to_wasi_error)?;
            let response = response.map(|body| match options.between_bytes_timeout {
                Some(limit) => Paced::new(body, limit).boxed_unsync(),
                None => to_wasi_body(body),
            });
            let done: Transmission = Box::new(async { Ok(()) });
            Ok((response, done))
        })
    }
}

pub(crate) fn from_wasi_body(body: WasiBody) -> Body {
    body.map_err(|error| BoxError::from(error.to_string())).boxed_unsync()
}

pub(crate) fn to_wasi_body(body: Body) -> WasiBody {
    body.map_err(body_error).boxed_unsync()
}

fn body_error(error: BoxError) -> Error {
    match error.downcast::<hyper::Error>() {
        Ok(error) => Error::Hyper(*error),
        Err(error) => Error::InternalError(Some(error.to_string())),
    }
}

fn to_wasi_error(error: HttpError) -> Error {
    match error {
        HttpError::NoSuchHost(_) => Error::DnsError { rcode: Some("NXDOMAIN".into()), info_code: None },
        HttpError::Denied => Error::HttpRequestDenied,
        HttpError::Refused => Error::ConnectionRefused,
        HttpError::Unavailable => Error::DestinationUnavailable,
        HttpError::ConnectionLost => Error::ConnectionTerminated,
        HttpError::Timeout => Error::ConnectionTimeout,
        HttpError::Other(message) => Error::InternalError(Some(message)),
    }
}

/// A response body that must not pause for longer than the guest allowed.
struct Paced {
    body: Body,
    limit: Duration,
    pause: Pin<Box<Sleep>>,
}

impl Paced {
    fn new(body: Body, limit: Duration) -> Self {
        Paced { body, limit, pause: Box::pin(tokio::time::sleep(limit)) }
    }
}

impl http_body::Body for Paced {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) {
            let deadline = tokio::time::Instant::now() + self.limit;
            self.pause.as_mut().reset(deadline);
            return Poll::Ready(frame.map(|frame| frame.map_err(body_error)));
        }
        self.pause.as_mut().poll(cx).map(|()| Some(Err(Error::ConnectionReadTimeout)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
