//! A `wasi:http` container as something that the network calls.

use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderValue, Request, Response, header};
use http_body::{Frame, SizeHint};
use http_body_util::BodyExt;
use wasmk_network::{CallError as NetworkCallError, HttpReplica};
use wasmk_runtime::{Body, BoxError, CallError, HttpGuest};

pub(crate) struct GuestReplica(pub(crate) Arc<HttpGuest>);

#[async_trait]
impl HttpReplica for GuestReplica {
    async fn call(&self, request: Request<Body>) -> Result<Response<Body>, NetworkCallError> {
        let (parts, body) = request.into_parts();
        let kept = Arc::new(Mutex::new(Some(body)));
        let again = parts.clone();
        let lent = Lent { kept: kept.clone(), taken: None }.boxed_unsync();
        match self.0.call(Request::from_parts(parts, lent)).await {
            Ok(response) => Ok(response),
            Err(error) => {
                let untouched = kept.lock().expect("no panic while held").take();
                match untouched.filter(|_| error.is_unseen()) {
                    // Nobody looked at it: another replica may.
                    Some(body) => Err(NetworkCallError::Gone(Box::new(Request::from_parts(again, body)))),
                    None => Ok(failure(&error)),
                }
            }
        }
    }
}

/// What a client sees of a guest that failed. The trap itself is in the container's log.
fn failure(error: &CallError) -> Response<Body> {
    let text = match error {
        CallError::Trapped { .. } => {
            "the guest trapped while it handled this request; its log has the backtrace\n".to_owned()
        }
        other => format!("{other}\n"),
    };
    let body = http_body_util::Full::new(Bytes::from(text)).map_err(|never| match never {}).boxed_unsync();
    let mut response = Response::new(body);
    *response.status_mut() = error.status();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}

/// A body that can be taken back until somebody reads from it.
struct Lent {
    kept: Arc<Mutex<Option<Body>>>,
    taken: Option<Body>,
}

impl Lent {
    fn body(&mut self) -> Option<&mut Body> {
        if self.taken.is_none() {
            self.taken = self.kept.lock().expect("no panic while held").take();
        }
        self.taken.as_mut()
    }

    fn peek<T>(&self, look: impl FnOnce(&Body) -> T) -> Option<T> {
        match &self.taken {
            Some(body) => Some(look(body)),
            None => self.kept.lock().expect("no panic while held").as_ref().map(look),
        }
    }
}

impl http_body::Body for Lent {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match self.body() {
            Some(body) => Pin::new(body).poll_frame(context),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.peek(|body| body.is_end_stream()).unwrap_or(true)
    }

    fn size_hint(&self) -> SizeHint {
        self.peek(|body| body.size_hint()).unwrap_or_else(|| SizeHint::with_exact(0))
    }
}
