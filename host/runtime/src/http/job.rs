use crate::{Body, CallError};
use http::{Request, Response};
use std::sync::{Arc, Mutex};
use tokio::sync::{OwnedSemaphorePermit, oneshot};
use wasmtime_wasi_http::WasiBody;

/// One request on its way to an instance.
pub(super) struct Job {
    pub(super) request: Request<WasiBody>,
    pub(super) reply: Reply,
    /// `Ok` when the response was read to its end, `Err` when the client left before.
    pub(super) departure: oneshot::Receiver<()>,
    pub(super) slot: OwnedSemaphorePermit,
}

type Answer = Result<Response<Body>, CallError>;

/// Where the head of the response goes, once; later ones are dropped.
#[derive(Clone)]
pub(super) struct Reply(Arc<Mutex<Option<oneshot::Sender<Answer>>>>);

impl Reply {
    pub(super) fn new(sender: oneshot::Sender<Answer>) -> Self {
        Reply(Arc::new(Mutex::new(Some(sender))))
    }

    /// False if an answer was sent before.
    pub(super) fn send(&self, answer: Answer) -> bool {
        let Some(sender) = self.0.lock().unwrap().take() else { return false };
        let _ = sender.send(answer); // the client may have left
        true
    }

    pub(super) fn is_sent(&self) -> bool {
        self.0.lock().unwrap().is_none()
    }
}
