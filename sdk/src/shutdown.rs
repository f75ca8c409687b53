//! An orderly end of a program that runs as a process.
//!
//! WASI has no signals. What a guest can see of its end is that its standard input ends. In the manifest:
//!
//! ```yaml
//! terminationGracePeriodSeconds: 30
//! containers:
//!   - name: worker
//!     stdin: true # kept open while the pod lives, closed when it is to end
//! ```
//!
//! When the pod is deleted, or its node stops, the node first leads no more connections to it, then ends the input, and waits for the
//! program to exit by itself until the grace period is over. A program without `stdin` ends where it is.
//!
//! ```no_run
//! # async fn next_job() -> String { String::new() }
//! # async fn work(_: String) {}
//! # async fn put_away() {}
//! use wasmk_sdk::shutdown::Shutdown;
//!
//! # async fn example() {
//! let shutdown = Shutdown::listen();
//! while let Some(job) = shutdown.or(next_job()).await {
//!     work(job).await; // is not interrupted
//! }
//! put_away().await;
//! # }
//! ```
//!
//! A handler needs none of this: the node waits for the requests that it serves, and it holds nothing between them.
//! Outside of wasmk the same happens at the end of any other standard input: Ctrl-D in a terminal, a pipe whose writer has gone.

use std::cell::Cell;
use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

use wstd::__internal::wasip2::cli::stdin::get_stdin;
use wstd::__internal::wasip2::io::streams::{InputStream, StreamError};
use wstd::runtime::AsyncPollable;

/// What is read at once of an input that nobody wants.
const BYTES_MAX: u64 = 4096;

/// Hears of the end. To be made first thing in `main`; it takes the standard input for itself.
#[derive(Debug)]
pub struct Shutdown {
    input: InputStream,
    state: Cell<State>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Running,
    Requested,
    /// There was no input to begin with: nothing will be heard.
    Deaf,
}

impl Shutdown {
    /// Warns in the log if there is no input, and then never hears anything.
    pub fn listen() -> Self {
        let shutdown = Self { input: get_stdin(), state: Cell::new(State::Running) };
        if shutdown.look() == State::Requested {
            shutdown.state.set(State::Deaf);
            tracing::warn!(
                "the standard input is closed, so the end of this program will come unannounced; set stdin: true in the container's spec"
            );
        }
        shutdown
    }

    /// Whether the program is to end. For loops that never wait.
    pub fn is_requested(&self) -> bool {
        self.look() == State::Requested
    }

    /// Waits until the program is to end.
    pub async fn requested(&self) {
        while !self.is_requested() {
            match self.state.get() {
                State::Deaf => std::future::pending().await,
                _ => AsyncPollable::new(self.input.subscribe()).wait_for().await,
            }
        }
    }

    /// What `future` answers; `None`, and the future is dropped, if the program is to end before.
    pub async fn or<F: Future>(&self, future: F) -> Option<F::Output> {
        if self.is_requested() {
            return None;
        }
        let (mut future, mut requested) = (pin!(future), pin!(self.requested()));
        // The answer comes first, so that nothing is lost that was already taken from somewhere.
        poll_fn(|context| match future.as_mut().poll(context) {
            Poll::Ready(value) => Poll::Ready(Some(value)),
            Poll::Pending => requested.as_mut().poll(context).map(|()| None),
        })
        .await
    }

    /// Reads what is there, and throws it away.
    fn look(&self) -> State {
        while self.state.get() == State::Running {
            match self.input.read(BYTES_MAX) {
                Ok(bytes) if bytes.is_empty() => break,
                Ok(_) => (),
                Err(StreamError::Closed | StreamError::LastOperationFailed(_)) => self.state.set(State::Requested),
            }
        }
        self.state.get()
    }
}
