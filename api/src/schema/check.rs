use jiff::Timestamp;
use serde_json::Value;

use super::gostyle::cannot_unmarshal;
use super::{Format, JsonType, Node};
use crate::{Cause, Quantity, Status};

/// What a value has that its schema does not allow. Paths are as in `spec.containers[0].name`.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Findings {
    pub wrong_types: Vec<TypeFault>,
    /// Paths of fields that the schema does not know.
    pub unknown: Vec<String>,
    /// Paths of required fields that are absent or null. Whether that is an error is for validation to say: the API
    /// server defaults some of them, and lets others be.
    pub missing: Vec<String>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TypeFault {
    pub path: String,
    /// In the words of Go's decoder.
    pub message: String,
}

impl Findings {
    /// The 400 that says that the value is no `kind`, when a type is wrong.
    pub fn type_error(&self, version: &str, kind: &str) -> Option<Status> {
        let first = self.wrong_types.first()?;
        let mut status = cannot_be_handled(version, kind, &first.message);
        let causes = self.wrong_types.iter();
        status.causes = causes.map(|fault| Cause::new("FieldValueTypeInvalid", &fault.path, &fault.message)).collect();
        Some(status)
    }

    /// The 400 of strict field validation, when a field is unknown.
    pub fn strict_error(&self, version: &str, kind: &str) -> Option<Status> {
        self.strict_fault().map(|fault| cannot_be_handled(version, kind, &fault))
    }

    /// `strict decoding error: unknown field "spec.foo"`, when a field is unknown.
    pub fn strict_fault(&self) -> Option<String> {
        let list = self.unknown_warnings().collect::<Vec<_>>().join(", ");
        (!list.is_empty()).then(|| format!("strict decoding error: {list}"))
    }

    /// One `unknown field "spec.foo"` a field.
    pub fn unknown_warnings(&self) -> impl Iterator<Item = String> {
        self.unknown.iter().map(|path| format!("unknown field {path:?}"))
    }
}

/// Walks `value` along `node`, as the decoder of the API server does.
pub fn check_node(node: &'static Node, value: &Value) -> Findings {
    let mut walk = Walk { findings: Findings::default(), path: String::new(), fields: String::new() };
    walk.visit(None, node, value);
    walk.findings
}

fn cannot_be_handled(version: &str, kind: &str, why: &str) -> Status {
    Status::bad_request(format!("{kind} in version \"{version}\" cannot be handled as a {kind}: {why}"))
}

struct Walk {
    findings: Findings,
    /// With indexes, as people read it.
    path: String,
    /// Without indexes, as Go's decoder tells it.
    fields: String,
}

impl Walk {
    fn visit(&mut self, owner: Option<&'static Node>, node: &'static Node, value: &Value) {
        if value.is_null() {
            return;
        }
        let fits = match (node.format(), node.json_type()) {
            (Some(Format::IntOrString), _) => value.is_string() || fits_integer(value, Some(Format::Int32)),
            (Some(Format::Quantity), _) => return self.quantity(owner, node, value),
            (Some(Format::DateTime | Format::DateTimeMicro), _) => return self.time(owner, node, value),
            (_, Some(JsonType::Object)) => match value {
                Value::Object(_) => return self.object(owner, node, value),
                _ => false,
            },
            (_, Some(JsonType::Array)) => match value {
                Value::Array(items) => return self.list(owner, node, items),
                _ => false,
            },
            (format, Some(JsonType::Integer)) => fits_integer(value, format),
            (_, Some(JsonType::Number)) => value.is_number(),
            (_, Some(JsonType::Boolean)) => value.is_boolean(),
            (Some(Format::Byte), _) => return self.bytes(owner, node, value),
            (_, Some(JsonType::String)) => value.is_string(),
            (_, None) if node.fields().next().is_some() => match value {
                Value::Object(_) => return self.object(owner, node, value),
                _ => false,
            },
            (_, None) => true,
        };
        if !fits {
            self.wrong(owner, node, value);
        }
    }

    fn object(&mut self, owner: Option<&'static Node>, node: &'static Node, value: &Value) {
        if node.preserves_unknown_fields() {
            return;
        }
        // A map is no struct: what is below belongs to the struct that holds it.
        let owner = if node.values().is_some() { owner } else { Some(node) };
        let object = value.as_object().into_iter().flatten();
        for (key, child_value) in object {
            let mark = self.enter(key);
            match node.child(key) {
                Some(child) => self.visit(owner, child, child_value),
                None => self.findings.unknown.push(self.path.clone()),
            }
            self.leave(mark);
        }
        for name in node.required().filter(|name| value[*name].is_null()) {
            let mark = self.enter(name);
            self.findings.missing.push(self.path.clone());
            self.leave(mark);
        }
    }

    fn list(&mut self, owner: Option<&'static Node>, node: &'static Node, values: &[Value]) {
        let Some(items) = node.items() else { return };
        for (index, value) in values.iter().enumerate() {
            let length = self.path.len();
            self.path.push_str(&format!("[{index}]"));
            self.visit(owner, items, value);
            self.path.truncate(length);
        }
    }

    fn quantity(&mut self, owner: Option<&'static Node>, node: &'static Node, value: &Value) {
        match value {
            Value::String(_) | Value::Number(_) => {
                if let Err(error) = Quantity::from_value(value) {
                    self.fault(format!("{}: {value}: {error}", self.path));
                }
            }
            _ => self.wrong(owner, node, value),
        }
    }

