//! Whatever somebody sends is answered: nothing that fits the schema, or does not, ends in a panic.

use super::*;

fn samples() -> Vec<Value> {
    let container = json!({
        "name": "c", "image": "x", "command": ["a"], "ports": [{"name": "p", "containerPort": 80, "protocol": "TCP"}],
        "env": [{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "m", "key": "k"}}}],
        "envFrom": [{"prefix": "P", "secretRef": {"name": "s"}}],
        "resources": {"limits": {"cpu": "1"}, "requests": {"cpu": "100m"}},
        "volumeMounts": [{"name": "v", "mountPath": "/v", "subPath": "a"}],
        "livenessProbe": {"httpGet": {"path": "/", "port": 80}, "periodSeconds": 1},
        "lifecycle": {"preStop": {"sleep": {"seconds": 1}}},
        "securityContext": {"capabilities": {"drop": ["ALL"]}},
    });
    let projected =
        json!({"sources": [{"downwardAPI": {"items": [{"path": "a", "fieldRef": {"fieldPath": "metadata.name"}}]}}]});
    let term = json!({"matchExpressions": [{"key": "a", "operator": "In", "values": ["b"]}]});
    let required = json!({"nodeSelectorTerms": [term]});
    let spec = json!({
        "containers": [container], "initContainers": [{"name": "i", "image": "x"}],
        "volumes": [{"name": "v", "projected": projected}, {"name": "w", "hostPath": {"path": "/a"}}],
        "tolerations": [{"key": "a", "operator": "Equal", "value": "b", "effect": "NoExecute", "tolerationSeconds": 1}],
        "affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": required}},
        "topologySpreadConstraints": [{"maxSkew": 1, "topologyKey": "a", "whenUnsatisfiable": "DoNotSchedule"}],
    });
    let metadata = json!({
        "name": "d", "labels": {"app": "d"}, "annotations": {"a": "b"}, "finalizers": ["a/b"],
        "ownerReferences": [{"apiVersion": "v1", "kind": "Pod", "name": "p", "uid": "u", "controller": true}],
    });
    let template = json!({"metadata": {"labels": {"app": "d"}}, "spec": spec});
    let strategy = json!({"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": "25%"}});
    let selector = json!({"matchLabels": {"app": "d"}, "matchExpressions": [{"key": "app", "operator": "Exists"}]});
    let deployment = json!({"replicas": 1, "selector": selector, "strategy": strategy, "template": template});
    let port = json!({"name": "a", "port": 80, "targetPort": "p", "nodePort": 30080, "protocol": "TCP"});
    let affinity = json!({"clientIP": {"timeoutSeconds": 5}});
    let service = json!({
        "type": "NodePort", "ports": [port], "selector": {"a": "b"}, "clusterIP": "10.43.0.9", "clusterIPs": ["10.43.0.9"],
        "sessionAffinity": "ClientIP", "sessionAffinityConfig": affinity, "externalIPs": ["1.2.3.4"],
    });
    let endpoint = json!({"addresses": ["10.64.0.1"], "conditions": {"ready": true}});
    vec![
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": deployment}),
        json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "x"}]}}),
        json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s"}, "spec": service}),
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "type": "Opaque", "stringData": {"a": "b"}, "data": {"c": "eA=="}}),
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": {"a": "b"}, "binaryData": {"c": "eA=="}}),
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "n"}, "spec": {"finalizers": ["a"]}}),
        json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n"}, "spec": {"taints": [{"key": "a", "effect": "NoExecute"}]}, "status": {"capacity": {"cpu": "1"}}}),
        json!({"apiVersion": "v1", "kind": "Event", "metadata": {"name": "e"}, "involvedObject": {"namespace": "default"}, "type": "Normal"}),
        json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "l"}, "spec": {"leaseDurationSeconds": 4}}),
        json!({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "metadata": {"name": "e"}, "addressType": "IPv4", "endpoints": [endpoint], "ports": [{"port": 80}]}),
        json!({"apiVersion": "v1", "kind": "Endpoints", "metadata": {"name": "e"}, "subsets": [{"addresses": [{"ip": "192.0.2.1"}], "ports": [{"port": 80}]}]}),
        json!({"apiVersion": "v1", "kind": "LimitRange", "metadata": {"name": "l"}, "spec": {"limits": [{"type": "Container", "max": {"cpu": "1"}, "min": {"cpu": "1m"}}]}}),
        json!({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "q"}, "spec": {"hard": {"pods": "1"}, "scopes": ["Terminating"]}}),
        json!({"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": "v"}, "spec": {"accessModes": ["ReadWriteOnce"], "capacity": {"storage": "1Gi"}, "hostPath": {"path": "/a"}}}),
        json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "c"}, "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}, "storageClassName": "s"}}),
        json!({"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": "s"}, "provisioner": "p"}),
        json!({"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": {"name": "p"}, "value": 1}),
        json!({"apiVersion": "node.k8s.io/v1", "kind": "RuntimeClass", "metadata": {"name": "r"}, "handler": "h"}),
        json!({"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": {"name": "i"}, "spec": {"rules": [{"host": "a.b", "http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": {"service": {"name": "w", "port": {"number": 80}}}}]}}], "tls": [{"hosts": ["a.b"]}]}}),
        json!({"apiVersion": "networking.k8s.io/v1", "kind": "IngressClass", "metadata": {"name": "c"}, "spec": {"controller": "a.b/c"}}),
        json!({"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": "n"}, "spec": {"podSelector": {}, "egress": [{"to": [{"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.1.0.0/16"]}}], "ports": [{"port": 80, "endPort": 90}]}]}}),
        json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "r"}, "rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}], "aggregationRule": {"clusterRoleSelectors": [{"matchLabels": {"a": "b"}}]}}),
        json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": {"name": "r"}, "subjects": [{"kind": "User", "name": "u"}], "roleRef": {"kind": "Role", "name": "r"}}),
    ]
}

