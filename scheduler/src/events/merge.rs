use std::collections::HashMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Value, json};
use wasmk_api::{Key, Object, Op, Precondition, Snapshot};
use wasmk_controllers::EventType;

use super::Occurrence;

/// Names may have 253 bytes; the rest is for the dot and the time.
const NAME_PREFIX_BYTES_MAX: usize = 253 - 17;
/// Where events about cluster-scoped objects go, as in Kubernetes.
const DEFAULT_NAMESPACE: &str = "default";

/// The writes that record `batch`. A repeat finds the Event that is there by what it says, and raises its count.
/// Occurrences in a namespace that is gone or going are left out.
pub(super) fn merge(snapshot: &Snapshot, batch: &[Occurrence], mut new_uid: impl FnMut() -> String) -> Vec<Op> {
    let mut counts: Vec<(&Occurrence, u64)> = Vec::new();
    let mut places = HashMap::new();
    for occurrence in batch.iter().filter(|occurrence| takes_events(snapshot, namespace(occurrence))) {
        let place = *places.entry((&occurrence.about, says(occurrence))).or_insert_with(|| {
            counts.push((occurrence, 0));
            counts.len() - 1
        });
        counts[place].1 += 1;
    }
    let mut op = |(place, (occurrence, times)): (usize, (&Occurrence, u64))| match known(snapshot, occurrence) {
        Some(known) => {
            let mut value = known.value().clone();
            value["count"] = json!(value["count"].as_u64().unwrap_or(0) + times);
            value["lastTimestamp"] = stamp(occurrence.at);
            let precondition = Precondition::Revision(known.revision());
            Op::Put { key: known.key().clone(), value, precondition }
        }
        None => {
            let key = new_key(occurrence, place);
            let value = event(&key, occurrence, times, new_uid());
            Op::Put { key, value, precondition: Precondition::Absent }
        }
    };
    counts.into_iter().enumerate().map(&mut op).collect()
}

/// What makes two occurrences about one object the same.
fn says(occurrence: &Occurrence) -> [&str; 5] {
    let kind = type_name(occurrence.event_type);
    [&occurrence.uid, kind, occurrence.reason, &occurrence.message, occurrence.component]
}

/// The Event that says the same.
fn known<'a>(snapshot: &'a Snapshot, occurrence: &Occurrence) -> Option<&'a Arc<Object>> {
    let start = Key::new("events", namespace(occurrence), &stem(occurrence));
    let is_near = |event: &&Arc<Object>| {
        let key = event.key();
        key.resource == start.resource && key.namespace == start.namespace && key.name.starts_with(&*start.name)
    };
    let is_same = |event: &&Arc<Object>| {
        let event = event.value();
        let said = [
            &event["involvedObject"]["uid"],
            &event["type"],
            &event["reason"],
            &event["message"],
            &event["source"]["component"],
        ];
        said.map(|value| value.as_str().unwrap_or_default()) == says(occurrence)
    };
    snapshot.list_from(start.clone()).take_while(is_near).find(is_same)
}

/// Names grow with time, as in Kubernetes: lists are in the order of names, and so of what happened.
fn new_key(occurrence: &Occurrence, place: usize) -> Key {
    let time = occurrence.at.as_nanosecond() as u64 + place as u64;
    Key::new("events", namespace(occurrence), &format!("{}{time:016x}", stem(occurrence)))
}

/// How the names of Events about an object begin.
fn stem(occurrence: &Occurrence) -> String {
    let name = &*occurrence.about.name;
    let cut = name.floor_char_boundary(NAME_PREFIX_BYTES_MAX);
    format!("{}.", &name[..cut])
}

fn event(key: &Key, occurrence: &Occurrence, times: u64, uid: String) -> Value {
    let mut involved = json!({
        "apiVersion": occurrence.api_version,
        "kind": occurrence.kind,
        "name": &*occurrence.about.name,
        "uid": occurrence.uid,
    });
    if !occurrence.about.namespace.is_empty() {
        involved["namespace"] = json!(&*occurrence.about.namespace);
    }
    json!({
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {
            "name": &*key.name,
            "namespace": &*key.namespace,
            "uid": uid,
            "creationTimestamp": stamp(occurrence.at),
        },
        "involvedObject": involved,
        "reason": occurrence.reason,
        "message": occurrence.message,
        "type": type_name(occurrence.event_type),
        "count": times,
        "firstTimestamp": stamp(occurrence.at),
        "lastTimestamp": stamp(occurrence.at),
        "eventTime": null,
        "source": { "component": occurrence.component },
        "reportingComponent": occurrence.component,
        "reportingInstance": "",
    })
}

