//! How many streams there may be at once: connections that were upgraded, logs, and what pods answer through a proxy.

use std::sync::Arc;

use axum::body::Body;
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tracing::debug;
use wasmk_api::Status;

use super::IDLE_TIMEOUT;
use crate::rest::Call;
use crate::shares::{Share, Shares, too_many};
use crate::{ApiServer, stall};

/// They are outside the bounds of the listener and of the queue. Each may have 256 KiB on its way from a node, and nodes
/// take some thousands at once.
const STREAMS_MAX: usize = 1024;
/// Few people can take all of them only together.
const USER_STREAMS_MAX: usize = STREAMS_MAX / 4;

/// The streams that are open.
pub(crate) struct Streams {
    all: Arc<Semaphore>,
    users: Arc<Shares<String>>,
}

impl Default for Streams {
    fn default() -> Self {
        Self { all: Arc::new(Semaphore::new(STREAMS_MAX)), users: Shares::new(USER_STREAMS_MAX) }
    }
}

/// The right to one stream.
pub(crate) struct Slot {
    _of_all: OwnedSemaphorePermit,
    _of_user: Share<String>,
}

impl Slot {
    pub(crate) fn take(call: &Call) -> Result<Self, Status> {
        let Streams { all, users } = &call.server.streams;
        let user = &call.identity.user;
        let of_user = users.take(user.clone()).ok_or_else(|| {
            too_many(format!("user {user:?} has {USER_STREAMS_MAX} streams open, which is the most: end some of them"))
        })?;
        let of_all = all.clone().try_acquire_owned();
        let of_all = of_all.map_err(|_| too_many("Too many requests, please try again later."))?;
        Ok(Self { _of_all: of_all, _of_user: of_user })
    }

    /// Goes on with the connection of a request once its 101 is sent, until `work` is done or the server stops.
    pub(super) fn spawn<F>(
        self,
        server: &Arc<ApiServer>,
        upgrade: OnUpgrade,
        work: impl FnOnce(TokioIo<Upgraded>) -> F + Send + 'static,
    ) where
        F: Future<Output = ()> + Send + 'static,
    {
        let shutdown = server.settings.shutdown.clone();
        server.settings.streams.spawn(async move {
            let slot = self;
            let work = async {
                match upgrade.await {
                    Ok(connection) => work(TokioIo::new(connection)).await,
                    Err(error) => debug!(%error, "the client did not upgrade"),
                }
            };
            // When the server stops, dropping the work closes both connections.
            tokio::select! {
                () = work => {}
                () = shutdown.cancelled() => {}
            }
            drop(slot);
        });
    }

    /// The body, which has the slot until it ends or its client has stopped reading.
    pub(crate) fn hold(self, server: &ApiServer, body: Body) -> Body {
        stall::guard(body, self, IDLE_TIMEOUT, &server.settings.streams)
    }
}
