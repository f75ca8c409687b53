use super::Visit;
use crate::{Body, BoxError};
use bytes::Bytes;
use http::{Response, StatusCode, header::CONTENT_LENGTH};
use http_body::{Body as _, Frame, SizeHint};
use http_body_util::BodyExt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::sync::oneshot;

/// A response's body that tells the instance when it was read, and by being dropped when the client left.
pub(super) struct Streamed {
    body: Body,
    finished: Option<oneshot::Sender<()>>,
    /// Of a body with known length: readers may stop there without asking for the end.
    bytes_left: Option<u64>,
    _visit: Visit,
}

impl Streamed {
    pub(super) fn wrap(
        response: Response<Body>,
        head_only: bool,
        finished: oneshot::Sender<()>,
        visit: Visit,
    ) -> Response<Body> {
        let bodyless = matches!(response.status(), StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
        let bytes_left = if head_only || bodyless { Some(0) } else { content_length(&response) };
        response.map(|body| Streamed { body, finished: Some(finished), bytes_left, _visit: visit }.boxed_unsync())
    }

    fn finish(&mut self) {
        if let Some(finished) = self.finished.take() {
            let _ = finished.send(()); // the instance may be done already
        }
    }
}

impl http_body::Body for Streamed {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        match &frame {
            None => self.finish(),
            Some(Ok(frame)) => {
                let sent = frame.data_ref().map_or(0, |data| data.len() as u64);
                self.bytes_left = self.bytes_left.map(|left| left.saturating_sub(sent));
            }
            Some(Err(_)) => {}
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Streamed {
    fn drop(&mut self) {
        if self.bytes_left == Some(0) || self.body.is_end_stream() {
            self.finish();
        }
    }
}

fn content_length(response: &Response<Body>) -> Option<u64> {
    response.headers().get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}