fn namespace(occurrence: &Occurrence) -> &str {
    match &*occurrence.about.namespace {
        "" => DEFAULT_NAMESPACE,
        namespace => namespace,
    }
}

fn takes_events(snapshot: &Snapshot, namespace: &str) -> bool {
    snapshot.get(&Key::new("namespaces", "", namespace)).is_some_and(|namespace| !namespace.is_deleting())
}

fn type_name(event_type: EventType) -> &'static str {
    match event_type {
        EventType::Normal => "Normal",
        EventType::Warning => "Warning",
    }
}

/// Kubernetes writes whole seconds.
fn stamp(time: Timestamp) -> Value {
    let whole = Timestamp::from_second(time.as_second()).expect("invariant: a whole second of a valid time is valid");
    Value::String(whole.to_string())
}

#[cfg(test)]
mod tests {
    use wasmk_api::Transaction;

    use super::*;

    fn occurrence(message: &str) -> Occurrence {
        Occurrence {
            about: Key::new("pods", "default", "web"),
            api_version: "v1".to_owned(),
            kind: "Pod".to_owned(),
            uid: "u1".to_owned(),
            event_type: EventType::Warning,
            reason: "FailedScheduling",
            message: message.to_owned(),
            component: "default-scheduler",
            at: Timestamp::UNIX_EPOCH,
        }
    }

    fn cluster() -> Snapshot {
        let namespace = json!({"metadata": {"name": "default"}});
        Snapshot::from_objects(1, [Object::new(Key::new("namespaces", "", "default"), 1, namespace)])
    }

    fn record(snapshot: &Snapshot, batch: &[Occurrence], second: i64) -> Snapshot {
        let at = Timestamp::from_second(second).unwrap();
        let batch: Vec<_> = batch.iter().map(|occurrence| Occurrence { at, ..occurrence.clone() }).collect();
        let ops = merge(snapshot, &batch, || "uid".to_owned());
        snapshot.apply(&Transaction { ops }).unwrap().0
    }

    fn counts(snapshot: &Snapshot) -> Vec<u64> {
        let events = "events".into();
        snapshot.list(&events, None).map(|event| event.value()["count"].as_u64().unwrap()).collect()
    }

    #[test]
    fn a_repeat_raises_the_count_and_keeps_the_first_time() {
        let one = record(&cluster(), &[occurrence("no room"), occurrence("no room")], 10);
        let two = record(&one, &[occurrence("no room")], 20);
        assert_eq!(counts(&two), [3]);
        let event = two.list(&"events".into(), None).next().unwrap().value().clone();
        assert_eq!(event["firstTimestamp"], "1970-01-01T00:00:10Z");
        assert_eq!(event["lastTimestamp"], "1970-01-01T00:00:20Z");
    }

    #[test]
    fn another_message_is_another_event() {
        let snapshot = record(&cluster(), &[occurrence("no room"), occurrence("tainted")], 10);
        assert_eq!(counts(&snapshot), [1, 1]);
        let messages: Vec<_> =
            snapshot.list(&"events".into(), None).map(|event| event.value()["message"].clone()).collect();
        assert_eq!(messages, ["no room", "tainted"], "the first one's name comes first");
    }

    #[test]
    fn a_namespace_that_is_gone_takes_no_events() {
        let gone = Snapshot::default();
        assert!(merge(&gone, &[occurrence("no room")], String::new).is_empty());
    }

    #[test]
    fn a_long_name_is_cut_to_a_valid_one() {
        let mut long = occurrence("x");
        long.about = Key::new("pods", "default", &"n".repeat(253));
        assert_eq!(new_key(&long, 0).name.len(), 253);
    }
}
