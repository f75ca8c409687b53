//! Each sample app does what it is there to show.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::time::Duration;

use http::Method;
use wasmk_e2e::{Cluster, eventually, get, request};

#[test]
fn static_web_serves_a_mounted_directory() {
    let cluster = Cluster::up();
    cluster.build("static-web", "static-web:v1");
    cluster.wasmk(&["apply", "-f", "manifests/static-web.yaml"]);
    cluster.rolled_out("static-web");
    let url = |path: &str| cluster.url(0, 30081, path);
    let page = cluster.get_ok(&url("/"));
    assert!(page.text().contains("Served by a wasm module"));
    assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
    assert_eq!(get(&url("/style.css")).unwrap().header("content-type"), "text/css; charset=utf-8");
    assert_eq!(get(&url("/missing")).unwrap().status, 404);
    assert_eq!(get(&url("/../../etc/passwd")).unwrap().status, 404);
    assert_eq!(request(Method::POST, &url("/"), &[], "x").unwrap().status, 405);
    let part = request(Method::GET, &url("/style.css"), &[("range", "bytes=0-3")], "").unwrap();
    assert_eq!((part.status, part.text().as_str()), (206, "body"));
    let beyond = request(Method::GET, &url("/style.css"), &[("range", "bytes=99999-")], "").unwrap();
    assert_eq!(beyond.status, 416);
    let head = request(Method::HEAD, &url("/"), &[], "").unwrap();
    assert!(head.status == 200 && head.body.is_empty());
}

#[test]
fn echo_replicas_all_bind_the_same_port() {
    let cluster = Cluster::up();
    cluster.build("echo", "echo:v1");
    cluster.wasmk(&["apply", "-f", "manifests/echo.yaml"]);
    cluster.rolled_out("echo");
    let address = format!("{}:30082", cluster.subnet.node(0));
    let mut names = std::collections::BTreeSet::new();
    eventually(Duration::from_secs(30), || {
        names.insert(echo(&address).map_err(|error| error.to_string())?);
        if names.len() == 3 { Ok(()) } else { Err(format!("only {names:?}")) }
    });
}

#[test]
fn guestbook_calls_its_store_by_name() {
    let cluster = Cluster::up();
    cluster.build("guestbook", "guestbook:v1");
    cluster.wasmk(&["apply", "-f", "manifests/guestbook.yaml"]);
    cluster.rolled_out("guestbook-store");
    cluster.rolled_out("guestbook");
    let entries = cluster.url(0, 30083, "/entries");
    eventually(Duration::from_secs(20), || match request(Method::POST, &entries, &[], "first <entry>") {
        Ok(answer) if answer.status == 201 => Ok(()),
        other => Err(format!("{other:?}")),
    });
    assert!(cluster.get_ok(&cluster.url(0, 30083, "/")).text().contains("<li>first &lt;entry&gt;</li>"));
    assert_eq!(request(Method::POST, &entries, &[], "").unwrap().status, 400);
}

#[test]
fn worker_runs_once_and_says_what_is_wrong_with_its_settings() {
    let cluster = Cluster::up();
    cluster.build("worker", "worker:v1");
    cluster.wasmk(&["apply", "-f", "manifests/worker.yaml"]);
    cluster.wasmk(&["wait", "pod/worker", "--for=jsonpath={.status.phase}=Succeeded", "--timeout", "60s"]);
    assert_eq!(cluster.wasmk(&["logs", "worker"]), "wrote /data/report.txt, sum 500500\n");
    let pod = cluster.items("pod/worker").remove(0);
    let ended = &pod["status"]["containerStatuses"][0]["state"]["terminated"];
    assert!(ended["exitCode"] == 0 && ended["reason"] == "Completed", "{ended}");
    let seconds = |time: &str| ended[time].as_str().unwrap_or_default()[17..19].parse::<i64>().unwrap();
    let took = (seconds("finishedAt") - seconds("startedAt")).rem_euclid(60);
    assert!(took <= 1, "an end is reported when it happens, not {took} s later");

    cluster.apply("{apiVersion: v1, kind: Pod, metadata: {name: lost}, spec: {restartPolicy: Never, containers: [{name: w, image: 'worker:v1', args: [/nowhere]}]}}").ok();
    cluster.wasmk(&["wait", "pod/lost", "--for=jsonpath={.status.phase}=Failed", "--timeout", "60s"]);
    let pod = cluster.items("pod/lost").remove(0);
    let ended = &pod["status"]["containerStatuses"][0]["state"]["terminated"];
    assert!(ended["exitCode"] == 2 && ended["reason"] == "Error", "{ended}");
    assert!(cluster.wasmk(&["logs", "lost"]).contains("read /nowhere"));
}

