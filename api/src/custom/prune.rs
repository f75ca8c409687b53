//! Taking out what a schema does not know. Source: `apiextensions-apiserver/pkg/apiserver/schema/pruning`.

use serde_json::Value;

use super::schema::Schema;
use crate::schema::{check_node, object_meta};

/// What every object has beside what its schema says.
const ENVELOPE: [&str; 3] = ["apiVersion", "kind", "metadata"];

/// Bytes of the paths of unknown fields that are told of; the others go too.
const PATHS_BYTES_MAX: usize = 256 * 1024;

/// Takes unknown fields out; answers with their paths, as far as there is room. `is_resource`: the value has metadata of its own.
pub(super) fn prune(schema: &Schema, value: &mut Value, is_resource: bool) -> Vec<String> {
    let mut pruned = Vec::new();
    Pruner { pruned: &mut pruned, room: PATHS_BYTES_MAX }.visit(Some(schema), value, "", is_resource);
    pruned
}

/// As [`prune`], for the default of a schema; that of an embedded resource has metadata to look at.
pub(super) fn prune_default(schema: &Schema, value: &mut Value) -> Vec<String> {
    let mut pruned = Vec::new();
    let mut pruner = Pruner { pruned: &mut pruned, room: PATHS_BYTES_MAX };
    pruner.visit(Some(schema), value, "default", schema.embedded_resource);
    pruned
}

/// Whether [`prune`] would take something out of an object; what its embedded resources say in their metadata was looked
/// at when they came.
pub(super) fn would_prune(schema: &Schema, object: &Value) -> bool {
    finds_unknown(Some(schema), object, true)
}

fn finds_unknown(schema: Option<&Schema>, value: &Value, is_resource: bool) -> bool {
    let keeps_unknown = schema.is_some_and(|schema| schema.preserves_unknown);
    let envelope = |key: &str| is_resource && ENVELOPE.contains(&key);
    match value {
        Value::Object(fields) => fields.iter().filter(|(key, _)| !envelope(key)).any(|(key, value)| {
            let child = schema.and_then(|schema| schema.child(key));
            match child {
                Some(child) => finds_unknown(Some(child), value, child.embedded_resource),
                None => !keeps_unknown,
            }
        }),
        Value::Array(items) => {
            let child = schema.and_then(|schema| schema.items.as_deref());
            (child.is_some() || !keeps_unknown)
                && items.iter().any(|item| finds_unknown(child, item, is_embedded(child)))
        }
        _ => false,
    }
}

struct Pruner<'a> {
    pruned: &'a mut Vec<String>,
    room: usize,
}

impl Pruner<'_> {
    /// Below a map that takes anything there is no schema: objects are emptied. `is_resource`: the object has metadata.
    fn visit(&mut self, schema: Option<&Schema>, value: &mut Value, path: &str, is_resource: bool) {
        let keeps_unknown = schema.is_some_and(|schema| schema.preserves_unknown);
        match value {
            Value::Object(fields) => {
                let envelope = |key: &str| is_resource && ENVELOPE.contains(&key);
                let known = |key: &str| {
                    schema.is_some_and(|schema| schema.properties.contains_key(key) || schema.values.is_some())
                };
                fields.retain(|key, _| {
                    let kept = envelope(key) || known(key) || keeps_unknown;
                    if !kept {
                        self.tell(path, key);
                    }
                    kept
                });
                for (key, below) in fields.iter_mut().filter(|(key, _)| !envelope(key) && known(key)) {
                    let child = schema.and_then(|schema| schema.child(key));
                    self.visit(child, below, &join(path, key), is_embedded(child));
                }
                if is_resource && !path.is_empty() {
                    self.metadata(fields.get_mut("metadata"), &join(path, "metadata"));
                }
            }
            Value::Array(items) => {
                let child = schema.and_then(|schema| schema.items.as_deref());
                if child.is_none() && keeps_unknown {
                    return;
                }
                for (index, item) in items.iter_mut().enumerate() {
                    self.visit(child, item, &format!("{path}[{index}]"), is_embedded(child));
                }
            }
            _ => {}
        }
    }

    fn tell(&mut self, path: &str, key: &str) {
        if self.room > 0 {
            let path = join(path, key);
            self.room = self.room.saturating_sub(path.len());
            self.pruned.push(path);
        }
    }

    /// Of an embedded resource: what is no metadata, or not of its type, goes.
    fn metadata(&mut self, metadata: Option<&mut Value>, path: &str) {
        let Some(Value::Object(fields)) = metadata else { return };
        fields.retain(|key, value| {
            let node = object_meta().field(key);
            let fits = node.is_some_and(|node| check_node(node, value).wrong_types.is_empty());
            if !fits {
                self.tell(path, key);
            }
            fits
        });
    }
}

fn is_embedded(schema: Option<&Schema>) -> bool {
    schema.is_some_and(|schema| schema.embedded_resource)
}

fn join(path: &str, key: &str) -> String {
    crate::field::join(path, key)
}
