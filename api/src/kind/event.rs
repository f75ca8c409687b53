use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::view::rename;
use super::{Kind, table};
use crate::field::{Faults, Field};
use crate::{Cause, names};

pub(super) fn kind() -> Kind {
    Kind {
        short_names: &["ev"],
        columns: &table::EVENT,
        selectable: &[
            "involvedObject.kind",
            "involvedObject.namespace",
            "involvedObject.name",
            "involvedObject.uid",
            "involvedObject.apiVersion",
            "involvedObject.resourceVersion",
            "involvedObject.fieldPath",
            "reason",
            "reportingComponent",
            "source",
            "type",
        ],
        validate: |event, faults| validate(event, "reportingComponent", faults),
        ..Kind::plain("", "v1", "Event", "EventList", "events", "event")
    }
}

/// What core/v1 and events.k8s.io/v1 name differently. Source: `pkg/apis/events/v1/conversion.go`.
const NAMES: [(&str, &str); 7] = [
    ("involvedObject", "regarding"),
    ("message", "note"),
    ("source", "deprecatedSource"),
    ("firstTimestamp", "deprecatedFirstTimestamp"),
    ("lastTimestamp", "deprecatedLastTimestamp"),
    ("count", "deprecatedCount"),
    ("reportingComponent", "reportingController"),
];

/// The same objects in the group `events.k8s.io`.
pub(super) fn events_v1(stored: &'static Kind) -> Kind {
    Kind {
        selectable: &[
            "reason",
            "regarding.kind",
            "regarding.namespace",
            "regarding.name",
            "regarding.uid",
            "regarding.apiVersion",
            "regarding.resourceVersion",
            "regarding.fieldPath",
            "reportingController",
            "type",
        ],
        selectable_as: &[
            ("regarding.kind", "involvedObject.kind"),
            ("regarding.namespace", "involvedObject.namespace"),
            ("regarding.name", "involvedObject.name"),
            ("regarding.uid", "involvedObject.uid"),
            ("regarding.apiVersion", "involvedObject.apiVersion"),
            ("regarding.resourceVersion", "involvedObject.resourceVersion"),
            ("regarding.fieldPath", "involvedObject.fieldPath"),
            ("reportingController", "reportingComponent"),
        ],
        from_stored: |event| rename(event, &NAMES),
        to_stored: |event| rename(event, &NAMES.map(|(core, events)| (events, core))),
        validate: |event, faults| validate(event, "reportingController", faults),
        validate_create: validate_new,
        validate_update,
        ..Kind::view_of(stored, "events.k8s.io", "v1")
    }
}

/// Kubernetes' own bounds.
const NAME_LENGTH_MAX: usize = 128;
const NOTE_LENGTH_MAX: usize = 1024;

/// `controller` is what the request's version calls the reporting controller. Source: `legacyValidateEvent`.
fn validate(event: &Field, controller: &str, faults: &mut Faults) {
    validate_namespace(event, faults);
    faults.one_of(&event.get("type"), &["Normal", "Warning"]);
    if !event.get("eventTime").is_set() {
        return;
    }
    let reporter = Field { path: controller.to_owned(), value: &event.value["reportingComponent"] };
    faults.require(&reporter, "");
    faults.named(&reporter, names::check_qualified_name(reporter.text()));
    for field in ["reportingInstance", "action", "reason"].map(|name| event.get(name)) {
        faults.require(&field, "");
        at_most(&field, NAME_LENGTH_MAX, faults);
    }
    at_most(&event.get("message"), NOTE_LENGTH_MAX, faults);
}

/// An event with a time of its own may be about a cluster-scoped object from `kube-system` too.
fn validate_namespace(event: &Field, faults: &mut Faults) {
    let (about, within) = (event.get("involvedObject").get("namespace"), event.get("metadata").get("namespace"));
    let fits = match about.text() {
        "" => within.text() == "default" || within.text() == "kube-system" && event.get("eventTime").is_set(),
        namespace => within.text() == namespace || event.get("eventTime").is_set(),
    };
    if !fits {
        faults.invalid(&about, "does not match event.namespace");
    }
}

/// What the newer group asks of new events. Source: `ValidateEventCreate`.
fn validate_new(event: &Field, faults: &mut Faults) {
    faults.require(&event.get("eventTime"), "");
    if event.get("type").is_empty() {
        faults.push(invalid("type", "has invalid value: "));
    }
    for field in ["firstTimestamp", "lastTimestamp", "count", "source"].map(|name| event.get(name)) {
        if !field.is_empty() {
            faults.push(invalid(&field.path, "needs to be unset"));
        }
    }
    validate_series(&event.get("series"), faults);
}

fn validate_series(series: &Field, faults: &mut Faults) {
    if !series.is_set() {
        return;
    }
    let count = series.get("count");
    if count.int().unwrap_or(0) < 2 {
        faults.push(invalid(&count.path, "should be at least 2"));
    }
    faults.require(&series.get("lastObservedTime"), "");
}

/// An event may only go on: all but its series stays. Source: `ValidateEventUpdate`.
fn validate_update(new: &Field, old: &Value, faults: &mut Faults) {
    let fields: BTreeSet<&str> = new.entries().chain(Field::root(old).entries()).map(|(name, _)| name).collect();
    for field in fields.into_iter().filter(|field| !["metadata", "series"].contains(field)) {
        faults.immutable(&new.get(field), &old[field]);
    }
    if new.value["series"] != old["series"] {
        validate_series(&new.get("series"), faults);
    }
}

fn at_most(field: &Field, length: usize, faults: &mut Faults) {
    if field.text().len() > length {
        faults.push(invalid(&field.path, &format!("can have at most {length} characters")));
    }
}

/// Kubernetes does not show what it found here.
fn invalid(path: &str, detail: &str) -> Cause {
    Cause::invalid(path, &json!(""), detail)
}
