//! Views: a kind that is served in several groups or versions is stored in one of them. A reader of another one sees the
//! stored object converted; what a writer sends is converted before anything else looks at it. Rules, defaults and columns
//! of a kind are written for the stored form only.

use std::borrow::Cow;

use serde_json::{Value, json};

use super::Kind;
use crate::Key;
use crate::custom::{CRDS, ScalePaths};

impl Kind {
    /// `stored` in another group and version, of which nothing else is special; entries override what is.
    pub(crate) fn view_of(stored: &'static Kind, group: &'static str, version: &'static str) -> Self {
        Self { group, version, stored_as: Some(stored), ..stored.clone() }
    }

    /// The kind that objects of this one are stored as: itself, unless it is a view.
    pub fn stored(&'static self) -> &'static Kind {
        self.stored_as.unwrap_or(self)
    }

    /// What a reader of this kind sees of a stored object.
    pub fn shown<'a>(&self, object: &'a Value) -> Cow<'a, Value> {
        if let Some(custom) = self.custom {
            return crate::custom::shown(self, custom, object);
        }
        if self.stored_as.is_none() {
            return Cow::Borrowed(object);
        }
        let mut shown = object.clone();
        (self.from_stored)(&mut shown);
        shown["apiVersion"] = json!(self.api_version());
        shown["kind"] = json!(self.kind);
        Cow::Owned(shown)
    }

    /// Makes an object of this kind what it is stored as.
    pub(crate) fn convert_to_stored(&self, object: &mut Value) {
        if let Some(stored) = self.stored_as {
            (self.to_stored)(object);
            object["apiVersion"] = json!(stored.api_version());
            object["kind"] = json!(stored.kind);
        }
    }

    /// This kind in another version, if it is served in it, and in another form.
    pub(crate) fn in_version(&'static self, api_version: &str) -> Option<&'static Kind> {
        let mut others = super::all().iter().copied().filter(|other| *other != self && other.resource == self.resource);
        others.find(|other| other.api_version() == api_version)
    }

    /// An object of this kind as one of `other`, which is stored as the same.
    pub(crate) fn converted(&self, object: &Value, other: &Kind) -> Value {
        let mut object = object.clone();
        self.convert_to_stored(&mut object);
        other.shown(&object).into_owned()
    }

    /// The CustomResourceDefinition that made the kind.
    pub fn definition(&self) -> Option<Key> {
        self.custom.map(|_| Key::new(CRDS.clone(), "", self.resource.as_str()))
    }

    /// Where the kind keeps replicas, when that is not where Kubernetes' own kinds do.
    pub(crate) fn scale_paths(&self) -> Option<&'static ScalePaths> {
        self.custom?.scale.as_ref()
    }

    /// Where the stored form has a field that is selected by.
    pub fn stored_field<'a>(&self, field: &'a str) -> &'a str {
        self.selectable_as.iter().find(|(own, _)| *own == field).map_or(field, |(_, stored)| stored)
    }
}

/// Moves fields of an object from their first name to their second.
pub(super) fn rename(object: &mut Value, names: &[(&str, &str)]) {
    let Some(fields) = object.as_object_mut() else { return };
    for (from, to) in names {
        if let Some(value) = fields.remove(*from) {
            fields.insert((*to).to_owned(), value);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::kind;

    #[test]
    fn an_event_is_the_same_in_both_groups() {
        let core = json!({
            "apiVersion": "v1", "kind": "Event", "metadata": {"name": "e", "namespace": "default"},
            "involvedObject": {"kind": "Pod", "name": "p"}, "message": "Started", "reason": "Started",
            "reportingComponent": "agent", "source": {"component": "agent"}, "count": 2, "type": "Normal",
            "firstTimestamp": "2026-01-01T00:00:00Z", "lastTimestamp": "2026-01-01T00:00:01Z",
        });
        let view = kind::by_gvk("events.k8s.io", "v1", "Event").unwrap();
        let mut shown = view.shown(&core).into_owned();
        let expected = json!({
            "apiVersion": "events.k8s.io/v1", "kind": "Event", "metadata": {"name": "e", "namespace": "default"},
            "regarding": {"kind": "Pod", "name": "p"}, "note": "Started", "reason": "Started",
            "reportingController": "agent", "deprecatedSource": {"component": "agent"}, "deprecatedCount": 2,
            "deprecatedFirstTimestamp": "2026-01-01T00:00:00Z", "deprecatedLastTimestamp": "2026-01-01T00:00:01Z",
            "type": "Normal",
        });
        assert_eq!(shown, expected);
        view.convert_to_stored(&mut shown);
        assert_eq!(shown, core);
    }
}
