//! The downward API: fields of a pod and resources of its containers, as text. Pure.

use std::collections::BTreeMap;
use std::net::IpAddr;

use k8s_openapi::api::core::v1::{Container, Pod, ResourceFieldSelector};
use wasmk_api::Quantity;

use crate::Resources;

/// What a pod's fields are read from, besides the pod.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FieldContext<'a> {
    pub(crate) pod: &'a Pod,
    pub(crate) pod_ip: Option<IpAddr>,
    pub(crate) host_ip: IpAddr,
    /// Limits that a container does not set are those of the node.
    pub(crate) node: Resources,
}

/// The value of a `fieldRef`, or what is wrong with its path.
pub(crate) fn field(context: &FieldContext<'_>, path: &str) -> Result<String, String> {
    let meta = &context.pod.metadata;
    let spec = context.pod.spec.as_ref();
    let text = |value: Option<&String>| Ok(value.cloned().unwrap_or_default());
    match path {
        "metadata.name" => text(meta.name.as_ref()),
        "metadata.namespace" => text(meta.namespace.as_ref()),
        "metadata.uid" => text(meta.uid.as_ref()),
        "metadata.labels" => Ok(lines(meta.labels.as_ref())),
        "metadata.annotations" => Ok(lines(meta.annotations.as_ref())),
        "spec.nodeName" => text(spec.and_then(|spec| spec.node_name.as_ref())),
        "spec.serviceAccountName" => text(spec.and_then(|spec| spec.service_account_name.as_ref())),
        "status.hostIP" | "status.hostIPs" => Ok(context.host_ip.to_string()),
        "status.podIP" | "status.podIPs" => Ok(context.pod_ip.map(|ip| ip.to_string()).unwrap_or_default()),
        _ => {
            let keyed = |prefix: &str| path.strip_prefix(prefix)?.strip_prefix("['")?.strip_suffix("']");
            let of = |map: Option<&BTreeMap<String, String>>, key| text(map.and_then(|map| map.get(key)));
            if let Some(key) = keyed("metadata.labels") {
                of(meta.labels.as_ref(), key)
            } else if let Some(key) = keyed("metadata.annotations") {
                of(meta.annotations.as_ref(), key)
            } else {
                Err(format!("unsupported fieldPath: {path}"))
            }
        }
    }
}

/// The value of a `resourceFieldRef`; `own` is the container it stands in, if it stands in one.
pub(crate) fn resource(
    context: &FieldContext<'_>,
    selector: &ResourceFieldSelector,
    own: Option<&Container>,
) -> Result<String, String> {
    let container = match (&selector.container_name, own) {
        (Some(name), _) if !name.is_empty() => find(context.pod, name)
            .ok_or_else(|| format!("resourceFieldRef names container {name:?}, which the pod does not have"))?,
        (_, Some(own)) => own,
        (_, None) => return Err("resourceFieldRef must name a container in a volume".into()),
    };
    let resources = container.resources.clone().unwrap_or_default();
    let (group, name) = selector.resource.split_once('.').unwrap_or((&selector.resource, ""));
    let set = match group {
        "limits" => resources.limits.as_ref().and_then(|limits| limits.get(name)),
        "requests" => resources.requests.as_ref().and_then(|requests| requests.get(name)),
        _ => return Err(format!("unsupported resource: {}", selector.resource)),
    };
    let divisor =
        selector.divisor.as_ref().map(|divisor| parse(&divisor.0)).transpose()?.filter(|divisor| !divisor.is_zero());
    let value = match set {
        Some(quantity) => parse(&quantity.0)?,
        None if group == "limits" => {
            of_node(&context.node, name).ok_or_else(|| format!("unsupported resource: {}", selector.resource))?
        }
        None => Quantity::ZERO,
    };
    let quotient = match (name, divisor) {
        ("cpu", divisor) => div_ceil(value.milli(), divisor.map_or(1000, Quantity::milli)),
        (_, divisor) => div_ceil(value.units(), divisor.map_or(1, Quantity::units)),
    };
    Ok(quotient.to_string())
}

