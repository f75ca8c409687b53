//! Watches: what is there (when asked), then each change as it is committed, as one JSON document a line.
//!
//! A watch holds a cursor into the store's history and encodes only when its client reads, so a slow client costs no
//! memory; one that falls behind the history is told 410 and lists again.

mod events;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::CONTENT_TYPE;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;
use wasmk_api::{Object, ResourceName, Snapshot, Status};
use wasmk_store::{Batch, Scope, Store, Watch, WatchError};

use crate::request::ListOptions;
use crate::rest::{Presenter, Selection, too_large, watch_error};
use events::{Encoder, EventType, error_line, event_of};

/// A watch without a timeout of its own ends after this and up to as much again, so that they do not all come back
/// at once. Source: kube-apiserver's `--min-request-timeout`.
const TIMEOUT_SECONDS_MIN: u64 = 1800;
const BOOKMARK_INTERVAL: Duration = Duration::from_secs(60);
/// Initial events are written in pieces of about this size, so that a large cluster is not encoded at once.
const CHUNK_BYTES: usize = 64 * 1024;

/// What a watch is about.
pub(crate) struct WatchRequest {
    pub(crate) resource: ResourceName,
    /// Empty for all namespaces.
    pub(crate) namespace: String,
    pub(crate) selection: Selection,
    pub(crate) presenter: Presenter,
    pub(crate) options: ListOptions,
}

/// Begins a watch. What cannot begin fails as a request; what is too old fails as the watch's only event, as clients
/// expect.
pub(crate) fn watch(store: &dyn Store, request: WatchRequest, shutdown: CancellationToken) -> Result<Response, Status> {
    let begin = match Begin::plan(store, &request) {
        Ok(begin) => begin,
        Err(WatchFailure::Refused(status)) => return Err(status),
        Err(WatchFailure::Expired(status)) => return Ok(stream_response(Body::from(error_line(&status)))),
    };
    let stream = futures::stream::unfold(WatchStream::new(request, begin, shutdown), |mut stream| async move {
        let bytes = stream.next().await?;
        Some((Ok::<_, std::convert::Infallible>(bytes), stream))
    });
    Ok(stream_response(Body::from_stream(stream)))
}

fn stream_response(body: Body) -> Response {
    (StatusCode::OK, [(CONTENT_TYPE, "application/json")], body).into_response()
}

enum WatchFailure {
    Refused(Status),
    Expired(Status),
}

/// Where a watch begins.
struct Begin {
    /// Told as ADDED before anything else.
    initial: VecDeque<Arc<Object>>,
    /// At which a bookmark ends the initial events, when the client asked for it.
    initial_end: Option<u64>,
    watch: Watch,
}

impl Begin {
    fn plan(store: &dyn Store, request: &WatchRequest) -> Result<Self, WatchFailure> {
        let options = &request.options;
        let wanted = options.resource_version.unwrap_or(0);
        let snapshot = store.snapshot();
        if wanted > snapshot.revision() {
            return Err(WatchFailure::Refused(too_large(wanted, snapshot.revision())));
        }
        let tell_initial = options.send_initial_events.unwrap_or(wanted == 0);
        let after = if wanted == 0 || tell_initial { snapshot.revision() } else { wanted };
        let watch = store.watch(after, request.scope()).map_err(|error| match error {
            WatchError::Compacted { .. } => WatchFailure::Expired(watch_error(error, after)),
            error => WatchFailure::Refused(watch_error(error, after)),
        })?;
        let initial = if tell_initial { request.initial(&snapshot) } else { VecDeque::new() };
        let initial_end = (options.send_initial_events == Some(true) && options.allow_bookmarks).then_some(after);
        Ok(Self { initial, initial_end, watch })
    }
}

impl WatchRequest {
    fn namespace(&self) -> Option<&str> {
        if self.namespace.is_empty() { self.selection.namespace() } else { Some(&self.namespace) }
    }

    fn scope(&self) -> Scope {
        let mut scope = Scope::all(self.resource.clone());
        if let Some(namespace) = self.namespace() {
            scope = scope.in_namespace(namespace);
        }
        match self.selection.name() {
            Some(name) => scope.named(name),
            None => scope,
        }
    }

    fn initial(&self, snapshot: &Snapshot) -> VecDeque<Arc<Object>> {
        let listed = snapshot.list(&self.resource, self.namespace());
        listed.filter(|object| self.selection.matches(object)).cloned().collect()
    }
}