    fn time(&mut self, owner: Option<&'static Node>, node: &'static Node, value: &Value) {
        match value.as_str() {
            Some(text) if text.parse::<Timestamp>().is_err() => {
                let layout = "2006-01-02T15:04:05Z07:00";
                self.fault(format!("parsing time {text:?} as {layout:?}: cannot parse {text:?} as \"2006\""));
            }
            Some(_) => {}
            None => self.wrong(owner, node, value),
        }
    }

    fn bytes(&mut self, owner: Option<&'static Node>, node: &'static Node, value: &Value) {
        use base64::Engine;
        let Some(text) = value.as_str() else { return self.wrong(owner, node, value) };
        // Go's decoder skips line breaks.
        let text: String = text.chars().filter(|c| !matches!(c, '\r' | '\n')).collect();
        if let Err(error) = base64::engine::general_purpose::STANDARD.decode(&text) {
            let at = match error {
                base64::DecodeError::InvalidByte(offset, _) | base64::DecodeError::InvalidLastSymbol { offset, .. } => {
                    offset
                }
                _ => text.len() / 4 * 4,
            };
            self.fault(format!("illegal base64 data at input byte {at}"));
        }
    }

    fn wrong(&mut self, owner: Option<&'static Node>, node: &'static Node, value: &Value) {
        self.fault(cannot_unmarshal(value, owner, &self.fields, node));
    }

    fn fault(&mut self, message: String) {
        self.findings.wrong_types.push(TypeFault { path: self.path.clone(), message });
    }

    fn enter(&mut self, key: &str) -> (usize, usize) {
        let mark = (self.path.len(), self.fields.len());
        for text in [&mut self.path, &mut self.fields] {
            if !text.is_empty() {
                text.push('.');
            }
            text.push_str(key);
        }
        mark
    }

    fn leave(&mut self, (path, fields): (usize, usize)) {
        self.path.truncate(path);
        self.fields.truncate(fields);
    }
}

fn fits_integer(value: &Value, format: Option<Format>) -> bool {
    match (value.as_i64(), format) {
        (Some(number), Some(Format::Int32)) => i32::try_from(number).is_ok(),
        (number, _) => number.is_some(),
    }
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};
    use serde_json::json;

    use super::super::for_api_version;
    use super::*;

    #[track_caller]
    fn check(value: Value, expected: Expect) {
        let text = |field: &str| value[field].as_str().unwrap().to_owned();
        let findings = check_node(for_api_version(&text("apiVersion"), &text("kind")).unwrap(), &value);
        let wrong = findings.wrong_types.iter().map(|fault| format!("{}: {}\n", fault.path, fault.message));
        let unknown = findings.unknown_warnings().map(|line| line + "\n");
        let missing = findings.missing.iter().map(|path| format!("missing {path}\n"));
        expected.assert_eq(&wrong.chain(unknown).chain(missing).collect::<String>());
    }

    #[test]
    fn every_fault_has_its_path() {
        let spec = json!({
            "replicas": "three", "paused": 1, "foo": {"bar": 1},
            "selector": {"matchLabels": {"a": 1}},
            "template": {"spec": {"containers": [{"nmae": "x", "ports": [{"containerPort": 1.5}], "env": {}}]}},
        });
        check(
            json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "a"}, "spec": spec}),
            expect![[r#"
                spec.paused: json: cannot unmarshal number into Go struct field DeploymentSpec.spec.paused of type bool
                spec.replicas: json: cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32
                spec.selector.matchLabels.a: json: cannot unmarshal number into Go struct field LabelSelector.spec.selector.matchLabels.a of type string
                spec.template.spec.containers[0].env: json: cannot unmarshal object into Go struct field Container.spec.template.spec.containers.env of type []v1.EnvVar
                spec.template.spec.containers[0].ports[0].containerPort: json: cannot unmarshal number 1.5 into Go struct field ContainerPort.spec.template.spec.containers.ports.containerPort of type int32
                unknown field "spec.foo"
                unknown field "spec.template.spec.containers[0].nmae"
                missing spec.template.spec.containers[0].name
            "#]],
        );
    }

    #[test]
    fn what_may_be_a_number_or_a_text_is_no_larger_number_than_go_reads() {
        let service = |port: Value| json!({"apiVersion": "v1", "kind": "Service", "spec": {"ports": [{"port": 80, "targetPort": port}]}});
        check(service(json!(i32::MAX)), expect![""]);
        check(service(json!("http")), expect![""]);
        check(
            service(json!(3_000_000_000_i64)),
            expect![[r#"
                spec.ports[0].targetPort: json: cannot unmarshal number 3000000000 into Go struct field ServicePort.spec.ports.targetPort of type int32
            "#]],
        );
        check(
            service(json!(true)),
            expect![[r#"
                spec.ports[0].targetPort: json: cannot unmarshal bool into Go struct field ServicePort.spec.ports.targetPort of type int32
            "#]],
        );
    }

    #[test]
    fn values_are_read_where_their_type_asks_for_it() {
        let metadata = json!({"name": "a", "creationTimestamp": "yesterday", "deletionTimestamp": null});
        check(
            json!({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": {"a": "not base64", "b": "YQ=="}}),
            expect![[r#"
                data.a: illegal base64 data at input byte 3
                metadata.creationTimestamp: parsing time "yesterday" as "2006-01-02T15:04:05Z07:00": cannot parse "yesterday" as "2006"
            "#]],
        );
        let resources = json!({"limits": {"cpu": 1, "memory": "64Mi", "x": "1 GB"}});
        check(
            json!({"apiVersion": "v1", "kind": "Pod", "spec": {"containers": [{"name": "c", "resources": resources}]}}),
            expect![[r#"
                spec.containers[0].resources.limits.x: spec.containers[0].resources.limits.x: "1 GB": quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'
            "#]],
        );
    }
}
