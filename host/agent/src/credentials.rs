//! Logins in Docker's formats, out of `imagePullSecrets`.

use std::collections::{BTreeSet, HashMap};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use k8s_openapi::api::core::v1::Pod;
use serde::Deserialize;

use crate::Credential;
use crate::sources::{SourceData, SourceKind, SourceRef};

#[derive(Deserialize)]
struct DockerConfig {
    auths: HashMap<String, Auth>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Auth {
    username: String,
    password: String,
    /// `base64(username:password)`, which wins.
    auth: String,
}

/// The Secrets that the pod's images are pulled with.
pub(crate) fn references(pod: &Pod) -> BTreeSet<SourceRef> {
    let secrets = pod.spec.iter().flat_map(|spec| spec.image_pull_secrets.iter().flatten());
    secrets.map(|secret| SourceRef::new(SourceKind::Secret, &secret.name)).collect()
}

/// What cannot be read is left out: the registry will say that it wants a login.
pub(crate) fn parse(secret: &SourceData) -> Vec<Credential> {
    let current = secret.values.get(".dockerconfigjson");
    let current = current.and_then(|json| serde_json::from_slice::<DockerConfig>(json).ok()).map(|config| config.auths);
    let old = || secret.values.get(".dockercfg").and_then(|json| serde_json::from_slice(json).ok());
    current.or_else(old).into_iter().flatten().map(|(server, auth)| auth.credential(&server)).collect()
}

impl Auth {
    fn credential(self, server: &str) -> Credential {
        let decoded = BASE64_STANDARD.decode(&self.auth).ok().and_then(|bytes| String::from_utf8(bytes).ok());
        let pair = decoded.as_deref().and_then(|text| text.split_once(':'));
        let (username, password) =
            pair.map_or((self.username, self.password), |(name, word)| (name.into(), word.into()));
        Credential { registry: host(server).to_owned(), username, password }
    }
}

/// Servers are written as hosts or as URLs.
fn host(server: &str) -> &str {
    let rest = server.trim_start_matches("https://").trim_start_matches("http://");
    rest.split('/').next().unwrap_or(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_formats_are_read() {
        let secret = |key: &str, json: &str| SourceData {
            values: [(key.to_owned(), json.as_bytes().to_vec())].into(),
            ..SourceData::default()
        };
        let found = parse(&secret(".dockerconfigjson", r#"{"auths":{"https://ghcr.io/v1/":{"auth":"dXNlcjpwYXNz"}}}"#));
        let wanted = Credential { registry: "ghcr.io".into(), username: "user".into(), password: "pass".into() };
        assert!(found == [wanted]);
        let found = parse(&secret(".dockercfg", r#"{"reg:5000":{"username":"u","password":"p"}}"#));
        assert!(found.len() == 1 && found[0].registry == "reg:5000" && found[0].username == "u");
        assert!(parse(&secret(".dockerconfigjson", "nonsense")).is_empty());
    }
}
