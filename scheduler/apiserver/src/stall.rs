//! Bodies that are dropped when their reader stands still, with all that they hold.
//!
//! A body is asked for more only while its client takes it, so it cannot notice by itself that nobody does: a task looks
//! after it.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes};
use http_body::{Frame, SizeHint};
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

/// `body`, which fails once its client has taken nothing of what there is for `limit`. `held` is held as long as the body
/// is. A body that waits for something to send is left alone.
pub(crate) fn guard(body: Body, held: impl Send + 'static, limit: Duration, tasks: &TaskTracker) -> Body {
    let state = State { inner: Some((body, held)), given: Some(Instant::now()) };
    let shared = Arc::new(Mutex::new(state));
    let alive = CancellationToken::new();
    tasks.spawn(alive.clone().run_until_cancelled_owned(look_after(Arc::downgrade(&shared), limit)));
    Body::new(Guarded { state: shared, _alive: alive.drop_guard() })
}

struct State<H> {
    inner: Option<(Body, H)>,
    /// When the client got what it has not yet asked to go on from; `None` while it waits for more.
    given: Option<Instant>,
}

/// The client took nothing for too long.
#[derive(Debug, thiserror::Error)]
#[error("the client has stopped reading")]
struct Stalled;

async fn look_after<H>(state: Weak<Mutex<State<H>>>, limit: Duration) {
    let mut due = Instant::now() + limit;
    loop {
        tokio::time::sleep_until(due).await;
        let Some(state) = state.upgrade() else { return };
        let now = Instant::now();
        let mut locked = lock(&state);
        due = locked.given.unwrap_or(now) + limit;
        if due <= now {
            let stalled = locked.inner.take();
            // Not under the lock: it may be a whole list.
            drop(locked);
            return drop(stalled);
        }
    }
}

fn lock<H>(state: &Mutex<State<H>>) -> MutexGuard<'_, State<H>> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Guarded<H> {
    state: Arc<Mutex<State<H>>>,
    /// Ends the task that looks after it.
    _alive: DropGuard,
}

impl<H: Send + 'static> http_body::Body for Guarded<H> {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let mut state = lock(&self.state);
        let Some((body, _)) = &mut state.inner else { return Poll::Ready(Some(Err(axum::Error::new(Stalled)))) };
        let polled = Pin::new(body).poll_frame(context);
        state.given = polled.is_ready().then(Instant::now);
        polled
    }

    fn is_end_stream(&self) -> bool {
        lock(&self.state).inner.as_ref().is_some_and(|(body, _)| body.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        lock(&self.state).inner.as_ref().map(|(body, _)| body.size_hint()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use futures::StreamExt;
    use tokio::sync::mpsc;

    use super::*;

    const LIMIT: Duration = Duration::from_millis(20);

    /// The guarded end of a pipe, and what tells when that is dropped.
    fn piped(tasks: &TaskTracker) -> (mpsc::Sender<&'static str>, axum::body::BodyDataStream, mpsc::Receiver<()>) {
        let (sender, receiver) = mpsc::channel(4);
        let (held, dropped) = mpsc::channel(1);
        let pieces = futures::stream::unfold(receiver, |mut receiver: mpsc::Receiver<&str>| async {
            Some((Ok::<_, Infallible>(receiver.recv().await?), receiver))
        });
        (sender, guard(Body::from_stream(pieces), held, LIMIT, tasks).into_data_stream(), dropped)
    }

    #[tokio::test]
    async fn who_stops_reading_loses_the_body() {
        let tasks = TaskTracker::new();
        let (sender, mut body, mut dropped) = piped(&tasks);
        for piece in ["a", "b"] {
            sender.send(piece).await.unwrap();
        }
        assert_eq!(body.next().await.unwrap().unwrap(), "a");
        assert_eq!(dropped.recv().await, None);
        assert!(body.next().await.unwrap().unwrap_err().to_string().contains("stopped reading"));
        tasks.close();
        tasks.wait().await;
    }

    #[tokio::test]
    async fn who_waits_for_more_is_waited_for() {
        let tasks = TaskTracker::new();
        let (sender, mut body, mut dropped) = piped(&tasks);
        let read = tokio::spawn(async move { (body.next().await.unwrap().unwrap(), body) });
        // Another body that nobody reads goes meanwhile: so long this one has waited at least.
        let (_other, unread, mut gone) = piped(&tasks);
        assert_eq!(gone.recv().await, None);
        assert!(dropped.try_recv().is_err_and(|error| error == mpsc::error::TryRecvError::Empty));
        sender.send("a").await.unwrap();
        let (piece, body) = read.await.unwrap();
        assert_eq!(piece, "a");
        drop((body, unread));
        assert_eq!(dropped.recv().await, None);
        tasks.close();
        tasks.wait().await;
    }
}
