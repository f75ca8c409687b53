use std::any::Any;
use std::fmt;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// The plural name of a resource with its group, as Kubernetes writes it: `pods`, `deployments.apps`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ResourceName(Arc<str>);

impl ResourceName {
    /// `group` is empty for the core group.
    pub fn new(plural: &str, group: &str) -> Self {
        if group.is_empty() { Self(plural.into()) } else { Self(format!("{plural}.{group}").into()) }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for ResourceName {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

impl fmt::Display for ResourceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What addresses an object: resource, namespace, name. Keys order by resource, then namespace, then name.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Key {
    pub resource: ResourceName,
    /// Empty for cluster-scoped objects.
    pub namespace: Arc<str>,
    pub name: Arc<str>,
}

impl Key {
    /// `namespace` is empty for cluster-scoped objects.
    pub fn new(resource: impl Into<ResourceName>, namespace: &str, name: &str) -> Self {
        Self { resource: resource.into(), namespace: namespace.into(), name: name.into() }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.namespace {
            "" => write!(f, "{}/{}", self.resource, self.name),
            namespace => write!(f, "{}/{}/{}", self.resource, namespace, self.name),
        }
    }
}

/// A stored object does not have the shape that its reader expects.
#[derive(Debug, thiserror::Error)]
#[error("decode {key}")]
pub struct DecodeError {
    pub key: Key,
    #[source]
    pub source: serde_json::Error,
}

/// One version of one object: the JSON that was accepted, with the revision that wrote it.
///
/// Immutable and shared as `Arc`. It is encoded at most once and decoded into its Kubernetes type at most once,
/// whoever asks first.
pub struct Object {
    key: Key,
    revision: u64,
    value: Value,
    encoded: OnceLock<Bytes>,
    typed: OnceLock<Arc<dyn Any + Send + Sync>>,
}

impl Object {
    /// Writes `revision` into `metadata.resourceVersion` of `value`, which must be a JSON object.
    pub fn new(key: Key, revision: u64, mut value: Value) -> Arc<Self> {
        value["metadata"]["resourceVersion"] = Value::String(revision.to_string());
        Arc::new(Self { key, revision, value, encoded: OnceLock::new(), typed: OnceLock::new() })
    }

    pub fn key(&self) -> &Key {
        &self.key
    }

    /// The store's revision that wrote this version; the object's `resourceVersion`.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// The whole object as JSON, with `apiVersion` and `kind`.
    pub fn value(&self) -> &Value {
        &self.value
    }

    /// The JSON text of [`Object::value`], encoded once and shared.
    pub fn encoded(&self) -> Bytes {
        let encode = || Bytes::from(serde_json::to_vec(&self.value).expect("JSON values always encode"));
        self.encoded.get_or_init(encode).clone()
    }

    /// The object as its Kubernetes type (`k8s_openapi`), decoded once. An object has one type: asking for a
    /// second one decodes anew each time.
    pub fn typed<T: DeserializeOwned + Send + Sync + 'static>(&self) -> Result<Arc<T>, DecodeError> {
        if let Some(known) = self.typed.get().and_then(|any| any.clone().downcast::<T>().ok()) {
            return Ok(known);
        }
        let decoded = T::deserialize(&self.value).map_err(|source| DecodeError { key: self.key.clone(), source })?;
        let decoded = Arc::new(decoded);
        // A lost race or another type leaves what is there; both decode the same JSON.
        let _ = self.typed.set(decoded.clone());
        Ok(decoded)
    }

    /// What follows from the object, made once. It is kept where [`Object::typed`] keeps its type: an object has one of
    /// them.
    pub(crate) fn derived<T: Any + Send + Sync>(&self, make: impl FnOnce(&Self) -> T) -> Arc<T> {
        if let Some(known) = self.typed.get().and_then(|any| any.clone().downcast::<T>().ok()) {
            return known;
        }
        let made = Arc::new(make(self));
        let _ = self.typed.set(made.clone());
        made
    }

    pub fn name(&self) -> &str {
        &self.key.name
    }

    /// Empty for cluster-scoped objects.
    pub fn namespace(&self) -> &str {
        &self.key.namespace
    }

    pub fn uid(&self) -> &str {
        self.metadata_str("uid")
    }

    /// `metadata.generation`, 0 when the kind has none.
    pub fn generation(&self) -> i64 {
        self.metadata()["generation"].as_i64().unwrap_or(0)
    }

    pub fn label(&self, key: &str) -> Option<&str> {
        self.metadata()["labels"].get(key)?.as_str()
    }

    pub fn labels(&self) -> impl Iterator<Item = (&str, &str)> {
        string_map(&self.metadata()["labels"])
    }

    pub fn annotation(&self, key: &str) -> Option<&str> {
        self.metadata()["annotations"].get(key)?.as_str()
    }

    /// Set once deletion has begun; the object then waits for its grace period or its finalizers.
    pub fn is_deleting(&self) -> bool {
        self.metadata()["deletionTimestamp"].is_string()
    }

    pub fn finalizers(&self) -> impl Iterator<Item = &str> {
        self.metadata()["finalizers"].as_array().into_iter().flatten().filter_map(Value::as_str)
    }

    /// The `ownerReferences` entries as JSON.
    pub fn owner_references(&self) -> impl Iterator<Item = &Value> {
        self.metadata()["ownerReferences"].as_array().into_iter().flatten()
    }

    /// The uid of the owner whose reference says `controller: true`.
    pub fn controller_uid(&self) -> Option<&str> {
        self.owner_references().find(|owner| owner["controller"] == true)?["uid"].as_str()
    }

    pub fn metadata(&self) -> &Value {
        &self.value["metadata"]
    }

    fn metadata_str(&self, field: &str) -> &str {
        self.metadata()[field].as_str().unwrap_or_default()
    }
}

/// Equal objects are the same version of the same object; their JSON is not compared.
impl PartialEq for Object {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self, other) || (self.revision == other.revision && self.key == other.key)
    }
}

impl fmt::Debug for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.key, self.revision)
    }
}

fn string_map(value: &Value) -> impl Iterator<Item = (&str, &str)> {
    value.as_object().into_iter().flatten().filter_map(|(key, value)| Some((key.as_str(), value.as_str()?)))
}
