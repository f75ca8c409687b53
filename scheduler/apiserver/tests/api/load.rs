//! Many requests, slow ones and large answers; what operators see of them.

use std::io::Read;
use std::time::{Duration, Instant};

use axum::body::Body;
use futures::stream::FuturesUnordered;
use futures::{FutureExt, StreamExt};
use http::Method;
use serde_json::{Value, json};

use crate::support::{CONFIGMAPS, PODS, Server, config_map};

const JSON: [(&str, &str); 1] = [("content-type", "application/json")];

/// A body that never comes.
fn endless() -> Body {
    Body::from_stream(futures::stream::pending::<Result<Vec<u8>, std::io::Error>>())
}

#[tokio::test]
async fn a_flood_keeps_neither_nodes_nor_others_waiting() {
    let server = Server::start().await;
    let noisy = server.as_user("noisy", &["system:masters"]);
    let mut flood: FuturesUnordered<_> =
        (0..600).map(|_| noisy.send(Method::POST, CONFIGMAPS, &JSON, endless())).collect();
    // Whoever finds neither a seat nor a place to wait is turned away at once; the others are still at it.
    let turned_away = flood.next().await.unwrap();
    assert_eq!((turned_away.code.as_u16(), &turned_away.headers["retry-after"]), (429, &"1".parse().unwrap()));
    assert_eq!(turned_away.text(), "Too many requests, please try again later.\n");
    while flood.next().now_or_never().is_some() {}
    assert!(flood.len() > 300, "{}", flood.len());

    let begun = Instant::now();
    let node = server.as_user("system:node:a", &["system:nodes"]);
    let object = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "a"}});
    let registered = node.json(Method::POST, "/api/v1/nodes", object).await;
    assert!(registered.headers.contains_key("x-kubernetes-pf-prioritylevel-uid"));
    registered.expect(201);
    let person = server.as_user("quiet", &["system:masters"]);
    person.json(Method::POST, CONFIGMAPS, config_map("q", json!({}))).await.expect(201);
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_request_ends_when_its_time_is_over() {
    let server = Server::start().await;
    let path = format!("{CONFIGMAPS}?timeout=50ms");
    let late = server.send(Method::POST, &path, &JSON, endless()).await;
    let message = late.expect_failure(504, "Timeout");
    assert_eq!(message, "Timeout: request did not complete within the allotted timeout");
    let wrong = server.get(&format!("{CONFIGMAPS}?timeout=5")).await;
    assert!(wrong.expect_failure(400, "BadRequest").starts_with("invalid timeout specified in the request URL"));
}

#[tokio::test]
async fn large_answers_are_compressed_for_those_who_take_it() {
    let server = Server::start().await;
    for number in 0..20 {
        let data = json!({"k": "x".repeat(10_000)});
        server.post(CONFIGMAPS, config_map(&format!("c{number}"), data)).await.expect(201);
    }
    let gzip = [("accept-encoding", "deflate, gzip")];
    let answer = server.send(Method::GET, CONFIGMAPS, &gzip, "").await;
    assert_eq!(
        (&answer.headers["content-encoding"], &answer.headers["vary"]),
        (&"gzip".parse().unwrap(), &"Accept-Encoding".parse().unwrap())
    );
    assert!(answer.bytes.len() < 50_000, "{}", answer.bytes.len());
    let mut text = String::new();
    flate2::read::GzDecoder::new(&answer.bytes[..]).read_to_string(&mut text).unwrap();
    let list: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(list["items"].as_array().unwrap().len(), 20);
    assert!(!server.get(CONFIGMAPS).await.headers.contains_key("content-encoding"));
    let small = server.send(Method::GET, &format!("{CONFIGMAPS}/c1"), &gzip, "").await;
    assert!(!small.headers.contains_key("content-encoding"));
}

