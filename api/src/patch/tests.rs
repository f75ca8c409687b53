//! Strategic merge and server-side apply on real types: tables first, then properties.

mod apply;
mod properties;
mod strategic;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{FieldWrite, ServerSideApply};
use crate::Status;
use crate::schema::{self, Node};

fn type_of(object: &Value) -> Option<&'static Node> {
    let text = |field: &str, default| object[field].as_str().unwrap_or(default).to_owned();
    schema::for_api_version(&text("apiVersion", "v1"), &text("kind", ""))
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + second).unwrap()
}

fn apply(current: Option<&Value>, config: &Value, manager: &str) -> Result<Value, Status> {
    ssa(current, config, manager, false, 0)
}

fn ssa(current: Option<&Value>, config: &Value, manager: &str, force: bool, second: i64) -> Result<Value, Status> {
    ServerSideApply { manager, force, subresource: "", object_type: type_of(config), now: at(second) }
        .apply(current, config)
}

fn write(old: Option<&Value>, new: Value, manager: &str) -> Value {
    FieldWrite { manager, subresource: "", object_type: type_of(&new), now: at(0) }.record(old, new)
}

/// `manager Operation` with the paths it owns.
fn owners(object: &Value) -> Vec<String> {
    let entries = object["metadata"]["managedFields"].as_array().into_iter().flatten();
    let describe = |entry: &Value| {
        let fields = super::FieldSet::from_json(&entry["fieldsV1"]).unwrap();
        let (manager, operation) = (entry["manager"].as_str().unwrap(), entry["operation"].as_str().unwrap());
        format!("{manager} {operation}: {}", fields.paths().join(" "))
    };
    entries.map(describe).collect()
}

fn config_map(data: Value) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "ssa"}, "data": data})
}

fn deployment(containers: Value) -> Value {
    json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"},
           "spec": {"template": {"spec": {"containers": containers}}}})
}

fn containers(object: &Value) -> &Value {
    &object["spec"]["template"]["spec"]["containers"]
}
