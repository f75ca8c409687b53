use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::Request;
use http::request::Parts;
use http_body::{Body as HttpBody, Frame, SizeHint};
use http_body_util::BodyExt;

use crate::body::{Body, BoxError, empty};

/// Bytes of a request body kept until its response begins, so that another replica can get the whole request.
/// Larger bodies are not sent twice. 64 KiB covers forms and API calls; 1,000 such requests hold 64 MB.
const KEPT_BYTES_MAX: usize = 64 * 1024;

/// Keeps what is needed to send a request once more.
pub(crate) struct Replay {
    head: Parts,
    body: Option<Arc<Mutex<Recording>>>,
}

struct Recording {
    /// `None` once it was taken back or replay became impossible to tell from the end.
    source: Option<Body>,
    seen: VecDeque<Bytes>,
    seen_bytes: usize,
    is_whole: bool,
}

impl Replay {
    /// The request to send, and the means to get it back.
    pub(crate) fn record(request: Request<Body>) -> (Request<Body>, Self) {
        let (head, body) = request.into_parts();
        if body.is_end_stream() {
            return (Request::from_parts(head.clone(), body), Self { head, body: None });
        }
        let recording = Recording { source: Some(body), seen: VecDeque::new(), seen_bytes: 0, is_whole: true };
        let recording = Arc::new(Mutex::new(recording));
        let body = Recorded(recording.clone()).boxed_unsync();
        (Request::from_parts(head.clone(), body), Self { head, body: Some(recording) })
    }

    /// The request as it was, unless too much of its body has gone. What was sent of it must not be read on.
    pub(crate) fn take_back(self) -> Option<Request<Body>> {
        let Some(recording) = self.body else {
            return Some(Request::from_parts(self.head, empty()));
        };
        let mut recording = recording.lock().expect("no panic while held");
        if !recording.is_whole {
            return None;
        }
        let source = recording.source.take()?;
        let seen = std::mem::take(&mut recording.seen);
        let body = if seen.is_empty() { source } else { Resumed { seen, source }.boxed_unsync() };
        Some(Request::from_parts(self.head, body))
    }

    /// The response has begun: nothing needs to be kept any more.
    pub(crate) fn forget(self) {
        if let Some(recording) = self.body {
            let mut recording = recording.lock().expect("no panic while held");
            recording.is_whole = false;
            recording.seen = VecDeque::new();
        }
    }

    pub(crate) fn is_idempotent(&self) -> bool {
        self.head.method.is_idempotent()
    }
}

struct Recorded(Arc<Mutex<Recording>>);

impl HttpBody for Recorded {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let mut recording = self.0.lock().expect("no panic while held");
        let Some(source) = recording.source.as_mut() else {
            return Poll::Ready(Some(Err("the request was sent elsewhere".into())));
        };
        let frame = ready!(Pin::new(source).poll_frame(cx));
        match &frame {
            Some(Ok(frame)) => recording.keep(frame),
            Some(Err(_)) => recording.is_whole = false,
            None => {}
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        let recording = self.0.lock().expect("no panic while held");
        recording.source.as_ref().is_none_or(HttpBody::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        let recording = self.0.lock().expect("no panic while held");
        recording.source.as_ref().map(HttpBody::size_hint).unwrap_or_default()
    }
}

impl Recording {
    fn keep(&mut self, frame: &Frame<Bytes>) {
        if !self.is_whole {
            return;
        }
        match frame.data_ref() {
            Some(data) if self.seen_bytes + data.len() <= KEPT_BYTES_MAX => {
                self.seen_bytes += data.len();
                self.seen.push_back(data.clone());
            }
            // Too much, or trailers: those are rare in requests and not worth keeping.
            _ => {
                self.is_whole = false;
                self.seen = VecDeque::new();
            }
        }
    }
}

/// What was already read, then the rest.
struct Resumed {
    seen: VecDeque<Bytes>,
    source: Body,
}

impl HttpBody for Resumed {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match self.seen.pop_front() {
            Some(data) => Poll::Ready(Some(Ok(Frame::data(data)))),
            None => Pin::new(&mut self.source).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.seen.is_empty() && self.source.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let seen: u64 = self.seen.iter().map(|data| data.len() as u64).sum();
        let rest = self.source.size_hint();
        let mut hint = SizeHint::new();
        hint.set_lower(seen + rest.lower());
        if let Some(upper) = rest.upper() {
            hint.set_upper(seen + upper);
        }
        hint
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::body::full;
    use futures::FutureExt;

    fn read(body: Body) -> Bytes {
        body.collect().now_or_never().expect("in memory").expect("no error").to_bytes()
    }

    #[test]
    fn a_request_that_was_read_comes_back_whole() {
        let (sent, replay) = Replay::record(Request::post("/a").body(full("hello")).unwrap());
        assert_eq!(read(sent.into_body()), "hello");
        let back = replay.take_back().expect("small enough");
        assert_eq!(back.uri(), "/a");
        assert_eq!(read(back.into_body()), "hello");
    }

    #[test]
    fn a_body_larger_than_the_bound_does_not_come_back_once_read() {
        let (sent, replay) = Replay::record(Request::post("/").body(full(vec![0; KEPT_BYTES_MAX + 1])).unwrap());
        read(sent.into_body());
        assert!(replay.take_back().is_none());
    }

    #[test]
    fn a_large_body_that_nobody_read_comes_back() {
        let (_sent, replay) = Replay::record(Request::post("/").body(full(vec![0; KEPT_BYTES_MAX + 1])).unwrap());
        let back = replay.take_back().expect("nothing was read");
        assert_eq!(read(back.into_body()).len(), KEPT_BYTES_MAX + 1);
    }
}
