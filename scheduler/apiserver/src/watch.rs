//! Watches: what is there (when asked), then each change as it is committed, as one JSON document a line.
//!
//! A watch holds a cursor into the store's history and encodes only when its client reads, so a slow client costs no
//! memory; one that falls behind the history is told 410 and lists again. Only what is there at the start is held as it
//! is, for as long as the client goes on reading it.

mod definition;
mod events;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::CONTENT_TYPE;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use wasmk_api::kind::Kind;
use wasmk_api::{Object, Reason, Snapshot, Status};
use wasmk_store::{Batch, Scope, Store, Watch, WatchError};

use crate::request::ListOptions;
use crate::rest::{Presenter, Selection, too_large, watch_error};
use crate::shares::{Share, too_many};
use crate::{ApiServer, Identity, stall};
use definition::Definition;
use events::{Encoder, EventType, error_line, event_of};

/// A watch without a timeout of its own ends after this and up to as much again, so that they do not all come back
/// at once. Source: kube-apiserver's `--min-request-timeout`.
const TIMEOUT_SECONDS_MIN: u64 = 1800;
/// Who asks for more gets this: rights are looked at when a watch begins.
const TIMEOUT_SECONDS_MAX: u64 = 24 * 60 * 60;
/// One whose client takes nothing of what there is for this long is dropped.
const STALL_MAX: Duration = Duration::from_secs(60);
/// Each takes a few kilobytes. Operators and dashboards have some dozens, a node one for each thing its pods refer to.
pub(crate) const USER_WATCHES_MAX: usize = 4096;
const BOOKMARK_INTERVAL: Duration = Duration::from_secs(60);
/// Initial events are written in pieces of about this size, so that a large cluster is not encoded at once.
const CHUNK_BYTES: usize = 64 * 1024;

/// What a watch is about.
pub(crate) struct WatchRequest {
    pub(crate) kind: &'static Kind,
    /// Empty for all namespaces.
    pub(crate) namespace: String,
    pub(crate) selection: Selection,
    pub(crate) presenter: Presenter,
    pub(crate) options: ListOptions,
}

/// Begins a watch. What cannot begin fails as a request; what is too old fails as the watch's only event, as clients
/// expect.
pub(crate) fn watch(server: &ApiServer, identity: &Identity, request: WatchRequest) -> Result<Response, Status> {
    let share = match identity.is_control_plane() {
        true => None,
        false => Some(server.watches.take(identity.user.clone()).ok_or_else(|| too_many_watches(identity))?),
    };
    let settings = &server.settings;
    match WatchStream::begin(&server.store, request, settings.shutdown.clone()) {
        Ok(stream) => Ok(stream_response(stream.into_body(share, STALL_MAX, &settings.streams))),
        Err(WatchFailure::Refused(status)) => Err(status),
        Err(WatchFailure::Expired(status)) => Ok(stream_response(Body::from(error_line(&status)))),
    }
}

fn too_many_watches(identity: &Identity) -> Status {
    too_many(format!(
        "user {:?} has {USER_WATCHES_MAX} watches open, which is the most: end some of them",
        identity.user
    ))
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
        let mut scope = Scope::all(self.kind.resource_name());
        if let Some(namespace) = self.namespace() {
            scope = scope.in_namespace(namespace);
        }
        match self.selection.name() {
            Some(name) => scope.named(name),
            None => scope,
        }
    }

    fn initial(&self, snapshot: &Snapshot) -> VecDeque<Arc<Object>> {
        let listed = snapshot.list(self.kind.resource(), self.namespace());
        listed.filter(|object| self.selection.matches(object)).cloned().collect()
    }
}

fn timeout_seconds(options: &ListOptions) -> u64 {
    let asked = options.timeout_seconds.filter(|seconds| *seconds > 0);
    asked
        .map(|seconds| seconds.min(TIMEOUT_SECONDS_MAX))
        .unwrap_or_else(|| rand::random_range(TIMEOUT_SECONDS_MIN..2 * TIMEOUT_SECONDS_MIN))
}

