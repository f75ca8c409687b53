//! Kubernetes' protobuf encoding of request bodies, which kubectl uses from 1.32 on for `create` and its like,
//! turned into JSON by a table of field numbers. Answers are always JSON, which every client accepts.

use std::collections::HashMap;
use std::sync::LazyLock;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use jiff::fmt::temporal::DateTimePrinter;
use serde_json::{Map, Value, json};
use wasmk_api::Status;

pub(crate) mod wire;

use wire::{Field, Fields};

/// As deep as messages nest in other messages of their type, in every protobuf library.
const NESTING_MAX: usize = 100;

/// Every body begins with it; an `Unknown` message follows. Source: `runtime/serializer/protobuf`.
const MAGIC: &[u8] = b"k8s\0";

/// The object of the body as JSON, with its `apiVersion` and `kind`.
pub(crate) fn decode(body: &[u8]) -> Result<Value, Status> {
    let refused = |why: &str| Status::bad_request(why.to_owned());
    let envelope = body.strip_prefix(MAGIC).ok_or_else(|| refused("the body does not begin with \"k8s\\0\""))?;
    let envelope = Envelope::read(envelope).ok_or_else(|| refused("the envelope is damaged"))?;
    let Some(message) = envelope.message() else {
        return Err(refused(&format!("{} {} is not known; send JSON", envelope.api_version, envelope.kind)));
    };
    let mut object = Map::new();
    object.insert("apiVersion".to_owned(), json!(envelope.api_version));
    object.insert("kind".to_owned(), json!(envelope.kind));
    read_message(message, envelope.raw, &mut object, 0)
        .ok_or_else(|| refused(&format!("the {} is damaged", envelope.kind)))?;
    Ok(Value::Object(object))
}

/// `runtime.Unknown`: the type and the encoded object.
#[derive(Default)]
struct Envelope<'a> {
    api_version: &'a str,
    kind: &'a str,
    raw: &'a [u8],
}

impl<'a> Envelope<'a> {
    fn read(bytes: &'a [u8]) -> Option<Self> {
        let mut envelope = Self::default();
        for field in Fields(bytes) {
            match field? {
                Field { number: 1, bytes, .. } => {
                    for field in Fields(bytes) {
                        match field? {
                            Field { number: 1, bytes, .. } => envelope.api_version = std::str::from_utf8(bytes).ok()?,
                            Field { number: 2, bytes, .. } => envelope.kind = std::str::from_utf8(bytes).ok()?,
                            _ => {}
                        }
                    }
                }
                Field { number: 2, bytes, .. } => envelope.raw = bytes,
                _ => {}
            }
        }
        Some(envelope)
    }

    /// Options of deletion come with the version of what they delete, so `meta.v1` is looked at too.
    fn message(&self) -> Option<&'static Message> {
        let (group, version) = self.api_version.split_once('/').unwrap_or(("core", self.api_version));
        let group = group.split('.').next().unwrap_or_default();
        let known = MESSAGES.get(format!("{group}.{version}.{}", self.kind).as_str());
        known.or_else(|| MESSAGES.get(format!("meta.v1.{}", self.kind).as_str()))
    }
}

/// A message's fields by number.
type Message = HashMap<u32, FieldType>;

struct FieldType {
    name: &'static str,
    zero_is_unset: bool,
    ty: &'static str,
}

static MESSAGES: LazyLock<HashMap<&'static str, Message>> = LazyLock::new(|| {
    let lines = include_str!("protobuf/fields.txt").lines().filter(|line| !line.starts_with('#'));
    lines.filter_map(|line| line.split_once(": ")).map(|(name, fields)| (name, parse_fields(fields))).collect()
});

fn parse_fields(fields: &'static str) -> Message {
    let parse = |field: &'static str| {
        let mut words = field.split(' ');
        let (number, name, ty) = (words.next()?, words.next()?, words.next()?);
        let zero_is_unset = number.ends_with('?');
        let number = number.trim_end_matches('?').parse().ok()?;
        Some((number, FieldType { name, zero_is_unset, ty }))
    };
    fields.split(", ").filter_map(parse).collect()
}

/// `None` when the bytes are no such message. Fields that the table does not know are passed over, as protobuf says.
fn read_message(message: &'static Message, bytes: &[u8], object: &mut Map<String, Value>, depth: usize) -> Option<()> {
    if depth > NESTING_MAX {
        return None;
    }
    for field in Fields(bytes) {
        let field = field?;
        let Some(known) = message.get(&field.number) else { continue };
        if known.name == "-" {
            read_message(MESSAGES.get(known.ty)?, field.bytes, object, depth + 1)?;
        } else if let Some(ty) = known.ty.strip_prefix('*') {
            let item = read_value(ty, &field, depth)?;
            object.entry(known.name).or_insert_with(|| json!([])).as_array_mut()?.push(item);
        } else if let Some(ty) = known.ty.strip_prefix('%') {
            let (key, item) = read_entry(ty, field.bytes, depth)?;
            object.entry(known.name).or_insert_with(|| json!({})).as_object_mut()?.insert(key, item);
        } else {
            let value = read_value(known.ty, &field, depth)?;
            // A string is never meant to be empty where its absence means something else.
            let unset = value.is_null() || value == "" || known.zero_is_unset && (value == 0 || value == false);
            if !unset {
                object.insert(known.name.to_owned(), value);
            }
        }
    }
    Some(())
}

