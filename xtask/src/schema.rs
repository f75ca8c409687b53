//! `cargo xtask schema --from FILE`: the embedded schema of the API, made from Kubernetes' published definitions.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::Args;
use serde_json::{Map, Value, json};

/// Every kind that is served or will be; what they do not reach is left out.
const KINDS: &[&str] = &[
    "/v1/Binding",
    "/v1/ConfigMap",
    "/v1/Endpoints",
    "/v1/Event",
    "/v1/LimitRange",
    "/v1/Namespace",
    "/v1/Node",
    "/v1/PersistentVolume",
    "/v1/PersistentVolumeClaim",
    "/v1/Pod",
    "/v1/PodTemplate",
    "/v1/ReplicationController",
    "/v1/ResourceQuota",
    "/v1/Secret",
    "/v1/Service",
    "/v1/ServiceAccount",
    "/v1/DeleteOptions",
    "/v1/Status",
    "apiextensions.k8s.io/v1/CustomResourceDefinition",
    "apps/v1/ControllerRevision",
    "apps/v1/DaemonSet",
    "apps/v1/Deployment",
    "apps/v1/ReplicaSet",
    "apps/v1/StatefulSet",
    "authentication.k8s.io/v1/SelfSubjectReview",
    "authentication.k8s.io/v1/TokenRequest",
    "authentication.k8s.io/v1/TokenReview",
    "authorization.k8s.io/v1/LocalSubjectAccessReview",
    "authorization.k8s.io/v1/SelfSubjectAccessReview",
    "authorization.k8s.io/v1/SelfSubjectRulesReview",
    "authorization.k8s.io/v1/SubjectAccessReview",
    "autoscaling/v1/HorizontalPodAutoscaler",
    "autoscaling/v1/Scale",
    "autoscaling/v2/HorizontalPodAutoscaler",
    "batch/v1/CronJob",
    "batch/v1/Job",
    "certificates.k8s.io/v1/CertificateSigningRequest",
    "coordination.k8s.io/v1/Lease",
    "discovery.k8s.io/v1/EndpointSlice",
    "events.k8s.io/v1/Event",
    "metrics.k8s.io/v1beta1/NodeMetrics",
    "metrics.k8s.io/v1beta1/PodMetrics",
    "networking.k8s.io/v1/Ingress",
    "networking.k8s.io/v1/IngressClass",
    "networking.k8s.io/v1/NetworkPolicy",
    "node.k8s.io/v1/RuntimeClass",
    "policy/v1/Eviction",
    "policy/v1/PodDisruptionBudget",
    "rbac.authorization.k8s.io/v1/ClusterRole",
    "rbac.authorization.k8s.io/v1/ClusterRoleBinding",
    "rbac.authorization.k8s.io/v1/Role",
    "rbac.authorization.k8s.io/v1/RoleBinding",
    "scheduling.k8s.io/v1/PriorityClass",
    "storage.k8s.io/v1/StorageClass",
];

/// What Kubernetes publishes apart from the rest.
const METRICS: &str = include_str!("schema/metrics.json");

const KEPT: &[&str] = &[
    "format",
    "required",
    "x-kubernetes-list-map-keys",
    "x-kubernetes-list-type",
    "x-kubernetes-map-type",
    "x-kubernetes-patch-merge-key",
    "x-kubernetes-patch-strategy",
];

#[derive(Args)]
pub(crate) struct Schema {
    /// `_definitions.json` of Kubernetes' JSON schemas (in the PyPI package kubernetes-validate)
    #[arg(long, value_name = "FILE")]
    from: PathBuf,
    #[arg(long, value_name = "FILE", default_value = "api/schema/v1.34.json")]
    to: PathBuf,
    /// What people read, apart from what the server needs at its start
    #[arg(long, value_name = "FILE", default_value = "api/schema/v1.34-descriptions.json.gz")]
    descriptions: PathBuf,
}