fn every(interval: Duration) -> tokio::time::Interval {
    let mut interval = tokio::time::interval_at(Instant::now() + interval, interval);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    interval
}

/// The state of one running watch.
struct WatchStream {
    begin: Begin,
    selection: Selection,
    encoder: Encoder,
    bookmarks: Option<tokio::time::Interval>,
    /// Of a custom kind that is what it was.
    definition: Option<Definition>,
    /// The last revision that is told, once the kind has changed or gone.
    until: Option<u64>,
    deadline: Instant,
    shutdown: CancellationToken,
    ended: bool,
}

enum Wake {
    Batch(Option<Result<Batch, WatchError>>),
    /// The kind is no more what it was, at this revision.
    KindGone(u64),
    Bookmark,
    Deadline,
    Shutdown,
}

impl WatchStream {
    fn begin(store: &Arc<dyn Store>, request: WatchRequest, shutdown: CancellationToken) -> Result<Self, WatchFailure> {
        let begin = Begin::plan(&**store, &request)?;
        let seconds = timeout_seconds(&request.options);
        let bookmarks = request.options.allow_bookmarks.then(|| every(BOOKMARK_INTERVAL));
        Ok(Self {
            begin,
            selection: request.selection,
            encoder: Encoder::new(request.presenter),
            bookmarks,
            definition: Definition::of(request.kind, store),
            until: None,
            deadline: Instant::now() + Duration::from_secs(seconds),
            shutdown,
            ended: false,
        })
    }

    /// What the client reads; `share` is held until the watch has ended or is dropped.
    fn into_body(self, share: Option<Share<String>>, stall_max: Duration, tasks: &TaskTracker) -> Body {
        let stream = futures::stream::unfold(self, |mut stream| async move {
            let bytes = stream.next().await?;
            Some((Ok::<_, std::convert::Infallible>(bytes), stream))
        });
        stall::guard(Body::from_stream(stream), share, stall_max, tasks)
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
                Wake::KindGone(revision) => (self.definition, self.until) = (None, Some(revision)),
                Wake::Deadline | Wake::Shutdown | Wake::Batch(None) => self.end(&mut out),
            }
            if !self.ended && self.until.is_some_and(|until| self.begin.watch.progress() >= until) {
                self.end(&mut out);
            }
        }
        (!out.is_empty()).then(|| out.into())
    }

    /// The client goes on from the bookmark, at this server or at its successor.
    fn end(&mut self, out: &mut Vec<u8>) {
        self.write_bookmark(out);
        self.ended = true;
    }

    async fn wait(&mut self) -> Wake {
        let Self { bookmarks, definition, .. } = self;
        let bookmark_due = async {
            match bookmarks {
                Some(interval) => interval.tick().await,
                None => std::future::pending().await,
            }
        };
        let kind_gone = async {
            match definition {
                Some(definition) => definition.gone().await,
                None => std::future::pending().await,
            }
        };
        // Every arm is cancel-safe: a batch not returned comes next time, and the others are points in time.
        tokio::select! {
            biased;
            () = self.shutdown.cancelled() => Wake::Shutdown,
            () = tokio::time::sleep_until(self.deadline) => Wake::Deadline,
            revision = kind_gone => Wake::KindGone(revision),
            batch = self.begin.watch.next() => Wake::Batch(batch),
            _ = bookmark_due => Wake::Bookmark,
        }
    }

    fn write_initial(&mut self, out: &mut Vec<u8>) {
        if !self.begin.initial.is_empty() && Instant::now() >= self.deadline {
            return self.give_up(out);
        }
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

    /// The client reads so slowly that its time is over before it has seen what there is. To go on from what it has seen
    /// would leave out the rest.
    fn give_up(&mut self, out: &mut Vec<u8>) {
        self.begin.initial.clear();
        self.begin.initial_end = None;
        let message = "the watch's time is over before all that was there has been told: list again";
        out.extend_from_slice(&error_line(&Status::new(Reason::Expired, message)));
        self.ended = true;
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
