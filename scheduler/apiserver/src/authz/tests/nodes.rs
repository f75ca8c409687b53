use serde_json::json;
use wasmk_api::{Key, Object, Snapshot, Status};

use super::may_in;
use crate::Identity;

fn node(name: &str) -> Identity {
    Identity::new(format!("system:node:{name}"), ["system:nodes"])
}

fn may(identity: &Identity, method: &str, path: &str) -> Result<(), Status> {
    let pod = |name: &str, node: &str, secret: &str| {
        let key = Key::new("pods", "default", name);
        let volumes =
            json!([{"name": "v", "secret": {"secretName": secret}}, {"name": "c", "configMap": {"name": "c"}}]);
        Object::new(key, 1, json!({"metadata": {}, "spec": {"nodeName": node, "volumes": volumes}}))
    };
    let snapshot = Snapshot::from_objects(1, [pod("mine", "a", "s"), pod("theirs", "b", "other")]);
    may_in(&snapshot, identity, method, path)
}

#[test]
fn a_node_does_its_own_work() {
    for (method, path) in [
        ("GET", "/api/v1/nodes"),
        ("GET", "/api/v1/namespaces/default/pods/mine"),
        ("GET", "/api/v1/namespaces/default/secrets/s"),
        ("GET", "/api/v1/namespaces/default/configmaps/c"),
        ("GET", "/apis/discovery.k8s.io/v1/endpointslices"),
        ("POST", "/api/v1/nodes"),
        ("PATCH", "/api/v1/nodes/a/status"),
        ("PUT", "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/a"),
        ("PATCH", "/api/v1/namespaces/default/pods/mine/status"),
        ("DELETE", "/api/v1/namespaces/default/pods/mine"),
        ("POST", "/api/v1/namespaces/default/events"),
        ("GET", "/v2/hello/manifests/v1"),
        ("GET", "/apis/apps/v1"),
    ] {
        assert_eq!(may(&node("a"), method, path), Ok(()), "{method} {path}");
    }
}

#[test]
fn a_node_does_no_other_work() {
    for (method, path) in [
        ("GET", "/api/v1/pods"),
        ("GET", "/api/v1/namespaces/default/pods/theirs"),
        ("GET", "/apis/apps/v1/deployments"),
        ("GET", "/api/v1/namespaces/default/secrets/other"),
        ("GET", "/api/v1/namespaces/default/configmaps/s"),
        ("GET", "/api/v1/namespaces/elsewhere/secrets/s"),
        ("GET", "/api/v1/namespaces/default/secrets"),
        ("GET", "/api/v1/secrets"),
        ("PATCH", "/api/v1/nodes/b/status"),
        ("DELETE", "/api/v1/nodes/a"),
        ("PUT", "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/b"),
        ("PUT", "/apis/coordination.k8s.io/v1/namespaces/default/leases/a"),
        ("PATCH", "/api/v1/namespaces/default/pods/theirs/status"),
        ("DELETE", "/api/v1/namespaces/default/pods/theirs"),
        ("POST", "/api/v1/namespaces/default/pods"),
        ("POST", "/api/v1/namespaces/default/pods/mine/binding"),
        ("PUT", "/api/v1/namespaces/default/secrets/s"),
        ("PUT", "/v2/hello/manifests/v1"),
        ("POST", "/apis/apps/v1/namespaces/default/deployments"),
    ] {
        assert!(may(&node("a"), method, path).is_err(), "{method} {path}");
    }
}

#[test]
fn refusals_read_as_in_kubernetes() {
    let message = |method, path| may(&node("a"), method, path).unwrap_err().message;
    assert_eq!(
        message("PUT", "/api/v1/namespaces/default/secrets/s"),
        "secrets \"s\" is forbidden: User \"system:node:a\" cannot update resource \"secrets\" in API group \"\" in the namespace \"default\""
    );
    assert_eq!(
        message("POST", "/api/v1/namespaces"),
        "namespaces is forbidden: User \"system:node:a\" cannot create resource \"namespaces\" in API group \"\" at the cluster scope"
    );
    assert_eq!(message("GET", "/metrics"), "forbidden: User \"system:node:a\" cannot get path \"/metrics\"");
}

#[test]
fn an_administrator_may_do_everything() {
    assert_eq!(may(&Identity::control_plane(), "DELETE", "/api/v1/namespaces/default/secrets"), Ok(()));
}

#[test]
fn a_stranger_may_nothing_that_no_role_grants() {
    let stranger = Identity::new("eve", ["system:authenticated"]);
    for path in ["/apis", "/api/v1/namespaces/default/pods", "/v2/"] {
        assert!(may(&stranger, "GET", path).is_err(), "{path}");
    }
}