fn read_entry(ty: &'static str, bytes: &[u8], depth: usize) -> Option<(String, Value)> {
    let (mut key, mut value) = (String::new(), read_value(ty, &Field::default(), depth)?);
    for field in Fields(bytes) {
        let field = field?;
        match field.number {
            1 => key = std::str::from_utf8(field.bytes).ok()?.to_owned(),
            2 => value = read_value(ty, &field, depth)?,
            _ => {}
        }
    }
    Some((key, value))
}

fn read_value(ty: &'static str, field: &Field<'_>, depth: usize) -> Option<Value> {
    let text = |bytes: &[u8]| std::str::from_utf8(bytes).ok().map(Value::from);
    match ty {
        "s" => text(field.bytes),
        "b" => Some(json!(field.varint != 0)),
        "i" => Some(json!(field.varint as i64)),
        "y" => Some(json!(STANDARD.encode(field.bytes))),
        "quantity" => text(first(field.bytes, 1)?.bytes),
        "raw" | "fields" => serde_json::from_slice(first(field.bytes, 1)?.bytes).ok(),
        "time" => read_time(field.bytes, 0),
        "microtime" => read_time(field.bytes, 6),
        "strings" => {
            let items = Fields(field.bytes).map(|item| text(item?.bytes));
            items.collect::<Option<Vec<Value>>>().map(Value::from)
        }
        "intorstring" => match first(field.bytes, 1)?.varint {
            0 => Some(json!(first(field.bytes, 2)?.varint as i64 as i32)),
            _ => text(first(field.bytes, 3)?.bytes),
        },
        message => {
            let mut object = Map::new();
            read_message(MESSAGES.get(message)?, field.bytes, &mut object, depth + 1)?;
            Some(Value::Object(object))
        }
    }
}

/// The field, or its zero value when it is not there.
fn first(bytes: &[u8], number: u32) -> Option<Field<'_>> {
    let found = Fields(bytes).find(|field| field.as_ref().is_none_or(|field| field.number == number));
    found.unwrap_or_else(|| Some(Field::default()))
}

/// Null for the zero time, which an empty message stands for.
fn read_time(bytes: &[u8], digits: u8) -> Option<Value> {
    if bytes.is_empty() {
        return Some(Value::Null);
    }
    let (seconds, nanos) = (first(bytes, 1)?.varint as i64, first(bytes, 2)?.varint as i32);
    let time = Timestamp::new(seconds, nanos).ok()?;
    Some(json!(DateTimePrinter::new().precision(Some(digits)).timestamp_to_string(&time)))
}

#[cfg(test)]
mod tests {
    use super::wire::{message, number, text};
    use super::*;

    fn body(api_version: &str, kind: &str, raw: &[u8]) -> Vec<u8> {
        let type_meta = [text(1, api_version), text(2, kind)].concat();
        [MAGIC.to_vec(), message(1, &type_meta), message(2, raw)].concat()
    }

    #[test]
    fn the_table_is_closed_under_its_own_types() {
        let simple = ["s", "b", "i", "y", "time", "microtime", "quantity", "intorstring", "raw", "fields", "strings"];
        for (name, message) in MESSAGES.iter() {
            for field in message.values() {
                let ty = field.ty.trim_start_matches(['*', '%']);
                assert!(simple.contains(&ty) || MESSAGES.contains_key(ty), "{name}.{}: {ty}", field.name);
            }
        }
    }

