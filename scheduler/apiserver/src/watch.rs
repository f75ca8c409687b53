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

fn timeout_seconds(options: &ListOptions) -> u64 {
    let asked = options.timeout_seconds.filter(|seconds| *seconds > 0);
    asked.unwrap_or_else(|| rand::random_range(TIMEOUT_SECONDS_MIN..2 * TIMEOUT_SECONDS_MIN))
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
        let seconds = timeout_seconds(&request.options);
        let bookmarks = request.options.allow_bookmarks.then(|| every(BOOKMARK_INTERVAL));
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
                // The client goes on from the bookmark, at this server or at its successor.
                Wake::Deadline | Wake::Shutdown | Wake::Batch(None) => {
                    self.write_bookmark(&mut out);
                    self.ended = true;
                }
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

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use wasmk_api::{Key, Op, Precondition, Transaction, kind};
    use wasmk_store::MemoryStore;

    use super::*;
    use crate::request::Query;

    fn request(query: &str) -> WatchRequest {
        let kind = kind::by_path("", "v1", "configmaps").unwrap();
        let options = ListOptions::parse_watch(&Query::parse(query)).unwrap();
        WatchRequest {
            resource: kind.resource_name(),
            namespace: "default".to_owned(),
            selection: Selection::parse(kind, &options).unwrap(),
            presenter: Presenter::json(kind),
            options,
        }
    }

    fn start(store: &dyn Store, query: &str) -> WatchStream {
        let request = request(query);
        let begin = Begin::plan(store, &request).unwrap_or_else(|_| panic!("the watch begins"));
        WatchStream::new(request, begin, CancellationToken::new())
    }

    async fn put(store: &dyn Store, name: &str) {
        let value = json!({"metadata": {"namespace": "default", "name": name}});
        let op = Op::Put { key: Key::new("configmaps", "default", name), value, precondition: Precondition::Any };
        store.commit(Transaction { ops: vec![op] }).await.unwrap();
    }

    #[tokio::test]
    async fn bookmarks_come_again_and_again() {
        let store = MemoryStore::new();
        put(&store, "a").await;
        let mut stream = start(&store, "resourceVersion=1&allowWatchBookmarks=true");
        stream.bookmarks = Some(every(Duration::from_millis(5)));
        for _ in 0..3 {
            let bytes = stream.next().await.unwrap();
            let event: Value = serde_json::from_slice(&bytes).unwrap();
            assert_eq!(
                (&event["type"], &event["object"]["metadata"]["resourceVersion"]),
                (&json!("BOOKMARK"), &json!("1"))
            );
        }
    }

    #[test]
    fn times_are_those_of_kubernetes() {
        assert_eq!(BOOKMARK_INTERVAL, Duration::from_secs(60));
        let seconds = |query: &str| timeout_seconds(&request(query).options);
        assert_eq!(seconds("timeoutSeconds=7"), 7);
        assert!((1800..3600).contains(&seconds("")));
        assert!((1800..3600).contains(&seconds("timeoutSeconds=0")));
    }

    #[tokio::test]
    async fn what_waits_is_written_in_pieces() {
        let store = MemoryStore::new();
        for number in 0..2000 {
            put(&store, &format!("a-config-map-with-quite-a-long-name-{number}")).await;
        }
        let mut stream = start(&store, "");
        let mut events = 0;
        while events < 2000 {
            let bytes = stream.next().await.unwrap();
            assert!(bytes.len() < 2 * CHUNK_BYTES, "{}", bytes.len());
            events += bytes.iter().filter(|byte| **byte == b'\n').count();
        }
    }
}
