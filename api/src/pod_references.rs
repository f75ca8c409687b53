//! What a pod names in its namespace, and so what its node may read. Source: `pkg/api/v1/pod/util.go`
//! (`VisitPodSecretNames`, `VisitPodConfigmapNames`).

use serde_json::Value;

/// Names of Secrets, possibly several times; `pod` is a Pod object.
pub fn secrets(pod: &Value) -> impl Iterator<Item = &str> {
    let spec = &pod["spec"];
    let pulled = items(&spec["imagePullSecrets"]).map(|secret| &secret["name"]);
    let shown = items(&spec["volumes"]).map(|volume| &volume["secret"]["secretName"]);
    let projected = projections(spec).map(|source| &source["secret"]["name"]);
    pulled.chain(shown).chain(projected).chain(variables(spec, "secretRef", "secretKeyRef")).filter_map(Value::as_str)
}

/// Names of ConfigMaps, possibly several times; `pod` is a Pod object.
pub fn config_maps(pod: &Value) -> impl Iterator<Item = &str> {
    let spec = &pod["spec"];
    let shown = items(&spec["volumes"]).map(|volume| &volume["configMap"]["name"]);
    let projected = projections(spec).map(|source| &source["configMap"]["name"]);
    shown.chain(projected).chain(variables(spec, "configMapRef", "configMapKeyRef")).filter_map(Value::as_str)
}

fn projections(spec: &Value) -> impl Iterator<Item = &Value> {
    items(&spec["volumes"]).flat_map(|volume| items(&volume["projected"]["sources"]))
}

/// What the environment of any container is taken from, whole (`all`) or a key at a time (`one`).
fn variables<'a>(spec: &'a Value, all: &'static str, one: &'static str) -> impl Iterator<Item = &'a Value> {
    let containers = ["initContainers", "containers", "ephemeralContainers"].into_iter();
    containers.flat_map(|list| items(&spec[list])).flat_map(move |container| {
        let whole = items(&container["envFrom"]).map(move |from| &from[all]["name"]);
        whole.chain(items(&container["env"]).map(move |variable| &variable["valueFrom"][one]["name"]))
    })
}

fn items(list: &Value) -> impl Iterator<Item = &Value> {
    list.as_array().into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_place_of_a_name_is_seen() {
        let container = |index: u32| {
            json!({
                "envFrom": [{"secretRef": {"name": format!("s-all-{index}")}}, {"configMapRef": {"name": format!("c-all-{index}")}}],
                "env": [
                    {"name": "A", "value": "1"},
                    {"name": "B", "valueFrom": {"secretKeyRef": {"name": format!("s-one-{index}"), "key": "k"}}},
                    {"name": "C", "valueFrom": {"configMapKeyRef": {"name": format!("c-one-{index}"), "key": "k"}}},
                ],
            })
        };
        let pod = json!({"spec": {
            "imagePullSecrets": [{"name": "s-pull"}],
            "volumes": [
                {"name": "v1", "secret": {"secretName": "s-volume"}},
                {"name": "v2", "configMap": {"name": "c-volume"}},
                {"name": "v3", "projected": {"sources": [{"secret": {"name": "s-part"}}, {"configMap": {"name": "c-part"}}]}},
                {"name": "v4", "emptyDir": {}},
            ],
            "initContainers": [container(1)],
            "containers": [container(2)],
        }});
        let secrets: Vec<_> = secrets(&pod).collect();
        assert_eq!(secrets, ["s-pull", "s-volume", "s-part", "s-all-1", "s-one-1", "s-all-2", "s-one-2"]);
        let config_maps: Vec<_> = config_maps(&pod).collect();
        assert_eq!(config_maps, ["c-volume", "c-part", "c-all-1", "c-one-1", "c-all-2", "c-one-2"]);
    }
}
