//! The examples of the SDK's documentation, deployed and asked.

use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use http::Method;
use serde_json::Value;
use wasmk_e2e::{Answer, Cluster, eventually, get, repository, request};

#[test]
fn a_service_routes_streams_answers_errors_and_says_when_it_is_ready() {
    let cluster = Cluster::up();
    deploy(
        &cluster,
        "service",
        30090,
        "volumes: [{name: data, emptyDir: {}}]",
        "volumeMounts: [{name: data, mountPath: /data}]",
    );
    cluster.rolled_out("service");
    let url = |path: &str| cluster.url(0, 30090, path);
    assert_eq!(cluster.get_ok(&url("/hello/ann%20lee")).text(), "Hello, ann lee\n");
    assert_eq!(get(&url("/nowhere")).unwrap().status, 404);
    assert_eq!(request(Method::POST, &url("/hello/x"), &[], "").unwrap().status, 405);

    let divide = |body: &str| post_json(&url("/divide"), body);
    assert_eq!(divide(r#"{"dividend": 7, "divisor": 2}"#).text(), r#"{"quotient":3,"remainder":1}"#);
    let refused = divide(r#"{"dividend": 7, "divisor": 0}"#);
    assert_eq!((refused.status, refused.header("content-type")), (422, "application/problem+json"));
    assert_eq!(json(&refused)["detail"], "divisor must not be 0");
    assert_eq!(divide("{").status, 400);

    // What was not foreseen is the log's matter.
    let broken = request(Method::GET, &url("/entries/1"), &[("x-request-id", "r-17")], "").unwrap();
    assert_eq!((broken.status, broken.text().contains("No such file")), (500, false));
    let failures = eventually(Duration::from_secs(10), || {
        let lines = lines(&cluster, &["deploy/service", "--level", "error"]);
        if lines.len() >= 2 { Ok(lines) } else { Err(format!("{lines:?}")) }
    });
    assert!(failures.iter().all(|line| line["level"] == "error" && line["request_id"] == "r-17"), "{failures:?}");
    assert!(failures[0]["error"].as_str().unwrap().contains("No such file"), "{failures:?}");

    let counted = get(&url("/count/20000")).unwrap().text();
    assert!(counted.len() == 108_894 && counted.ends_with("19999\n20000\n"), "{} bytes", counted.len());
    let large = "abc\n".repeat(100_000);
    let answer = request(Method::POST, &url("/upper"), &[], large.clone()).unwrap();
    assert!(
        answer.status == 200 && answer.text() == large.to_uppercase(),
        "{} {} bytes",
        answer.status,
        answer.body.len()
    );

    assert_eq!(get(&url("/livez")).unwrap().text(), "ok\n");
    assert_eq!(json(&get(&url("/readyz")).unwrap())["checks"]["volume /data"], "ok");
    deploy(&cluster, "service", 30090, "volumes: []", "volumeMounts: []");
    eventually(Duration::from_secs(30), || {
        let described = cluster.wasmk(&["describe", "pods"]);
        if described.contains("Readiness probe failed: HTTP probe failed with statuscode: 503") {
            Ok(())
        } else {
            Err(described)
        }
    });
    assert_eq!(cluster.get_ok(&url("/hello/x")).text(), "Hello, x\n", "the replica that is ready goes on");
}

#[test]
fn settings_come_from_variables_and_volumes_and_secrets_stay_secret() {
    let cluster = Cluster::up();
    cluster
        .apply(
            "{apiVersion: v1, kind: ConfigMap, metadata: {name: settings}, data: {languages: 'en, de', wait: 1m 30s}}",
        )
        .ok();
    cluster.apply("{apiVersion: v1, kind: Secret, metadata: {name: settings}, stringData: {token: hunter2}}").ok();
    let volumes = "volumes: [{name: s, configMap: {name: settings}}, {name: t, secret: {secretName: settings}}]";
    let mounts = "volumeMounts: [{name: s, mountPath: /etc/settings}, {name: t, mountPath: /etc/secret}]";
    deploy(&cluster, "settings", 30091, volumes, &format!("env: [{{name: GREETING, value: Hello}}], {mounts}"));
    cluster.rolled_out("settings");
    let url = |path: &str| cluster.url(0, 30091, path);
    let shown = json(&cluster.get_ok(&url("/")));
    let expected = r#"{"greeting":"Hello","languages":["en","de"],"token":"[secret]","wait_ms":90000}"#;
    assert_eq!(shown, serde_json::from_str::<Value>(expected).unwrap());
    let private = |token: &str| request(Method::GET, &url("/private"), &[("authorization", token)], "").unwrap();
    assert_eq!(private("Bearer hunter2").text(), "welcome\n");
    assert_eq!(private("Bearer hunter3").status, 401);

    let log = eventually(Duration::from_secs(10), || {
        let log = lines(&cluster, &["deploy/settings"]);
        let is_there = |message| log.iter().any(|line| line["message"] == message);
        if is_there("shown") && is_there("refused") { Ok(log) } else { Err(format!("{log:?}")) }
    });
    let find = |message: &str| log.iter().find(|line| line["message"] == message).unwrap();
    assert!(find("shown")["languages"] == 2 && find("shown")["level"] == "info", "{log:?}");
    assert!(find("refused")["given"] == true && find("refused")["path"] == "/private", "{log:?}");
    assert!(!format!("{log:?}").contains("hunter2"), "{log:?}");
    let severe = lines(&cluster, &["deploy/settings", "--level", "warn"]);
    assert!(!severe.is_empty() && severe.iter().all(|line| line["message"] == "refused"), "{severe:?}");

    // A volume's new value counts from the next request on, and a wrong one says where it stands.
    cluster.wasmk(&["patch", "configmap", "settings", "-p", r#"{"data": {"wait": "soon"}}"#]);
    eventually(Duration::from_secs(30), || match get(&url("/")) {
        Ok(answer) if answer.status == 500 => Ok(()),
        other => Err(format!("{other:?}")),
    });
    let told = "setting wait: file /etc/settings/wait: no duration such as 500ms or 30s";
    eventually(Duration::from_secs(10), || {
        let log = cluster.wasmk(&["logs", "deploy/settings", "--level", "error"]);
        if log.contains(told) { Ok(()) } else { Err(log) }
    });
}

#[test]
fn a_caller_reaches_services_by_name_and_says_why_it_could_not() {
    let cluster = Cluster::up();
    deploy(
        &cluster,
        "service",
        30092,
        "volumes: [{name: data, emptyDir: {}}]",
        "volumeMounts: [{name: data, mountPath: /data}]",
    );
    deploy(&cluster, "caller", 30093, "volumes: []", "env: [{name: BACKEND, value: service}]");
    cluster.rolled_out("service");
    cluster.rolled_out("caller");
    let url = |path: &str| cluster.url(0, 30093, path);
    assert_eq!(cluster.get_ok(&url("/quarter/7")).text(), r#"{"quotient":1,"remainder":3}"#);
    assert_eq!(get(&url("/through/hello/bob")).unwrap().text(), "Hello, bob\n");
    assert_eq!(get(&url("/through/count/3")).unwrap().text(), "1\n2\n3\n");
    // What was not found there is not found here: the answer is handed on, and its request is known in both logs.
    let traced = request(Method::GET, &url("/through/entries/1"), &[("x-request-id", "r-18")], "").unwrap();
    assert_eq!(traced.status, 500);
    eventually(Duration::from_secs(10), || {
        let log = lines(&cluster, &["deploy/service", "--level", "error"]);
        if log.iter().any(|line| line["request_id"] == "r-18") { Ok(()) } else { Err(format!("{log:?}")) }
    });

    let lost = get(&url("/elsewhere/nobody")).unwrap();
    assert_eq!((lost.status, lost.text().contains("nobody")), (502, false));
    eventually(Duration::from_secs(10), || {
        let log = lines(&cluster, &["deploy/caller", "--level", "error"]);
        let why = |line: &Value| line["error"].as_str().unwrap_or_default().to_owned();
        match log.iter().map(why).find(|why| why.contains("http://nobody/")) {
            Some(why) if why.contains("no Service has this name") => Ok(()),
            other => Err(format!("{other:?} in {log:?}")),
        }
    });
}

#[test]
fn a_worker_hears_of_its_end_and_finishes() {
    let cluster = Cluster::up();
    store(&cluster, "worker");
    let pod = |name: &str, stdin: bool| {
        format!(
            "{{apiVersion: v1, kind: Pod, metadata: {{name: {name}}}, spec: {{containers: [{{name: guest, image: 'worker:v1', \
             stdin: {stdin}, volumeMounts: [{{name: data, mountPath: /data}}]}}], volumes: [{{name: data, emptyDir: {{}}}}]}}}}"
        )
    };
    for (name, stdin, said) in [("told", true, "started"), ("deaf", false, "set stdin: true in the container's spec")] {
        cluster.apply(&pod(name, stdin)).ok();
        eventually(Duration::from_secs(120), || {
            let log = cluster.wasmk_output(&["logs", name]).stdout;
            if log.contains(said) { Ok(()) } else { Err(log) }
        });
        // Its log goes with the pod, so it is followed to its end.
        let mut follow = cluster.command(&["logs", "-f", name]).stdout(Stdio::piped()).spawn().expect("wasmk starts");
        let mut log = BufReader::new(follow.stdout.take().expect("a piped stdout"));
        let mut first = String::new();
        log.read_line(&mut first).expect("the log can be read");
        cluster.wasmk(&["delete", "pod", name]);
        let mut rest = String::new();
        log.read_to_string(&mut rest).expect("the log can be read");
        follow.wait().expect("wasmk ends");
        assert_eq!(rest.contains("\"message\":\"ended in order\""), stdin, "{name}: {first}{rest}");
    }
}

/// Stores an example as an image, and runs it behind a NodePort. `container` is more of the container's spec.
#[track_caller]
fn deploy(cluster: &Cluster, example: &str, port: u16, volumes: &str, container: &str) {
    store(cluster, example);
    let manifest = format!(
        "{{apiVersion: apps/v1, kind: Deployment, metadata: {{name: {example}}}, spec: {{selector: {{matchLabels: {{app: {example}}}}}, \
         template: {{metadata: {{labels: {{app: {example}}}}}, spec: {{{volumes}, containers: [{{name: guest, image: '{example}:v1', \
         ports: [{{name: http, containerPort: 8080}}], {container}{probe}}}]}}}}}}}}\n---\n\
         {{apiVersion: v1, kind: Service, metadata: {{name: {example}}}, spec: {{type: NodePort, selector: {{app: {example}}}, \
         ports: [{{port: 80, targetPort: 8080, nodePort: {port}}}]}}}}\n",
        probe = if example == "service" {
            ", readinessProbe: {httpGet: {path: /readyz, port: http}, periodSeconds: 1}"
        } else {
            ""
        },
    );
    cluster.apply(&manifest).ok();
}

#[track_caller]
fn store(cluster: &Cluster, example: &str) {
    let wasm = examples().join(format!("{example}.wasm"));
    cluster.wasmk(&["build", wasm.to_str().expect("a UTF-8 path"), "-t", &format!("{example}:v1")]);
}

/// Where the built examples are. Built once, into the guests' own target directory, as `wasmk build` does.
fn examples() -> PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    let build = || {
        let mut cargo = Command::new("cargo");
        cargo.args(["build", "--release", "--target", "wasm32-wasip2", "--package", "wasmk-sdk", "--examples"]);
        cargo.current_dir(repository().join("sample-apps")).stdin(Stdio::null());
        for name in ["CARGO_TARGET_DIR", "RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS"] {
            cargo.env_remove(name);
        }
        let status = cargo.status().expect("cargo starts");
        assert!(status.success(), "cargo build of the SDK's examples ended with {status}");
        repository().join("sample-apps/target/wasm32-wasip2/release/examples")
    };
    BUILT.get_or_init(build).clone()
}

#[track_caller]
fn post_json(url: &str, body: &str) -> Answer {
    request(Method::POST, url, &[("content-type", "application/json")], body.to_owned()).unwrap()
}

#[track_caller]
fn json(answer: &Answer) -> Value {
    serde_json::from_slice(&answer.body).unwrap_or_else(|error| panic!("{error}: {}", answer.text()))
}

/// A container's log, each line an object.
#[track_caller]
fn lines(cluster: &Cluster, arguments: &[&str]) -> Vec<Value> {
    let log = cluster.wasmk(&[&["logs", "--all-pods"], arguments].concat());
    log.lines().filter_map(|line| serde_json::from_str(&line[line.find('{')?..]).ok()).collect()
}