/// The state of one running watch.
struct WatchStream {
    begin: Begin,
    selection: Selection,
    encoder: Encoder,
    bookmarks: Option<tokio::time::Interval>,
    deadline: Instant,
    shutdown: CancellationToken,
    ended: bool,
}

enum Wake {
    Batch(Option<Result<Batch, WatchError>>),
    Bookmark,
    Deadline,
    Shutdown,
}

impl WatchStream {
    fn new(request: WatchRequest, begin: Begin, shutdown: CancellationToken) -> Self {
        let seconds = request
            .options
            .timeout_seconds
            .filter(|seconds| *seconds > 0)
            .unwrap_or_else(|| rand::random_range(TIMEOUT_SECONDS_MIN..2 * TIMEOUT_SECONDS_MIN));
        let bookmarks = request.options.allow_bookmarks.then(|| {
            let mut interval = tokio::time::interval_at(Instant::now() + BOOKMARK_INTERVAL, BOOKMARK_INTERVAL);
            interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
            interval
        });
        Self {
            begin,
            selection: request.selection,
            encoder: Encoder::new(request.presenter),
            bookmarks,
            deadline: Instant::now() + Duration::from_secs(seconds),
            shutdown,
            ended: false,
        }
    }

    /// The next bytes for the client; `None` when the watch has ended.
    async fn next(&mut self) -> Option<Bytes> {
        let mut out = Vec::new();
        self.write_initial(&mut out);
        while out.is_empty() && !self.ended {
            match self.wait().await {
                Wake::Batch(Some(Ok(batch))) => self.write_batch(&batch, &mut out),
                Wake::Batch(Some(Err(error))) => self.fail(error, &mut out),
                Wake::Bookmark => self.write_bookmark(&mut out),
                Wake::Deadline => {
                    self.write_bookmark(&mut out);
                    self.ended = true;
                }
                Wake::Batch(None) | Wake::Shutdown => self.ended = true,
            }
        }
        (!out.is_empty()).then(|| out.into())
    }

    async fn wait(&mut self) -> Wake {
        let bookmarks = &mut self.bookmarks;
        let bookmark_due = async {
            match bookmarks {
                Some(interval) => interval.tick().await,
                None => std::future::pending().await,
            }
        };
        // Every arm is cancel-safe: a batch not returned comes next time, and the others are points in time.
        tokio::select! {
            biased;
            () = self.shutdown.cancelled() => Wake::Shutdown,
            () = tokio::time::sleep_until(self.deadline) => Wake::Deadline,
            batch = self.begin.watch.next() => Wake::Batch(batch),
            _ = bookmark_due => Wake::Bookmark,
        }
    }

    fn write_initial(&mut self, out: &mut Vec<u8>) {
        while out.len() < CHUNK_BYTES {
            let Some(object) = self.begin.initial.pop_front() else { break };
            self.encoder.object(EventType::Added, &object, out);
        }
        if self.begin.initial.is_empty()
            && let Some(revision) = self.begin.initial_end.take()
        {
            self.encoder.bookmark(revision, true, out);
        }
    }

    /// Writes the batch and whatever else waits, up to a piece.
    fn write_batch(&mut self, batch: &Batch, out: &mut Vec<u8>) {
        self.write_changes(batch, out);
        while out.len() < CHUNK_BYTES {
            match self.begin.watch.try_next() {
                Some(Ok(Some(batch))) => self.write_changes(&batch, out),
                Some(Ok(None)) | None => return,
                Some(Err(error)) => return self.fail(error, out),
            }
        }
    }

    fn fail(&mut self, error: WatchError, out: &mut Vec<u8>) {
        let status = watch_error(error, self.begin.watch.progress());
        out.extend_from_slice(&error_line(&status));
        self.ended = true;
    }

    fn write_changes(&mut self, batch: &Batch, out: &mut Vec<u8>) {
        for change in batch.changes.iter() {
            if let Some((event, object)) = event_of(change, &self.selection) {
                self.encoder.object(event, &object, out);
            }
        }
    }

    fn write_bookmark(&mut self, out: &mut Vec<u8>) {
        if self.bookmarks.is_some() {
            let revision = self.begin.watch.progress();
            self.encoder.bookmark(revision, false, out);
        }
    }
}