    #[test]
    fn a_deployment_as_kubectl_sends_it() {
        let label = message(11, &[text(1, "app"), text(2, "d2")].concat());
        let metadata = [text(1, "d2"), text(2, ""), text(3, ""), number(7, 0), message(8, &[]), label].concat();
        let limits = message(1, &[text(1, "cpu"), message(2, &text(1, "100m"))].concat());
        let container = [text(1, "x"), text(2, "x:2"), message(8, &limits), number(16, 0)].concat();
        let template = message(2, &[message(2, &container), text(3, ""), number(11, 0)].concat());
        let surge = message(2, &[number(1, 1), number(2, 0), text(3, "25%")].concat());
        let strategy = message(4, &message(2, &surge));
        let spec = [number(1, 0), message(3, &template), strategy].concat();
        let raw = [message(1, &metadata), message(2, &spec)].concat();
        let expected = json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": "d2", "labels": {"app": "d2"}},
            "spec": {
                "replicas": 0,
                "template": {"spec": {"containers": [
                    {"name": "x", "image": "x:2", "resources": {"limits": {"cpu": "100m"}}}
                ]}},
                "strategy": {"rollingUpdate": {"maxSurge": "25%"}},
            },
        });
        assert_eq!(decode(&body("apps/v1", "Deployment", &raw)).unwrap(), expected);
    }

    #[test]
    fn bytes_times_and_inline_fields_become_json() {
        let secret = [message(2, &[text(1, "a"), text(2, "b")].concat())].concat();
        let decoded = decode(&body("v1", "Secret", &secret)).unwrap();
        assert_eq!(decoded["data"]["a"], "Yg==");
        let spec = message(6, &[number(1, 1_700_000_000), number(2, 5_000)].concat());
        let lease = [message(2, &message(4, &spec[2..])), message(2, &[])].concat();
        let decoded = decode(&body("coordination.k8s.io/v1", "Lease", &lease)).unwrap();
        assert_eq!(decoded["spec"]["acquireTime"], Value::Null);
        let time = message(3, &[number(1, 1_700_000_000), number(2, 5_000)].concat());
        let decoded = decode(&body("coordination.k8s.io/v1", "Lease", &message(2, &time))).unwrap();
        assert_eq!(decoded["spec"]["acquireTime"], "2023-11-14T22:13:20.000005Z");
        let volume = [text(1, "v"), message(2, &message(2, &[]))].concat();
        let pod = message(2, &message(1, &volume));
        let decoded = decode(&body("v1", "Pod", &pod)).unwrap();
        assert_eq!(decoded["spec"]["volumes"], json!([{"name": "v", "emptyDir": {}}]));
    }

    #[test]
    fn a_review_as_kubectl_sends_it() {
        let attributes = [text(1, "default"), text(2, "get"), text(3, ""), text(4, "*"), text(5, "pods")].concat();
        let entry = [text(1, "scopes"), message(2, &[text(1, "a"), text(1, "b")].concat())].concat();
        let spec = [message(1, &attributes), text(3, "eve"), message(5, &entry)].concat();
        let decoded = decode(&body("authorization.k8s.io/v1", "SubjectAccessReview", &message(2, &spec))).unwrap();
        let attributes = json!({"namespace": "default", "verb": "get", "version": "*", "resource": "pods"});
        let expected = json!({"resourceAttributes": attributes, "user": "eve", "extra": {"scopes": ["a", "b"]}});
        assert_eq!(decoded["spec"], expected);
    }

    #[test]
    fn an_autoscaler_and_a_cron_job_as_kubectl_sends_them() {
        let reference = message(1, &[text(1, "Deployment"), text(2, "web"), text(3, "apps/v1")].concat());
        let target = message(2, &[text(1, "Utilization"), number(4, 80)].concat());
        let resource = message(4, &[text(1, "cpu"), target].concat());
        let metric = message(4, &[text(1, "Resource"), resource].concat());
        let spec = message(2, &[reference, number(2, 1), number(3, 5), metric].concat());
        let decoded = decode(&body("autoscaling/v2", "HorizontalPodAutoscaler", &spec)).unwrap();
        let expected = json!({
            "scaleTargetRef": {"kind": "Deployment", "name": "web", "apiVersion": "apps/v1"},
            "minReplicas": 1, "maxReplicas": 5,
            "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}}}],
        });
        assert_eq!(decoded["spec"], expected);
        let pod = message(2, &[message(2, &[text(1, "c"), text(2, "x")].concat()), text(3, "OnFailure")].concat());
        let job = message(5, &message(2, &message(6, &pod)));
        let spec = message(2, &[text(1, "*/1 * * * *"), text(3, ""), number(4, 0), job].concat());
        let decoded = decode(&body("batch/v1", "CronJob", &spec)).unwrap();
        let pod = json!({"containers": [{"name": "c", "image": "x"}], "restartPolicy": "OnFailure"});
        let expected = json!({
            "schedule": "*/1 * * * *", "suspend": false, "jobTemplate": {"spec": {"template": {"spec": pod}}},
        });
        assert_eq!(decoded["spec"], expected);
    }

    #[test]
    fn damage_and_unknown_kinds_are_refused_not_fatal() {
        for bytes in
            [&b""[..], b"k8s\0", b"k8s\0\x0a\xff", &body("v1", "Nothing", &[]), &body("v1", "Pod", b"\x0a\x7f")]
        {
            assert_eq!(decode(bytes).unwrap_err().code, 400);
        }
    }
}
