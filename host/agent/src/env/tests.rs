use k8s_openapi::api::core::v1::Pod;
use serde_json::{Value, json};

use super::*;
use crate::Resources;
use crate::sources::SourceData;

fn sources() -> Gathered {
    let data = |entries: &[(&str, &str)]| {
        let values = entries.iter().map(|(key, value)| ((*key).to_owned(), value.as_bytes().to_vec())).collect();
        Some(Ok(std::sync::Arc::new(SourceData { values, binary: BTreeMap::new() })))
    };
    Gathered::from_parts(
        "default",
        [
            (SourceRef::new(SourceKind::ConfigMap, "config"), data(&[("greeting", "Hello"), ("level", "3")])),
            (SourceRef::new(SourceKind::Secret, "login"), data(&[("password", "s3cret")])),
            (SourceRef::new(SourceKind::ConfigMap, "gone"), None),
        ],
    )
}

fn image() -> Image {
    Image {
        digest: "sha256:1".into(),
        wasm: "/images/hello.wasm".into(),
        wasm_digest: "sha256:0".into(),
        rootfs: Some("/images".into()),
        entrypoint: vec![],
        cmd: vec!["serve".into()],
        env: vec![("FROM_IMAGE".into(), "1".into()), ("LEVEL".into(), "image".into())],
        working_dir: None,
        size_bytes: 1,
    }
}

fn resolve(container: Value) -> Result<Env, ConfigError> {
    let pod = Pod { metadata: serde_json::from_value(json!({"name": "web"})).unwrap(), ..Pod::default() };
    let fields = FieldContext {
        pod: &pod,
        pod_ip: None,
        host_ip: [127, 0, 0, 1].into(),
        node: Resources { cpu_millis: 1000, memory_bytes: 1, disk_bytes: 1 },
    };
    let services = Env::from([("DB_SERVICE_HOST".to_owned(), "10.43.0.9".to_owned())]);
    environment(&serde_json::from_value(container).unwrap(), &image(), services, &fields, &sources())
}

#[track_caller]
fn check(container: Value, name: &str, value: Option<&str>) {
    assert_eq!(resolve(container).unwrap().get(name).map(String::as_str), value, "{name}");
}

#[test]
fn later_sources_win_and_references_expand() {
    let container = json!({"name": "c",
    "envFrom": [{"configMapRef": {"name": "config"}, "prefix": "C_"}, {"secretRef": {"name": "none", "optional": true}}],
    "env": [
        {"name": "LEVEL", "value": "own"},
        {"name": "URL", "value": "http://$(DB_SERVICE_HOST)/$(C_level)/$(LEVEL)/$(LATER)/$$(LEVEL)"},
        {"name": "LATER", "value": "x"},
        {"name": "POD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
        {"name": "PASSWORD", "valueFrom": {"secretKeyRef": {"name": "login", "key": "password"}}},
        {"name": "NONE", "valueFrom": {"configMapKeyRef": {"name": "gone", "key": "x", "optional": true}}},
    ]});
    check(container.clone(), "FROM_IMAGE", Some("1"));
    check(container.clone(), "LEVEL", Some("own"));
    check(container.clone(), "C_greeting", Some("Hello"));
    check(container.clone(), "URL", Some("http://10.43.0.9/3/own/$(LATER)/$(LEVEL)"));
    check(container.clone(), "POD", Some("web"));
    check(container.clone(), "PASSWORD", Some("s3cret"));
    check(container, "NONE", None);
}

#[test]
fn what_is_missing_is_named() {
    #[track_caller]
    fn fails(env: Value, text: &str) {
        assert_eq!(resolve(json!({"name": "c", "env": [env]})).unwrap_err().to_string(), text);
    }
    fails(
        json!({"name": "A", "valueFrom": {"configMapKeyRef": {"name": "gone", "key": "k"}}}),
        "configmap \"gone\" not found",
    );
    fails(
        json!({"name": "A", "valueFrom": {"configMapKeyRef": {"name": "config", "key": "k"}}}),
        "couldn't find key k in ConfigMap default/config",
    );
    let missing = resolve(json!({"name": "c", "envFrom": [{"secretRef": {"name": "nope"}}]})).unwrap_err();
    assert_eq!(missing.to_string(), "secret \"nope\" not found");
}

#[test]
fn command_replaces_entrypoint_and_args_replace_cmd() {
    #[track_caller]
    fn check(container: Value, argv: &[&str]) {
        let env = Env::from([("A".to_owned(), "1".to_owned())]);
        assert_eq!(command_line(&serde_json::from_value(container).unwrap(), &image(), &env), argv);
    }
    check(json!({"name": "c"}), &["hello", "serve"]);
    check(json!({"name": "c", "args": ["x", "$(A)"]}), &["hello", "x", "1"]);
    check(json!({"name": "c", "command": ["run", "$(B)"]}), &["run", "$(B)"]);
    check(json!({"name": "c", "command": ["run"], "args": ["x"]}), &["run", "x"]);
}

#[test]
fn a_bare_wasm_file_goes_by_its_images_name() {
    let bare = Image { rootfs: None, cmd: vec![], wasm: "/blobs/93a44b".into(), ..image() };
    for (reference, name) in
        [("worker:v1", "worker"), ("registry:5000/team/worker@sha256:0", "worker"), ("worker", "worker")]
    {
        let container = serde_json::from_value(json!({"name": "c", "image": reference})).unwrap();
        assert_eq!(command_line(&container, &bare, &Env::new()), [name]);
    }
}

#[test]
fn services_become_variables() {
    let service = |namespace: &str, name: &str, ip: &str| {
        let ports = json!([{"name": "http-web", "port": 80}, {"name": "dns", "port": 53, "protocol": "UDP"}]);
        let object =
            json!({"metadata": {"name": name, "namespace": namespace}, "spec": {"clusterIP": ip, "ports": ports}});
        serde_json::from_value::<Service>(object).unwrap()
    };
    let services = [
        service("default", "my-db", "10.43.0.9"),
        service("other", "web", "10.43.0.8"),
        service("default", "kubernetes", "10.43.0.1"),
        service("default", "headless", "None"),
    ];
    let env = service_variables(&services, "default", true);
    assert_eq!(env["MY_DB_SERVICE_HOST"], "10.43.0.9");
    assert_eq!(env["MY_DB_SERVICE_PORT_HTTP_WEB"], "80");
    assert_eq!(env["MY_DB_PORT"], "tcp://10.43.0.9:80");
    assert_eq!(env["MY_DB_PORT_53_UDP"], "udp://10.43.0.9:53");
    assert!(env.contains_key("KUBERNETES_SERVICE_HOST"));
    assert!(!env.keys().any(|name| name.starts_with("WEB") || name.starts_with("HEADLESS")));
    let env = service_variables(&services, "other", false);
    assert!(env.contains_key("KUBERNETES_SERVICE_HOST") && !env.contains_key("WEB_SERVICE_HOST"));
}
