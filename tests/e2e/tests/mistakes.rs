//! Bad input: each mistake gets a message that says what is wrong and what to do.

use std::process::Command;
use std::time::Duration;

use wasmk_e2e::{Cluster, Output, eventually, wasmk_binary};

#[test]
fn files_that_are_wrong_are_refused_with_place_and_fix() {
    let cluster = Cluster::up();
    let broken = cluster.apply("kind: Pod\nmetadata:\n  name: [a\n").err();
    assert!(broken.contains(".yaml:") && broken.contains("not valid YAML"), "{broken}");
    let unknown_kind = cluster.apply("{apiVersion: v1, kind: Pood, metadata: {name: a}}").err();
    assert!(unknown_kind.contains("no kind Pood in v1"), "{unknown_kind}");
    let unknown_field =
        cluster.apply("{apiVersion: v1, kind: Pod, metadata: {name: a}, spec: {contaners: [], containers: [{name: c, image: x}]}}").err();
    assert!(unknown_field.contains("spec.contaners"), "{unknown_field}");
    let wrong_type = cluster
        .apply("{apiVersion: apps/v1, kind: Deployment, metadata: {name: a}, spec: {replicas: three, selector: {}, template: {}}}")
        .err();
    assert!(wrong_type.contains("replicas"), "{wrong_type}");
    let missing =
        cluster.apply("{apiVersion: v1, kind: Pod, metadata: {name: a}, spec: {containers: [{name: c}]}}").err();
    assert!(missing.contains("spec.containers[0].image"), "{missing}");
    let bad_name = cluster.apply("{apiVersion: v1, kind: ConfigMap, metadata: {name: Not_A_Name}}").err();
    assert!(bad_name.contains("metadata.name") && bad_name.contains("RFC 1123"), "{bad_name}");
    let nowhere = cluster.apply("{apiVersion: v1, kind: ConfigMap, metadata: {name: a, namespace: nowhere}}").err();
    assert!(nowhere.contains("namespaces \"nowhere\" not found"), "{nowhere}");
    let unsupported = cluster
        .apply("{apiVersion: v1, kind: Pod, metadata: {name: a}, spec: {hostNetwork: true, containers: [{name: c, image: x}]}}");
    let said = format!("{}{}", unsupported.stdout, unsupported.stderr);
    assert!(said.contains("hostNetwork"), "{said}");
}

#[test]
fn pods_that_cannot_run_say_why() {
    let cluster = Cluster::up();
    cluster.build("hello", "hello:v1");
    let pod = |name: &str, rest: &str| {
        format!(
            "---\n{{apiVersion: v1, kind: Pod, metadata: {{name: {name}}}, spec: {{containers: [{{name: c, {rest}}}]}}}}\n"
        )
    };
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("broken.wasm");
    std::fs::write(&file, b"\0asm this is no module").unwrap();
    let refused = cluster.wasmk_output(&["build", file.to_str().unwrap(), "-t", "broken:v1"]).err();
    assert!(refused.contains("broken.wasm"), "{refused}");

    let yaml = [
        pod("no-image", "image: 'nobody/has-this:v1'"),
        pod("no-config", "image: 'hello:v1', env: [{name: A, valueFrom: {configMapKeyRef: {name: absent, key: a}}}]"),
        pod("too-big", "image: 'hello:v1', resources: {requests: {memory: 500Ti}}"),
        pod("bad-name", "image: 'Not A Name'"),
    ];
    cluster.apply(&yaml.concat()).ok();
    let says = |name: &str, words: &[&str]| {
        eventually(Duration::from_secs(60), || {
            let text = cluster.wasmk(&["describe", "pod", name]);
            match words.iter().find(|word| !text.contains(**word)) {
                None => Ok(()),
                Some(word) => Err(format!("{word} is not in\n{text}")),
            }
        });
    };
    says("no-image", &["ImagePull", "nobody/has-this:v1", "not found"]);
    says("no-config", &["CreateContainerConfigError", "configmap \"absent\" not found"]);
    says("too-big", &["FailedScheduling", "Insufficient memory"]);
    says("bad-name", &["InvalidImageName"]);
    // What was missing appears, and the pod runs without anybody touching it.
    cluster.apply("{apiVersion: v1, kind: ConfigMap, metadata: {name: absent}, data: {a: b}}").ok();
    cluster.wasmk(&["wait", "pod/no-config", "--for=condition=Ready", "--timeout", "60s"]);
}

#[test]
fn a_taken_port_is_named() {
    let cluster = Cluster::up();
    let dir = tempfile::tempdir().unwrap();
    let mut second = Command::new(wasmk_binary());
    second.args(["up", "--bind-address", &cluster.subnet.node(0), "--data-dir"]).arg(dir.path());
    let said = Output::of(&mut second).err();
    assert!(said.contains("6443") && said.contains("taken"), "{said}");
    let mut same_data = Command::new(wasmk_binary());
    same_data.args(["up", "--bind-address", &cluster.subnet.node(1), "--data-dir"]).arg(cluster.data_dir());
    let said = Output::of(&mut same_data).err();
    assert!(said.contains("another wasmk"), "{said}");
}
