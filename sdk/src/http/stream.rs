//! Bodies that are sent while they are made.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use anyhow::Error;
use axum::body::{Body, BodyDataStream};
use bytes::Bytes;
use http_body::Frame;

/// A body whose pieces `produce` sends. Each waits until the one before was taken, so that memory stays small however long
/// the body is and however slow its reader. When `produce` fails, the client sees the body break off, and the log says why.
pub fn streamed<P, F>(produce: P) -> Body
where
    P: FnOnce(Sender) -> F,
    F: Future<Output = Result<(), Error>> + Send + 'static,
{
    let slot = Arc::new(Mutex::new(Slot::default()));
    let producer = produce(Sender(slot.clone()));
    Body::new(Streamed { producer: Some(Box::pin(producer)), slot })
}

/// The next piece of a body that is read as a stream (`into_data_stream`), without another crate for streams.
pub async fn next(pieces: &mut BodyDataStream) -> Option<Result<Bytes, axum::Error>> {
    loop {
        let frame = poll_fn(|cx| http_body::Body::poll_frame(Pin::new(&mut *pieces), cx)).await?;
        match frame.map(Frame::into_data) {
            Ok(Ok(piece)) => return Some(Ok(piece)),
            // Trailers.
            Ok(Err(_)) => (),
            Err(error) => return Some(Err(error)),
        }
    }
}

/// Where the producer of a body puts its pieces.
#[derive(Debug)]
pub struct Sender(Arc<Mutex<Slot>>);

/// Nobody reads the body any more.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("nobody reads the body any more")]
pub struct Closed;

/// Room for one piece.
#[derive(Default, Debug)]
struct Slot {
    piece: Option<Bytes>,
    is_closed: bool,
    /// The producer, while it waits for the slot to be empty.
    waiting: Option<Waker>,
}

type Producing = Pin<Box<dyn Future<Output = Result<(), Error>> + Send>>;

struct Streamed {
    producer: Option<Producing>,
    slot: Arc<Mutex<Slot>>,
}

impl Sender {
    /// Sends a piece; done when it was taken.
    pub async fn send(&self, piece: impl Into<Bytes>) -> Result<(), Closed> {
        let mut piece = Some(piece.into()).filter(|piece| !piece.is_empty());
        poll_fn(|cx| {
            let mut slot = self.0.lock().expect("no panic while held");
            match (slot.is_closed, slot.piece.is_none()) {
                (true, _) => return Poll::Ready(Err(Closed)),
                (false, true) if piece.is_none() => return Poll::Ready(Ok(())),
                (false, true) => slot.piece = piece.take(),
                (false, false) => (),
            }
            slot.waiting = Some(cx.waker().clone());
            Poll::Pending
        })
        .await
    }
}

impl Streamed {
    fn take(&self) -> Option<Bytes> {
        let mut slot = self.slot.lock().expect("no panic while held");
        let piece = slot.piece.take()?;
        if let Some(producer) = slot.waiting.take() {
            producer.wake();
        }
        Some(piece)
    }
}

impl http_body::Body for Streamed {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        if let Some(producer) = &mut self.producer {
            match producer.as_mut().poll(cx) {
                Poll::Ready(Ok(())) => self.producer = None,
                Poll::Ready(Err(error)) => {
                    self.producer = None;
                    return Poll::Ready(Some(Err(error)));
                }
                Poll::Pending => (),
            }
        }
        match (self.take(), &self.producer) {
            (Some(piece), _) => Poll::Ready(Some(Ok(Frame::data(piece)))),
            (None, Some(_)) => Poll::Pending,
            (None, None) => Poll::Ready(None),
        }
    }
}

impl Drop for Streamed {
    fn drop(&mut self) {
        let mut slot = self.slot.lock().expect("no panic while held");
        slot.is_closed = true;
        if let Some(producer) = slot.waiting.take() {
            producer.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::tests::now;

    async fn read(body: Body) -> Result<Vec<String>, String> {
        let mut body = body.into_data_stream();
        let mut pieces = Vec::new();
        while let Some(piece) = next(&mut body).await {
            pieces.push(String::from_utf8(piece.map_err(|error| error.to_string())?.to_vec()).unwrap());
        }
        Ok(pieces)
    }

    #[test]
    fn pieces_arrive_one_by_one_and_then_the_end() {
        let body = streamed(|out| async move {
            for piece in ["a", "", "b"] {
                out.send(piece).await?;
            }
            Ok(())
        });
        assert_eq!(now(read(body)), Ok(vec!["a".to_owned(), "b".to_owned()]));
    }

    #[test]
    fn a_producer_that_fails_breaks_the_body_off() {
        let body = streamed(|out| async move {
            out.send("a").await?;
            Err(Error::msg("no more"))
        });
        assert_eq!(now(read(body)), Err("no more".to_owned()));
    }

    #[test]
    fn a_sender_learns_that_nobody_reads() {
        let kept = Arc::new(Mutex::new(None));
        let keep = kept.clone();
        let body = streamed(move |out| async move {
            *keep.lock().unwrap() = Some(out);
            Ok(())
        });
        assert_eq!(now(read(body)), Ok(vec![]));
        let sender = kept.lock().unwrap().take().unwrap();
        assert_eq!(now(sender.send("late")), Err(Closed));
    }
}