impl Schema {
    pub(crate) fn run(self) -> Result<()> {
        let text = std::fs::read(&self.from).with_context(|| format!("read {}", self.from.display()))?;
        let source: Value = serde_json::from_slice(&text).context("parse the definitions")?;
        let mut all = source["$defs"].as_object().context("find $defs in the definitions")?.clone();
        let metrics: Map<String, Value> = serde_json::from_str(METRICS).context("parse the definitions of metrics")?;
        all.extend(metrics);
        let all = &all;
        let kinds = kinds(all)?;
        let mut kept = BTreeMap::new();
        let mut wanted: Vec<String> = kinds.values().cloned().collect();
        while let Some(name) = wanted.pop() {
            if kept.contains_key(&name) {
                continue;
            }
            let definition = all.get(&name).with_context(|| format!("find the definition {name}"))?;
            let compact = special(&name).unwrap_or_else(|| compact(definition));
            wanted.extend(references(&compact));
            kept.insert(name, compact);
        }
        let described = kept.keys().map(|name| (name.clone(), descriptions(&all[name]))).collect::<Map<_, _>>();
        let compact = json!({"kinds": kinds, "definitions": kept});
        write(&self.to, (compact.to_string() + "\n").as_bytes())?;
        write(&self.descriptions, &compress(&Value::Object(described).to_string())?)
    }
}

fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    std::fs::write(path, bytes).with_context(|| format!("write {}", path.display()))
}

fn compress(text: &str) -> Result<Vec<u8>> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(text.as_bytes())?;
    encoder.finish().context("compress the descriptions")
}

/// Of the definition itself (under the empty name) and of its fields.
fn descriptions(definition: &Value) -> Value {
    let fields = definition["properties"].as_object().into_iter().flatten();
    let own = std::iter::once(("", definition));
    let all = own.chain(fields.map(|(name, field)| (name.as_str(), field)));
    let texts = all.filter_map(|(name, node)| Some((name.to_owned(), json!(node["description"].as_str()?))));
    texts.collect::<Map<_, _>>().into()
}

/// `group/version/kind` → the name of its definition.
fn kinds(all: &Map<String, Value>) -> Result<BTreeMap<String, String>> {
    let mut found = BTreeMap::new();
    for (name, definition) in all {
        for gvk in definition["x-kubernetes-group-version-kind"].as_array().into_iter().flatten() {
            let part = |field: &str| gvk[field].as_str().unwrap_or_default();
            let id = format!("{}/{}/{}", part("group"), part("version"), part("kind"));
            if KINDS.contains(&id.as_str()) {
                found.insert(id, name.clone());
            }
        }
    }
    for kind in KINDS {
        found.get(*kind).with_context(|| format!("find the kind {kind}"))?;
    }
    Ok(found)
}

/// Types whose JSON the source describes as less, or other, than what they are.
fn special(name: &str) -> Option<Value> {
    Some(match name.rsplit('.').next()? {
        "IntOrString" => json!({"format": "int-or-string"}),
        "Quantity" => json!({"format": "quantity"}),
        "JSON" | "JSONSchemaPropsOrArray" | "JSONSchemaPropsOrBool" | "JSONSchemaPropsOrStringArray" => {
            json!({"x-kubernetes-preserve-unknown-fields": true})
        }
        "FieldsV1" | "RawExtension" => json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true}),
        "Time" => json!({"type": "string", "format": "date-time"}),
        "MicroTime" => json!({"type": "string", "format": "date-time-micro"}),
        _ => return None,
    })
}

fn compact(definition: &Value) -> Value {
    let mut node = Map::new();
    if let Some(reference) = definition["$ref"].as_str() {
        node.insert("$ref".to_owned(), json!(reference.trim_start_matches("#/$defs/")));
    }
    let named = match &definition["type"] {
        Value::Array(several) => several.iter().find(|one| *one != "null"),
        Value::Null => None,
        one => Some(one),
    };
    if let Some(named) = named {
        node.insert("type".to_owned(), named.clone());
    }
    for attribute in KEPT {
        if let Some(value) = definition.get(*attribute) {
            node.insert((*attribute).to_owned(), value.clone());
        }
    }
    for child in ["items", "additionalProperties"] {
        if definition[child].is_object() {
            node.insert(child.to_owned(), compact(&definition[child]));
        }
    }
    if let Some(properties) = definition["properties"].as_object() {
        let fields = properties.iter().map(|(name, property)| (name.clone(), compact(property)));
        node.insert("properties".to_owned(), fields.collect::<Map<_, _>>().into());
    }
    node.into()
}

fn references(node: &Value) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    found.extend(node["$ref"].as_str().map(str::to_owned));
    for child in ["items", "additionalProperties"] {
        if node[child].is_object() {
            found.extend(references(&node[child]));
        }
    }
    found.extend(node["properties"].as_object().into_iter().flat_map(|fields| fields.values()).flat_map(references));
    found
}
