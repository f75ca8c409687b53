//! Objects as rows: the `meta.k8s.io/v1` Table that `kubectl get` asks for. Columns and cells are those of
//! `k8s.io/kubernetes/pkg/printers/internalversion`.

mod age;
mod batch;
mod certificate;
mod class;
mod config;
mod event;
mod metrics;
mod network;
mod node;
mod pod;
mod policy;
mod rbac;
mod service;
mod storage;
mod workload;

use jiff::Timestamp;
use serde_json::{Value, json};

pub use age::human_duration;
pub use batch::{CRONJOB, JOB};
pub use certificate::CERTIFICATESIGNINGREQUEST;
pub use class::{PRIORITYCLASS, RESOURCEQUOTA, RUNTIMECLASS};
pub use config::{CONFIGMAP, LEASE, NAMESPACE, SECRET, SERVICEACCOUNT};
pub use event::EVENT;
pub use metrics::{NODEMETRICS, PODMETRICS};
pub use network::{ENDPOINTS, INGRESS, INGRESSCLASS, NETWORKPOLICY};
pub use node::NODE;
pub use pod::POD;
pub use policy::{HORIZONTALPODAUTOSCALER, PODDISRUPTIONBUDGET};
pub use rbac::ROLEBINDING;
pub use service::{ENDPOINTSLICE, SERVICE};
pub use storage::{PERSISTENTVOLUME, PERSISTENTVOLUMECLAIM, STORAGECLASS};
pub use workload::{
    CONTROLLERREVISION, DAEMONSET, DEPLOYMENT, PODTEMPLATE, REPLICASET, REPLICATIONCONTROLLER, STATEFULSET,
};

use crate::Kind;

/// How objects of one kind are shown.
pub struct Columns {
    pub definitions: &'static [Column],
    /// The cells of one object, as many as there are definitions.
    pub row: fn(&Value, Timestamp) -> Vec<Value>,
}

/// As [`Columns`], but what they are may be made while the server runs.
pub trait Rows: Send + Sync {
    fn definitions(&self) -> &[Column];
    /// The cells of one object, as many as there are definitions.
    fn row(&self, object: &Value, now: Timestamp) -> Vec<Value>;
}

impl Rows for Columns {
    fn definitions(&self) -> &[Column] {
        self.definitions
    }

    fn row(&self, object: &Value, now: Timestamp) -> Vec<Value> {
        (self.row)(object, now)
    }
}

/// One column. A priority above 0 shows only in wide output.
pub struct Column {
    pub name: &'static str,
    /// `string`, `integer`, `date`…, as in OpenAPI.
    pub kind: &'static str,
    pub format: &'static str,
    pub priority: i32,
    pub description: &'static str,
}

/// What each row carries of its object (`includeObject`).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum IncludeObject {
    None,
    #[default]
    Metadata,
    Object,
}

/// Name and age, for kinds without columns of their own.
pub static DEFAULT: Columns = Columns {
    definitions: &[
        NAME,
        Column {
            name: "Created At",
            kind: "date",
            format: "",
            priority: 0,
            description: "When the object was created.",
        },
    ],
    row: |object, _| vec![name(object), object["metadata"]["creationTimestamp"].clone()],
};

pub(crate) const NAME: Column =
    Column { name: "Name", kind: "string", format: "name", priority: 0, description: "Unique within the namespace." };
pub(crate) const AGE: Column = text("Age", 0, "How long ago the object was created.");

pub(crate) const fn text(name: &'static str, priority: i32, description: &'static str) -> Column {
    Column { name, kind: "string", format: "", priority, description }
}

pub(crate) const fn integer(name: &'static str, priority: i32, description: &'static str) -> Column {
    Column { name, kind: "integer", format: "", priority, description }
}

/// The Table of some stored objects, as a reader of `kind` sees them. `metadata` is the list's (`resourceVersion`, `continue`…); `with_definitions` is false for
/// all but the first event of a watch.
pub fn render<'a>(
    kind: &Kind,
    objects: impl Iterator<Item = &'a Value>,
    metadata: Value,
    include: IncludeObject,
    with_definitions: bool,
    now: Timestamp,
) -> Value {
    let rows: Vec<Value> = objects.map(|object| row(kind, object, include, now)).collect();
    let definitions = if with_definitions { kind.columns.definitions() } else { &[] };
    json!({
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": metadata,
        "columnDefinitions": definitions.iter().map(Column::to_json).collect::<Vec<_>>(),
        "rows": rows,
    })
}

fn row(kind: &Kind, object: &Value, include: IncludeObject, now: Timestamp) -> Value {
    let mut row = json!({"cells": kind.columns.row(object, now)});
    match include {
        IncludeObject::None => {}
        IncludeObject::Object => row["object"] = kind.shown(object).into_owned(),
        IncludeObject::Metadata => {
            row["object"] = json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": kind.shown(object)["metadata"]});
        }
    }
    row
}

impl Column {
    fn to_json(&self) -> Value {
        json!({
            "name": self.name, "type": self.kind, "format": self.format,
            "description": self.description, "priority": self.priority,
        })
    }
}

pub(crate) fn name(object: &Value) -> Value {
    object["metadata"]["name"].clone()
}

/// How old an object is.
pub(crate) fn age(object: &Value, now: Timestamp) -> Value {
    json!(age::since(&object["metadata"]["creationTimestamp"], now))
}

pub(crate) fn str_of(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

pub(crate) fn array(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// `a=b,c=d`, `<none>` when there is nothing.
pub(crate) fn labels(map: &Value) -> String {
    let pairs: Vec<String> =
        map.as_object().into_iter().flatten().map(|(key, value)| format!("{key}={}", str_of(value))).collect();
    or_none(pairs.join(","))
}

pub(crate) fn or_none(text: String) -> String {
    if text.is_empty() { "<none>".to_owned() } else { text }
}

#[cfg(test)]
mod tests;
