//! The pods that a verb works on: one by name, or those of a workload or a Service.

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::targets::{self, query};
use crate::manifest::Files;
use crate::session::Session;

/// At least one pod; the best to choose first.
pub(super) struct Found {
    pub(super) pods: Vec<Value>,
    /// What they were found by, unless it was a pod itself.
    pub(super) owner: Option<Value>,
}

/// `target` is a pod's name, `pod/a`, or a workload or Service such as `deploy/a`.
pub(super) async fn of(session: &Session, target: &str) -> Result<Found> {
    let argument = if target.contains('/') { target.to_owned() } else { format!("pod/{target}") };
    let named = targets::named_only(session, &[argument], &Files::default()).await?.remove(0);
    let object = session.get(&named.path()).await?;
    if named.resource.kind == "Pod" {
        return Ok(Found { pods: vec![object], owner: None });
    }
    let selector = selector_of(&object).with_context(|| format!("{} has no pods of its own", named.slashed()))?;
    let collection = session.discovery().await?.find("pods")?.collection(Some(&session.namespace));
    let mut pods = list(session, &format!("{collection}{}", query(&[("labelSelector", Some(&selector))]))).await?;
    if pods.is_empty() {
        bail!("{} has no pods yet", named.slashed());
    }
    // A ready one that stays, and of those the oldest.
    pods.sort_by_key(|pod| {
        let conditions = pod["status"]["conditions"].as_array().into_iter().flatten();
        let is_ready = conditions.into_iter().any(|one| one["type"] == "Ready" && one["status"] == "True");
        let is_leaving = pod["metadata"]["deletionTimestamp"].is_string();
        let created = pod["metadata"]["creationTimestamp"].to_string();
        (is_leaving, !is_ready, pod["status"]["phase"] != "Running", created)
    });
    Ok(Found { pods, owner: Some(object) })
}

impl Found {
    /// Says which one is taken, if there is a choice; `hint` is how to take others.
    pub(super) fn tell_choice(&self, hint: &str) {
        if self.pods.len() > 1 {
            eprintln!("Found {} pods, using pod/{}{hint}", self.pods.len(), name(&self.pods[0]));
        }
    }

    /// The one to work on.
    pub(super) fn choose(mut self) -> Value {
        self.tell_choice("");
        self.pods.swap_remove(0)
    }
}

pub(super) fn name(pod: &Value) -> &str {
    pod["metadata"]["name"].as_str().unwrap_or_default()
}

/// The container that is meant: by name, by the pod's annotation, or the first.
pub(super) fn container(pod: &Value, wanted: Option<&str>) -> Result<String> {
    let every = ["containers", "initContainers"].iter().flat_map(|field| pod["spec"][field].as_array()).flatten();
    let names: Vec<&str> = every.filter_map(|container| container["name"].as_str()).collect();
    let annotated = pod["metadata"]["annotations"]["kubectl.kubernetes.io/default-container"].as_str();
    if let Some(wanted) = wanted.or(annotated) {
        if !names.contains(&wanted) {
            bail!("container {wanted} not found in pod {}; it has {}", name(pod), names.join(", "));
        }
        return Ok(wanted.to_owned());
    }
    let first = *names.first().context("the pod has no containers")?;
    if names.len() > 1 {
        eprintln!("Defaulted container {first:?} out of: {}", names.join(", "));
    }
    Ok(first.to_owned())
}

pub(super) async fn list(session: &Session, path: &str) -> Result<Vec<Value>> {
    match session.get(path).await?["items"].take() {
        Value::Array(items) => Ok(items),
        _ => Ok(Vec::new()),
    }
}

/// The label selector of a workload or a Service, as a query wants it.
pub(super) fn selector_of(object: &Value) -> Option<String> {
    let selector = &object["spec"]["selector"];
    let labels =
        selector["matchLabels"].as_object().or_else(|| selector.as_object().filter(|_| object["kind"] == "Service"))?;
    let pairs: Vec<String> =
        labels.iter().map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default())).collect();
    (!pairs.is_empty()).then(|| pairs.join(","))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_container_is_the_one_named_annotated_or_first() {
        let mut pod = json!({"metadata": {"name": "web"}, "spec": {"containers": [{"name": "a"}, {"name": "b"}]}});
        assert_eq!(container(&pod, None).unwrap(), "a");
        assert_eq!(container(&pod, Some("b")).unwrap(), "b");
        assert!(container(&pod, Some("c")).unwrap_err().to_string().contains("it has a, b"));
        pod["metadata"]["annotations"] = json!({"kubectl.kubernetes.io/default-container": "b"});
        assert_eq!(container(&pod, None).unwrap(), "b");
    }
}
