//! The configuration of an image: the OCI image specification's, and the wasm artifact's, which has less.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What an image says about itself. What is not known is left out.
#[derive(Clone, PartialEq, Eq, Default, Debug, Deserialize, Serialize)]
#[serde(default)]
pub struct ImageConfig {
    /// RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
    pub architecture: String,
    pub os: String,
    #[serde(deserialize_with = "or_default")]
    pub config: RunConfig,
    #[serde(deserialize_with = "or_default")]
    pub rootfs: RootFs,
    #[serde(deserialize_with = "or_default")]
    pub history: Vec<HistoryEntry>,
}

/// How the image is run.
#[derive(Clone, PartialEq, Eq, Default, Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct RunConfig {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entrypoint: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cmd: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub env: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub working_dir: Option<String>,
    #[serde(deserialize_with = "or_default", skip_serializing_if = "BTreeMap::is_empty")]
    pub exposed_ports: BTreeMap<String, Empty>,
    #[serde(deserialize_with = "or_default", skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
}

/// `{}`.
#[derive(Clone, PartialEq, Eq, Default, Debug, Deserialize, Serialize)]
pub struct Empty {}

#[derive(Clone, PartialEq, Eq, Default, Debug, Deserialize, Serialize)]
#[serde(default)]
pub struct RootFs {
    r#type: String,
    /// Digests of the layers as they are before compression.
    pub diff_ids: Vec<String>,
}

impl RootFs {
    /// The only type that there is.
    pub fn of_layers(diff_ids: Vec<String>) -> Self {
        Self { r#type: "layers".to_owned(), diff_ids }
    }
}

/// A step by which the image was made.
#[derive(Clone, PartialEq, Eq, Default, Debug, Deserialize, Serialize)]
#[serde(default)]
pub struct HistoryEntry {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
    pub created_by: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub comment: String,
    /// It made no layer.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub empty_layer: bool,
}

/// Go writes empty lists and maps as null.
fn or_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_docker_writes_is_read() {
        let text = r#"{"architecture":"wasm","os":"wasi","config":{"Env":null,"Labels":null,"Entrypoint":["/a.wasm"],
            "ExposedPorts":{"80/tcp":{}},"User":"1000"},"history":null,"rootfs":{"type":"layers","diff_ids":["sha256:1"]}}"#;
        let config: ImageConfig = serde_json::from_str(text).unwrap();
        assert_eq!(config.config.entrypoint.as_deref(), Some(&["/a.wasm".to_owned()][..]));
        assert_eq!((config.config.user.as_deref(), config.config.labels.len()), (Some("1000"), 0));
        assert!(config.config.exposed_ports.contains_key("80/tcp") && config.history.is_empty());
    }

    #[test]
    fn what_an_artifact_says_is_read() {
        let text = r#"{"created":"2026-01-01T00:00:00Z","architecture":"wasm","os":"wasip2","layerDigests":[]}"#;
        let config: ImageConfig = serde_json::from_str(text).unwrap();
        assert_eq!((config.os.as_str(), config.config), ("wasip2", RunConfig::default()));
    }
}