#[tokio::test]
async fn operators_see_what_is_asked() {
    let server = Server::start().await;
    server.get(CONFIGMAPS).await.expect(200);
    server.get("/api/v1/namespaces/default/nothings").await.expect(404);
    let metrics = server.get("/metrics").await;
    assert!(metrics.headers["content-type"].to_str().unwrap().starts_with("application/openmetrics-text"));
    let text = metrics.text();
    let listed = r#"apiserver_request_total{verb="LIST",group="",version="v1",resource="configmaps",subresource="",scope="namespace",code="200"} 1"#;
    assert!(text.contains(listed), "{text}");
    assert!(text.contains("apiserver_request_duration_seconds_bucket") && !text.contains("nothings"));
    assert!(text.contains(r#"apiserver_current_inflight_requests{request_kind="readOnly"} 1"#), "{text}");
    let stranger = server.as_user("eve", &[]).send(Method::GET, "/metrics", &[], "").await;
    stranger.expect_failure(403, "Forbidden");
}

#[tokio::test]
async fn health_is_told_check_by_check() {
    let server = Server::start().await;
    let text = |path: &'static str| async { server.get(path).await.text() };
    assert_eq!(text("/livez").await, "ok");
    assert_eq!(text("/livez?verbose").await, "[+]ping ok\n[+]etcd ok\nlivez check passed\n");
    let excluding = text("/readyz?verbose&exclude=etcd").await;
    assert_eq!(excluding, "[+]ping ok\n[+]etcd excluded: ok\n[+]shutdown ok\nreadyz check passed\n");
    assert_eq!(text("/livez/ping").await, "ok");
    assert_eq!(server.get("/livez/nothing").await.code, 404);
    server.shutdown.cancel();
    let ending = server.get("/readyz").await;
    assert_eq!(ending.code, 500);
    assert_eq!(ending.text(), "[+]ping ok\n[+]etcd ok\n[-]shutdown failed: reason withheld\nreadyz check failed\n");
    assert_eq!(server.get("/readyz/shutdown").await.code, 500);
    assert_eq!(text("/livez").await, "ok");
}

#[tokio::test]
async fn the_root_lists_the_paths() {
    let server = Server::start().await;
    let root = server.get("/").await.expect(200);
    for path in ["/api", "/api/v1", "/apis", "/apis/apps", "/apis/apps/v1", "/livez", "/openapi/v3", "/version"] {
        assert!(root["paths"].as_array().unwrap().contains(&json!(path)), "{path}");
    }
    assert_eq!(server.get("/apis/").await.expect(200)["kind"], "APIGroupList");
    assert_eq!(server.get("/api/").await.expect(200)["kind"], "APIVersions");
    server.send(Method::POST, "/version", &JSON, "{}").await.expect_failure(405, "MethodNotAllowed");
}

#[tokio::test]
async fn nobody_takes_every_stream() {
    let server = Server::start().await;
    server.run_pod().await;
    let (eve, jane) = (server.as_user("eve", &["system:masters"]), server.as_user("jane", &["system:masters"]));
    let (logs, proxied) = (format!("{PODS}/web/log"), format!("{PODS}/web:80/proxy/"));
    // What has been begun counts, not what is read.
    let mut open = Vec::new();
    for path in std::iter::repeat_n([&logs, &proxied], 128).flatten() {
        let answer = eve.open(Method::GET, path, &[], "").await;
        assert_eq!(answer.status(), 200);
        open.push(answer);
    }
    for path in [&logs, &proxied] {
        let refused = eve.send(Method::GET, path, &[], "").await;
        assert_eq!(refused.headers["retry-after"], "1");
        let message = refused.expect_failure(429, "TooManyRequests");
        assert_eq!(message, "user \"eve\" has 256 streams open, which is the most: end some of them");
        assert_eq!(jane.send(Method::GET, path, &[], "").await.code, 200);
    }
    open.pop();
    assert_eq!(eve.send(Method::GET, &logs, &[], "").await.code, 200);
}

#[tokio::test]
async fn streams_are_told_from_reads() {
    let server = Server::start().await;
    server.run_pod().await;
    server.get(&format!("{PODS}/web:80/proxy/")).await;
    server.get(&format!("{PODS}/web/exec")).await.expect(400);
    server.get(&format!("{PODS}/web/log")).await;
    let text = server.get("/metrics").await.text();
    for (verb, subresource, code) in [("CONNECT", "proxy", 200), ("CONNECT", "exec", 400), ("GET", "log", 200)] {
        let line = format!(
            "apiserver_request_total{{verb=\"{verb}\",group=\"\",version=\"v1\",resource=\"pods\",subresource=\"{subresource}\",scope=\"resource\",code=\"{code}\"}} 1"
        );
        assert!(text.contains(&line), "{line}\n{text}");
    }
}

/// As in the server that everybody runs: on a runtime of several threads, large work is done beside them.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn large_writes_and_long_lists_are_answered_from_beside_the_runtime() {
    let requests = tokio::spawn(async {
        let server = Server::start().await;
        let data: serde_json::Map<String, Value> = (0..20_000).map(|n| (format!("k{n}"), json!("v"))).collect();
        server.post(CONFIGMAPS, config_map("large", Value::Object(data))).await.expect(201);
        let path = format!("{CONFIGMAPS}/large");
        let patch = json!([{"op": "replace", "path": "/data/k7", "value": "w"}]);
        let patched = server.patch(&path, "application/json-patch+json", patch).await.expect(200);
        assert_eq!(patched["data"]["k7"], "w");
        for number in 0..600 {
            server.post(CONFIGMAPS, config_map(&format!("c{number}"), json!({}))).await.expect(201);
        }
        let list = server.get(CONFIGMAPS).await.expect(200);
        assert_eq!(list["items"].as_array().unwrap().len(), 601);
    });
    requests.await.unwrap();
}