/// JSON pointers to everything below `value`.
fn places(value: &Value, at: &str, found: &mut Vec<String>) {
    found.push(at.to_owned());
    match value {
        Value::Object(fields) => fields.iter().for_each(|(key, value)| {
            places(value, &format!("{at}/{}", key.replace('~', "~0").replace('/', "~1")), found);
        }),
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(index, value)| places(value, &format!("{at}/{index}"), found));
        }
        _ => {}
    }
}

#[test]
fn no_value_anywhere_makes_a_write_panic() {
    let odd = [
        json!(null),
        json!(true),
        json!(-1),
        json!(1e300),
        json!(""),
        json!("x y"),
        json!([]),
        json!({}),
        json!([null]),
        json!({"a": null}),
    ];
    for sample in samples() {
        let kind = kind_of(&sample);
        let namespace = if kind.namespaced { "default" } else { "" };
        let snapshot = cluster([]);
        let settled = with(&snapshot, |context| create(kind, namespace, sample.clone(), context));
        let settled = settled.expect("the sample is accepted");
        let settled = Object::new(settled.key(kind), 8, settled.value);
        let mut found = Vec::new();
        places(&sample, "", &mut found);
        for place in found {
            for value in &odd {
                let mut changed = sample.clone();
                *changed.pointer_mut(&place).unwrap() = value.clone();
                with(&snapshot, |context| {
                    let _ = create(kind, namespace, changed.clone(), context);
                    for part in [Part::Main, Part::Status] {
                        let _ = update(kind, &settled, changed.clone(), part, context);
                    }
                });
            }
        }
    }
}

/// What was accepted is settled: defaulting and validating it once more changes nothing.
#[test]
fn what_is_stored_is_what_would_be_stored_again() {
    for sample in samples() {
        let object = stored(sample);
        let again = updated(&object, Part::Both, |_| {}).unwrap();
        assert_eq!(again.effect, Effect::Unchanged, "{:#}", again.value);
    }
}
