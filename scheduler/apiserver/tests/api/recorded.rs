//! What a kube-apiserver answered (1.20.2, recorded), and what this server answers to the same requests. Where 1.34
//! or wasmk answer otherwise, the case says what and why.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::support::{Answer, CONFIGMAPS, PODS, Server, config_map, pod};

/// The recording, and which of its answers have been compared.
struct Recording {
    answers: BTreeMap<String, Recorded>,
}

#[derive(Deserialize, Clone)]
struct Recorded {
    code: u16,
    /// Text when it is no JSON.
    body: Value,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    /// The recording was cut off: the answer has at least what is here.
    #[serde(default)]
    cut: bool,
}

/// Every case once, in the order of the recording, whose objects build on each other.
#[tokio::test]
async fn answers_are_those_of_a_kube_apiserver() {
    let mut recording = Recording::load();
    let server = Server::start().await;
    server.post(CONFIGMAPS, config_map("cas", json!({"a": "1"}))).await.expect(201);
    lists(&server, &mut recording).await;
    revisions(&server, &mut recording).await;
    refusals(&server, &mut recording).await;
    server_side_apply(&server, &mut recording).await;
    deletions(&server, &mut recording).await;
    forms(&server, &mut recording).await;
    let left: Vec<&String> = recording.answers.keys().collect();
    assert!(left.is_empty(), "not compared: {left:?}");
}

async fn lists(server: &Server, recording: &mut Recording) {
    recording.check("unknown group", server.get("/apis/nothing.example/v1/things").await);
    for name in ["a", "b"] {
        server.post(CONFIGMAPS, config_map(name, json!({}))).await.expect(201);
    }
    let list = server.get("/api/v1/configmaps?limit=1").await;
    let token = list.value()["metadata"]["continue"].as_str().unwrap().to_owned();
    recording.differs("list meta", list, "how many are left", |recorded| {
        recorded.body["metadata"]["remainingItemCount"] = json!(2);
    });
    let token: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(token).unwrap()).unwrap();
    recording.compare("continue decodes to", 200, token, "another object", |recorded| {
        recorded.body["start"] = json!("default/a\0");
    });
    recording.check("bad continue", server.get(&format!("{CONFIGMAPS}?continue=gQ")).await);
    for name in ["a", "b"] {
        server.delete(&format!("{CONFIGMAPS}/{name}")).await.expect(200);
    }
}

async fn revisions(server: &Server, recording: &mut Recording) {
    let future = "resourceVersion=99999999&resourceVersionMatch";
    let exact = server.get(&format!("{CONFIGMAPS}?{future}=Exact")).await;
    recording.differs("rv future, exact", exact, "Kubernetes 1.34 says so as for other future revisions", |recorded| {
        *recorded = Recording::load().answers["rv future NotOlderThan"].clone();
    });
    recording.check("rv future NotOlderThan", server.get(&format!("{CONFIGMAPS}?{future}=NotOlderThan")).await);
    let forgetful = Server::forgetful().await;
    let old = forgetful.get(&format!("{CONFIGMAPS}?resourceVersion=1&resourceVersionMatch=Exact")).await;
    recording.check("rv too old exact", old);
    recording.check("watch rv=1 (old)", forgetful.get(&format!("{CONFIGMAPS}?watch=1&resourceVersion=1")).await);
    let abc = server.get(&format!("{CONFIGMAPS}?watch=1&resourceVersion=abc")).await;
    recording.differs("watch rv=abc", abc, "a client's mistake is no failure of the server", |recorded| {
        recorded.code = 400;
        recorded.body["code"] = json!(400);
        recorded.body["reason"] = json!("BadRequest");
    });
    let unset = server.get(&format!("{CONFIGMAPS}?watch=1&timeoutSeconds=1")).await;
    recording.check("watch rv= unset", unset);
    let path = "/api/v1/watch/namespaces/default/configmaps/cas?timeoutSeconds=1";
    recording.check("watch single object path", server.get(path).await);
    let table = "application/json;as=Table;v=v1;g=meta.k8s.io";
    let path = format!("{CONFIGMAPS}?watch=1&timeoutSeconds=1");
    recording.check("table watch hdr", server.get_as(&path, table).await);
}

