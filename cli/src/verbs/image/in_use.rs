use std::collections::BTreeMap;

use anyhow::Result;
use serde_json::Value;
use wasmk_host::Digest;

use super::Local;
use crate::args::Global;
use crate::session::Session;

/// Which images of this machine containers run, each with the first pod that does.
pub(super) struct InUse {
    pods: BTreeMap<Digest, String>,
    /// Nobody here knows: a node of another machine's cluster runs on this store.
    is_unknown: bool,
}

impl InUse {
    /// Asks the cluster of this data directory. One that does not answer runs nothing here.
    pub(super) async fn ask(local: &Local) -> Result<Self> {
        let is_unknown = local.data_dir.join("identity").is_dir();
        let kubeconfig = local.data_dir.join("kubeconfig");
        let global = Global { kubeconfig: Some(kubeconfig.clone()), context: None, namespace: None };
        let mut pods = BTreeMap::new();
        if kubeconfig.is_file()
            && let Ok(session) = Session::connect(&global).await
            && let Ok(list) = session.get("/api/v1/pods").await
        {
            for pod in list["items"].as_array().into_iter().flatten() {
                for digest in digests(pod) {
                    pods.entry(digest).or_insert_with(|| name(pod));
                }
            }
        }
        Ok(Self { pods, is_unknown })
    }

    pub(super) fn pod(&self, image: &Digest) -> Option<&str> {
        self.pods.get(image).map(String::as_str)
    }

    /// Whether what the image consists of has to stay.
    pub(super) fn keeps(&self, image: &Digest) -> bool {
        self.is_unknown || self.pods.contains_key(image)
    }
}

fn name(pod: &Value) -> String {
    let field = |name: &str| pod["metadata"][name].as_str().unwrap_or_default().to_owned();
    format!("{}/{}", field("namespace"), field("name"))
}

/// Of the containers that did not end for good.
fn digests(pod: &Value) -> Vec<Digest> {
    if matches!(pod["status"]["phase"].as_str(), Some("Succeeded" | "Failed")) {
        return Vec::new();
    }
    let lists = ["containerStatuses", "initContainerStatuses"];
    let statuses = lists.iter().flat_map(|list| pod["status"][list].as_array().into_iter().flatten());
    statuses.filter_map(|status| status["imageID"].as_str()?.rsplit_once('@')?.1.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn pods_that_ended_use_nothing() {
        let digest = format!("sha256:{}", "b".repeat(64));
        let pod = |phase: &str| json!({"status": {"phase": phase, "containerStatuses": [{"imageID": format!("a@{digest}")}]}});
        assert_eq!(digests(&pod("Running")), [digest.parse().unwrap()]);
        assert!(digests(&pod("Succeeded")).is_empty());
        assert!(digests(&json!({"status": {"containerStatuses": [{"imageID": ""}]}})).is_empty());
    }
}
