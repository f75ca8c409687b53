use std::fmt;

use jiff::Timestamp;
use serde_json::Value;
use wasmk_api::write::{Part, Propagation};
use wasmk_api::{Key, Object, ResourceName};

use crate::Reason;

/// What a controller wants done about one key: one transaction, then the events, then a look at `wake_at`.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Plan {
    /// At most one action for each object.
    pub actions: Vec<Action>,
    /// To be recorded only once the actions are committed.
    pub events: Vec<EventRecord>,
    /// When the same snapshot could give another plan; `None` if only a change can.
    pub wake_at: Option<Timestamp>,
}

#[derive(Clone, PartialEq, Debug)]
pub struct Action {
    pub write: Write,
    pub reason: Reason,
}

/// What to put through [`wasmk_api::write`], which fills in defaults, uid, times and generation.
#[derive(Clone, PartialEq, Debug)]
pub enum Write {
    /// Only if there is none of this name. `value` has `apiVersion`, `kind` and a final `metadata.name`, never a
    /// `generateName`: names are derived from the snapshot, so that a plan made twice cannot create twice.
    Create { key: Key, value: Value },
    /// `value` is the whole object; `part` says which of it may be changed, [`Part::Both`] when that is more than one.
    Update { key: Key, revision: u64, value: Value, part: Part },
    /// With the meaning of an API deletion: grace period and finalizers are respected.
    Delete { key: Key, uid: String, revision: u64, grace_seconds: Option<i64>, propagation: Option<Propagation> },
}

/// One occurrence of something worth telling the user. The driver merges repeats and writes the Event object.
#[derive(Clone, PartialEq, Debug)]
pub struct EventRecord {
    pub about: Key,
    /// The object's `apiVersion`, `kind` and `metadata.uid`, for `involvedObject`.
    pub api_version: String,
    pub kind: String,
    pub uid: String,
    pub event_type: EventType,
    pub reason: Reason,
    pub message: String,
    /// `reportingComponent` and `source.component`.
    pub component: &'static str,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum EventType {
    Normal,
    Warning,
}

impl Plan {
    pub fn is_empty(&self) -> bool {
        self.actions.is_empty() && self.events.is_empty()
    }

    pub(crate) fn wake(&mut self, at: Timestamp) {
        self.wake_at = Some(self.wake_at.map_or(at, |known| known.min(at)));
    }

    pub(crate) fn wake_maybe(&mut self, at: Option<Timestamp>) {
        if let Some(at) = at {
            self.wake(at);
        }
    }

    pub(crate) fn create(&mut self, resource: &str, value: Value, reason: Reason) {
        let metadata = &value["metadata"];
        let namespace = metadata["namespace"].as_str().unwrap_or_default();
        let name = metadata["name"].as_str().expect("invariant: planned objects have a name");
        let key = Key::new(ResourceName::from(resource), namespace, name);
        self.actions.push(Action { write: Write::Create { key, value }, reason });
    }

    /// Nothing if `value` is what is already stored.
    pub(crate) fn update(&mut self, object: &Object, value: Value, part: Part, reason: Reason) {
        if value != *object.value() {
            let write = Write::Update { key: object.key().clone(), revision: object.revision(), value, part };
            self.actions.push(Action { write, reason });
        }
    }

    pub(crate) fn delete(&mut self, object: &Object, reason: Reason) {
        self.delete_with(object, None, None, reason);
    }

    pub(crate) fn delete_with(
        &mut self,
        object: &Object,
        grace_seconds: Option<i64>,
        propagation: Option<Propagation>,
        reason: Reason,
    ) {
        let (key, uid) = (object.key().clone(), object.uid().to_owned());
        let write = Write::Delete { key, uid, revision: object.revision(), grace_seconds, propagation };
        self.actions.push(Action { write, reason });
    }

    pub(crate) fn event(
        &mut self,
        component: &'static str,
        about: &Object,
        event_type: EventType,
        reason: Reason,
        message: impl Into<String>,
    ) {
        let text = |field: &str| about.value()[field].as_str().unwrap_or_default().to_owned();
        self.events.push(EventRecord {
            about: about.key().clone(),
            api_version: text("apiVersion"),
            kind: text("kind"),
            uid: about.uid().to_owned(),
            event_type,
            reason,
            message: message.into(),
            component,
        });
    }
}

/// One line an action and an event; what the tests compare.
impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Action { write, reason } in &self.actions {
            match write {
                Write::Create { key, .. } => writeln!(f, "create {key} ({reason})")?,
                Write::Update { key, part, .. } => writeln!(f, "update {key} {part:?} ({reason})")?,
                Write::Delete { key, grace_seconds: Some(grace), .. } => {
                    writeln!(f, "delete {key} within {grace} s ({reason})")?;
                }
                Write::Delete { key, .. } => writeln!(f, "delete {key} ({reason})")?,
            }
        }
        for event in &self.events {
            writeln!(f, "{:?} {} {}: {}", event.event_type, event.reason, event.about, event.message)?;
        }
        match self.wake_at {
            Some(at) => writeln!(f, "wake at {at}"),
            None => Ok(()),
        }
    }
}

impl Write {
    pub fn key(&self) -> &Key {
        match self {
            Write::Create { key, .. } | Write::Update { key, .. } | Write::Delete { key, .. } => key,
        }
    }
}