/// Sorted `key="value"` lines with Go's escapes, as the kubelet writes labels and annotations to a file.
fn lines(map: Option<&BTreeMap<String, String>>) -> String {
    let lines: Vec<_> = map.into_iter().flatten().map(|(key, value)| format!("{key}={value:?}")).collect();
    lines.join("\n")
}

fn find<'a>(pod: &'a Pod, name: &str) -> Option<&'a Container> {
    let spec = pod.spec.as_ref()?;
    spec.init_containers.iter().flatten().chain(&spec.containers).find(|container| container.name == name)
}

fn of_node(node: &Resources, name: &str) -> Option<Quantity> {
    let units =
        |value: u64| Quantity::from_units(value.try_into().unwrap_or(i64::MAX), wasmk_api::quantity::Format::BinarySi);
    match name {
        "cpu" => Some(Quantity::from_milli(node.cpu_millis.try_into().unwrap_or(i64::MAX))),
        "memory" => Some(units(node.memory_bytes)),
        "ephemeral-storage" => Some(units(node.disk_bytes)),
        _ => None,
    }
}

fn parse(text: &str) -> Result<Quantity, String> {
    Quantity::parse(text).map_err(|error| format!("{text:?}: {error}"))
}

fn div_ceil(value: i64, divisor: i64) -> i64 {
    let divisor = divisor.max(1);
    value / divisor + i64::from(value % divisor > 0)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn context(pod: &Pod) -> FieldContext<'_> {
        let node = Resources { cpu_millis: 4000, memory_bytes: 1 << 30, disk_bytes: 1 << 40 };
        FieldContext { pod, pod_ip: Some([10, 64, 0, 7].into()), host_ip: [127, 0, 0, 1].into(), node }
    }

    fn pod() -> Pod {
        serde_json::from_value(json!({
            "metadata": {"name": "web", "namespace": "default", "uid": "u1", "labels": {"app": "web", "tier": "a\"b"}},
            "spec": {"nodeName": "n1", "containers": [
                {"name": "c", "resources": {"limits": {"cpu": "250m", "memory": "64Mi"}}}, {"name": "free"}]},
        }))
        .unwrap()
    }

    #[test]
    fn fields_of_the_pod() {
        let pod = pod();
        let check = |path, value: &str| assert_eq!(field(&context(&pod), path).as_deref(), Ok(value), "{path}");
        check("metadata.name", "web");
        check("metadata.labels['app']", "web");
        check("metadata.labels['none']", "");
        check("metadata.labels", "app=\"web\"\ntier=\"a\\\"b\"");
        check("spec.nodeName", "n1");
        check("status.podIP", "10.64.0.7");
        check("status.hostIP", "127.0.0.1");
        assert!(field(&context(&pod), "spec.hostname").is_err());
    }

    #[test]
    fn resources_are_rounded_up_to_the_divisor() {
        let pod = pod();
        let check = |json, value: &str| {
            let selector = serde_json::from_value(json).unwrap();
            assert_eq!(resource(&context(&pod), &selector, None).as_deref(), Ok(value), "{selector:?}");
        };
        check(json!({"containerName": "c", "resource": "limits.cpu"}), "1");
        check(json!({"containerName": "c", "resource": "limits.cpu", "divisor": "1m"}), "250");
        check(json!({"containerName": "c", "resource": "limits.memory", "divisor": "1Mi"}), "64");
        check(json!({"containerName": "c", "resource": "requests.memory"}), "0");
        check(json!({"containerName": "free", "resource": "limits.cpu"}), "4");
        check(json!({"containerName": "free", "resource": "limits.memory", "divisor": "1Gi"}), "1");
        let selector = serde_json::from_value(json!({"containerName": "x", "resource": "limits.cpu"})).unwrap();
        assert!(resource(&context(&pod), &selector, None).is_err());
    }
}
