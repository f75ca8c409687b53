//! How changes become watch events.

use std::sync::Arc;

use axum::body::Bytes;
use serde_json::{Value, json};
use wasmk_api::{Change, ChangeKind, Object, Status};

use crate::rest::{Presenter, Selection};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum EventType {
    Added,
    Modified,
    Deleted,
}

impl EventType {
    fn as_str(self) -> &'static str {
        match self {
            Self::Added => "ADDED",
            Self::Modified => "MODIFIED",
            Self::Deleted => "DELETED",
        }
    }
}

/// What a change means to who watches `selection`; `None` when it is not about them. An object that leaves the
/// selection is deleted as far as they can tell: they get its last matching state, at the revision of the change.
pub(crate) fn event_of(change: &Change, selection: &Selection) -> Option<(EventType, Arc<Object>)> {
    let matched = change.previous.as_ref().filter(|previous| selection.matches(previous));
    let matches = change.kind != ChangeKind::Deleted && selection.matches(&change.object);
    match (matched, matches) {
        (None, true) => Some((EventType::Added, change.object.clone())),
        (Some(_), true) => Some((EventType::Modified, change.object.clone())),
        (Some(_), false) if change.kind == ChangeKind::Deleted => Some((EventType::Deleted, change.object.clone())),
        (Some(previous), false) => {
            let (key, revision) = (change.object.key().clone(), change.object.revision());
            Some((EventType::Deleted, Object::new(key, revision, previous.value().clone())))
        }
        (None, false) => None,
    }
}

/// Writes events, one JSON document a line.
pub(crate) struct Encoder {
    presenter: Presenter,
    /// A Table's column definitions go with the first event only.
    first: bool,
}

impl Encoder {
    pub(crate) fn new(presenter: Presenter) -> Self {
        Self { presenter, first: true }
    }

    pub(crate) fn object(&mut self, event: EventType, object: &Arc<Object>, out: &mut Vec<u8>) {
        let encoded = self.presenter.one_of_many(object, std::mem::take(&mut self.first));
        line(event.as_str(), &encoded, out);
    }

    /// Says how far the watch has come, and with `initial_end` that what was there at the start has been told.
    pub(crate) fn bookmark(&mut self, revision: u64, initial_end: bool, out: &mut Vec<u8>) {
        let mut object = self.presenter.empty();
        object["metadata"] = json!({"resourceVersion": revision.to_string(), "creationTimestamp": null});
        if initial_end {
            object["metadata"]["annotations"] = json!({"k8s.io/initial-events-end": "true"});
        }
        line("BOOKMARK", &encode(&object), out);
    }
}

/// The last event of a watch that failed after it had begun.
pub(crate) fn error_line(status: &Status) -> Vec<u8> {
    let mut out = Vec::new();
    line("ERROR", &encode(&status.to_json()), &mut out);
    out
}

fn line(event: &str, object: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"type\":\"");
    out.extend_from_slice(event.as_bytes());
    out.extend_from_slice(b"\",\"object\":");
    out.extend_from_slice(object);
    out.extend_from_slice(b"}\n");
}

fn encode(value: &Value) -> Bytes {
    Bytes::from(serde_json::to_vec(value).expect("JSON values always encode"))
}