async fn refusals(server: &Server, recording: &mut Recording) {
    let named = format!("{CONFIGMAPS}/cas");
    recording.check("405 POST on named", server.post(&named, config_map("cas", json!({}))).await);
    recording.check("name mismatch PUT", server.put(&named, config_map("other", json!({}))).await);
    let mut elsewhere = config_map("x", json!({}));
    elsewhere["metadata"]["namespace"] = json!("other");
    recording.check("ns mismatch POST", server.post(CONFIGMAPS, elsewhere).await);
    let absent = server.put(&format!("{CONFIGMAPS}/nonex"), config_map("nonex", json!({}))).await;
    recording.check("PUT nonexist cm (create on update?)", absent);
    recording.check("kind mismatch", server.post(CONFIGMAPS, pod("p")).await);
    let dry = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "dry"}});
    recording.check("dryRun create", server.post(&format!("{CONFIGMAPS}?dryRun=All"), dry.clone()).await);
    recording.check("bad dryRun", server.post(&format!("{CONFIGMAPS}?dryRun=foo"), dry).await);
}

async fn server_side_apply(server: &Server, recording: &mut Recording) {
    let apply = |query: &'static str, data: Value| async move {
        let path = format!("{CONFIGMAPS}/ssa?{query}");
        server.patch(&path, "application/apply-patch+yaml", config_map("ssa", data)).await
    };
    recording.check("SSA create", apply("fieldManager=m1", json!({"a": "1"})).await);
    recording.check("SSA no fieldManager", apply("", json!({"a": "1"})).await);
    recording.check("SSA conflict", apply("fieldManager=m2", json!({"a": "2"})).await);
    recording.check("SSA force", apply("fieldManager=m2&force=true", json!({"a": "2"})).await);
    recording.check("SSA removes unowned-by-others field", apply("fieldManager=m2", json!({"b": "2"})).await);
    let strategic = "application/strategic-merge-patch+json";
    let patched = server.patch(&format!("{CONFIGMAPS}/ssa"), strategic, json!({"data": {"$patch": "delete"}})).await;
    recording.check("SMP $patch delete", patched);
}

async fn deletions(server: &Server, recording: &mut Recording) {
    let headers = [("content-type", "application/json"), ("user-agent", "Python-urllib/3.11")];
    let create = |path: &'static str, object: Value| async move {
        server.send(Method::POST, path, &headers, object.to_string()).await
    };
    let graceful = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "gp"},
        "spec": {"nodeSelector": {"none": "x"}, "containers": [{"name": "c", "image": "x"}]},
    });
    let why = "1.34 takes nodeSelector as a whole; what admission fills in belongs to the writer here";
    recording.differs("delete graceful pod non-scheduled", create(PODS, graceful).await, why, |recorded| {
        let fields = &mut recorded.body["metadata"]["managedFields"][0]["fieldsV1"]["f:spec"];
        fields["f:nodeSelector"] = json!({});
    });
    recording.check("delete it", server.delete(&format!("{PODS}/gp")).await);
    let path = format!("{CONFIGMAPS}/fin");
    let mut held = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "fin"}});
    held["metadata"]["finalizers"] = json!(["x/y"]);
    recording.check("finalizer obj", create(CONFIGMAPS, held).await);
    recording.check("delete finalizer obj", server.delete(&path).await);
    let merge = "application/merge-patch+json";
    let more = server.patch(&path, merge, json!({"metadata": {"finalizers": ["x/y", "z/z"]}})).await;
    recording.differs("add finalizer when deleting", more, "each fault is told once", |recorded| {
        recorded.body["details"]["causes"].as_array_mut().unwrap().truncate(1);
    });
    let removed = server.patch(&path, merge, json!({"metadata": {"finalizers": null}})).await;
    recording.check("remove finalizer", removed);
    recording.check("get", server.get(&path).await);
    recording.check("deletecollection", server.delete(&format!("{CONFIGMAPS}?labelSelector=none%3Dx")).await);
}