#[test]
fn notes_are_written_with_the_secrets_token() {
    let cluster = Cluster::up();
    cluster.build("notes", "notes:v1");
    cluster.wasmk(&["apply", "-f", "manifests/notes.yaml"]);
    cluster.rolled_out("notes");
    let note = cluster.url(0, 30084, "/notes/shopping");
    let write = |token: &str, text: &str| {
        let headers = [("authorization", token), ("content-type", "application/json")];
        request(Method::PUT, &note, &headers, format!(r#"{{"text": "{text}"}}"#)).unwrap().status
    };
    assert_eq!(cluster.get_ok(&cluster.url(0, 30084, "/notes")).text(), "[]");
    assert_eq!(get(&note).unwrap().status, 404);
    assert_eq!([write("Bearer wrong", "milk"), write("Bearer change-me", "milk")], [401, 204]);
    // The bound is the ConfigMap's.
    assert_eq!(write("Bearer change-me", &"x".repeat(201)), 413);
    assert_eq!(get(&note).unwrap().text(), r#"{"text":"milk"}"#);
    assert_eq!(get(&cluster.url(0, 30084, "/notes")).unwrap().text(), r#"["shopping"]"#);
}

/// Twins of the Rust samples, built by the tools of their languages.
#[test]
fn hello_js_has_an_instance_for_each_request() {
    hello_in("hello-js", 30086, "You've hit hello-js-", |count| count == 1);
}

#[test]
fn hello_python_counts_the_requests_of_an_instance() {
    // Two replicas with an instance or more each: one of them is called again.
    hello_in("hello-python", 30085, "Hello from hello-python-", |count| count > 1);
}

#[track_caller]
fn hello_in(name: &str, port: u16, greeting: &str, is_enough: fn(u32) -> bool) {
    let cluster = Cluster::up();
    cluster.build(name, &format!("{name}:v1"));
    cluster.wasmk(&["apply", "-f", &format!("manifests/{name}.yaml")]);
    // An engine of some megabytes is compiled first.
    cluster.wasmk(&["rollout", "status", &format!("deploy/{name}"), "--timeout", "600s"]);
    let url = cluster.url(0, port, "/");
    eventually(Duration::from_secs(60), || {
        let answer = cluster.get_ok(&url).text();
        let counted = answer.lines().find_map(|line| line.strip_prefix("requests: ")?.parse::<u32>().ok());
        assert!(answer.starts_with(greeting) && answer.contains("version: v1"), "{answer}");
        // The log is that of one replica, which may not have been called yet.
        let log = cluster.wasmk(&["logs", &format!("deploy/{name}")]);
        if counted.is_some_and(is_enough) && log.contains('/') { Ok(()) } else { Err(format!("{answer}\n{log}")) }
    });
}

#[test]
fn worker_c_keeps_its_exit_code() {
    let cluster = Cluster::up();
    cluster.build("worker-c", "worker-c:v1");
    cluster.wasmk(&["apply", "-f", "manifests/worker-c.yaml"]);
    cluster.wasmk(&["wait", "pod/worker-c", "--for=jsonpath={.status.phase}=Succeeded", "--timeout", "60s"]);
    assert_eq!(cluster.wasmk(&["logs", "worker-c"]), "wrote /data/report.txt, sum 500500\n");
    cluster.apply("{apiVersion: v1, kind: Pod, metadata: {name: lost}, spec: {restartPolicy: Never, containers: [{name: w, image: 'worker-c:v1', args: [/nowhere]}]}}").ok();
    cluster.wasmk(&["wait", "pod/lost", "--for=jsonpath={.status.phase}=Failed", "--timeout", "60s"]);
    let pod = cluster.items("pod/lost").remove(0);
    let ended = &pod["status"]["containerStatuses"][0]["state"]["terminated"];
    assert!(ended["exitCode"] == 2, "{ended}");
    assert!(cluster.wasmk(&["logs", "lost"]).contains("read /nowhere: "));
}

/// Sends a line and answers the pod's name that comes back before it.
fn echo(address: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    stream.write_all(b"hello\n")?;
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line)?;
    match line.strip_suffix(": hello\n") {
        Some(pod) => Ok(pod.to_owned()),
        None => Err(std::io::Error::other(format!("came back as {line:?}"))),
    }
}