async fn forms(server: &Server, recording: &mut Recording) {
    let metadata = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io";
    recording.check("PartialObjectMetadataList", server.get_as(&format!("{CONFIGMAPS}?limit=1"), metadata).await);
    recording.check("YAML accept", server.get_as(&format!("{CONFIGMAPS}/cas"), "application/yaml").await);
    server.post(PODS, pod("p")).await.expect(201);
    let binding = json!({
        "apiVersion": "v1", "kind": "Binding", "metadata": {"name": "other"}, "target": {"kind": "Node", "name": "n"},
    });
    recording.check("bad binding", server.post(&format!("{PODS}/p/binding"), binding).await);
}

impl Recording {
    fn load() -> Self {
        Self { answers: serde_json::from_str(include_str!("recorded/answers.json")).unwrap() }
    }

    #[track_caller]
    fn check(&mut self, name: &str, answer: Answer) {
        self.differs(name, answer, "", |_| {});
    }

    /// `change` makes of the recorded answer what is expected instead, for the reason `why`.
    #[track_caller]
    fn differs(&mut self, name: &str, answer: Answer, why: &str, change: impl FnOnce(&mut Recorded)) {
        for (header, expected) in &self.answers[name].headers {
            assert_eq!(&answer.headers[header.as_str()], expected, "{name}: {header}");
        }
        self.compare(name, answer.code.as_u16(), answer.value(), why, change);
    }

    #[track_caller]
    fn compare(&mut self, name: &str, code: u16, mut body: Value, why: &str, change: impl FnOnce(&mut Recorded)) {
        let mut recorded = self.answers.remove(name).unwrap();
        change(&mut recorded);
        assert_eq!(code, recorded.code, "{name} ({why}): {body}");
        mask(&mut recorded.body);
        mask(&mut body);
        if recorded.cut {
            assert!(contains(&body, &recorded.body), "{name} ({why}):\n{body}\nlacks of\n{}", recorded.body);
        } else {
            assert_eq!(body, recorded.body, "{name} ({why})");
        }
    }
}

/// What is another one each time.
const VOLATILE: [&str; 7] =
    ["uid", "resourceVersion", "creationTimestamp", "deletionTimestamp", "time", "continue", "rv"];

fn mask(value: &mut Value) {
    match value {
        Value::Object(object) => {
            for (key, child) in object {
                let is_leaf = child.is_string() || child.is_number();
                match key.as_str() {
                    key if is_leaf && VOLATILE.contains(&key) => *child = json!("*"),
                    "message" if is_leaf => *child = json!(masked_message(child.as_str().unwrap())),
                    _ => mask(child),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(mask),
        _ => {}
    }
}

/// Revisions of the server in a message are its own.
fn masked_message(text: &str) -> String {
    for (marker, end) in [("current: ", ""), ("too old resource version: 1 (", ")")] {
        if let Some((before, _)) = text.split_once(marker) {
            return format!("{before}{marker}*{end}");
        }
    }
    text.to_owned()
}

fn contains(whole: &Value, part: &Value) -> bool {
    match (whole, part) {
        (Value::Object(whole), Value::Object(part)) => {
            part.iter().all(|(key, part)| whole.get(key).is_some_and(|whole| contains(whole, part)))
        }
        (Value::Array(whole), Value::Array(part)) => {
            part.len() <= whole.len() && part.iter().zip(whole).all(|(part, whole)| contains(whole, part))
        }
        (Value::String(whole), Value::String(part)) => whole == part || whole.starts_with(part) && part.contains('\n'),
        (whole, part) => whole == part,
    }
}
