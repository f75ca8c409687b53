//! Watches, event by event.

use std::time::Duration;

use axum::body::{Body, BodyDataStream};
use futures::StreamExt;
use http::{Method, Request};
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::support::{CONFIGMAPS, Server, config_map};

/// Long enough for any machine: a test that waits for it has failed.
const DEADLINE: Duration = Duration::from_secs(20);

pub(crate) struct Events {
    body: BodyDataStream,
    buffer: Vec<u8>,
}

impl Events {
    async fn open(server: &Server, query: &str, accept: &str) -> Self {
        Self::open_at(server, CONFIGMAPS, query, accept).await
    }

    pub(crate) async fn open_at(server: &Server, path: &str, query: &str, accept: &str) -> Self {
        let uri = format!("{path}?watch=true&{query}");
        let request = Request::get(uri).header("accept", accept).extension(server.identity.clone().unwrap());
        let response = server.router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        assert_eq!(response.status(), 200);
        Self { body: response.into_body().into_data_stream(), buffer: Vec::new() }
    }

    /// The next event; `None` when the watch has ended.
    pub(crate) async fn next(&mut self) -> Option<Value> {
        loop {
            if let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.buffer.drain(..=end).collect();
                return Some(serde_json::from_slice(&line).unwrap());
            }
            let chunk = tokio::time::timeout(DEADLINE, self.body.next()).await.expect("an event in time")?;
            self.buffer.extend_from_slice(&chunk.unwrap());
        }
    }

    /// `TYPE name`
    pub(crate) async fn summary(&mut self) -> String {
        let event = self.next().await.unwrap();
        let name = event["object"]["metadata"]["name"].as_str().unwrap_or("-");
        format!("{} {name}", event["type"].as_str().unwrap())
    }
}

#[tokio::test]
async fn without_a_revision_what_is_there_comes_first() {
    let server = Server::start().await;
    server.post(CONFIGMAPS, config_map("a", json!({}))).await.expect(201);
    let mut events = Events::open(&server, "", "application/json").await;
    assert_eq!(events.summary().await, "ADDED a");
    server.post(CONFIGMAPS, config_map("b", json!({}))).await.expect(201);
    assert_eq!(events.summary().await, "ADDED b");
    server.put(&format!("{CONFIGMAPS}/a"), config_map("a", json!({"k": "v"}))).await.expect(200);
    assert_eq!(events.summary().await, "MODIFIED a");
    server.delete(&format!("{CONFIGMAPS}/b")).await.expect(200);
    assert_eq!(events.summary().await, "DELETED b");
}

#[tokio::test]
async fn from_a_revision_only_later_changes_come() {
    let server = Server::start().await;
    server.post(CONFIGMAPS, config_map("a", json!({}))).await.expect(201);
    let list = server.get(CONFIGMAPS).await.expect(200);
    let revision = list["metadata"]["resourceVersion"].as_str().unwrap();
    let mut events = Events::open(&server, &format!("resourceVersion={revision}"), "application/json").await;
    server.post(CONFIGMAPS, config_map("b", json!({}))).await.expect(201);
    assert_eq!(events.summary().await, "ADDED b");
}

#[tokio::test]
async fn entering_and_leaving_a_selector_looks_like_birth_and_death() {
    let server = Server::start().await;
    server.post(CONFIGMAPS, config_map("a", json!({}))).await.expect(201);
    let mut events = Events::open(&server, "labelSelector=x%3Dy", "application/json").await;
    let path = format!("{CONFIGMAPS}/a");
    let merge = "application/merge-patch+json";
    server.patch(&path, merge, json!({"metadata": {"labels": {"x": "y"}}})).await.expect(200);
    assert_eq!(events.summary().await, "ADDED a");
    server.patch(&path, merge, json!({"data": {"k": "v"}})).await.expect(200);
    assert_eq!(events.summary().await, "MODIFIED a");
    let left = server.patch(&path, merge, json!({"metadata": {"labels": {"x": "z"}}})).await.expect(200);
    let event = events.next().await.unwrap();
    assert_eq!((&event["type"], &event["object"]["metadata"]["labels"]["x"]), (&json!("DELETED"), &json!("y")));
    assert_eq!(event["object"]["metadata"]["resourceVersion"], left["metadata"]["resourceVersion"]);
}

#[tokio::test]
async fn one_object_can_be_watched() {
    let server = Server::start().await;
    let mut events = Events::open(&server, "fieldSelector=metadata.name%3Db", "application/json").await;
    server.post(CONFIGMAPS, config_map("a", json!({}))).await.expect(201);
    server.post(CONFIGMAPS, config_map("b", json!({}))).await.expect(201);
    assert_eq!(events.summary().await, "ADDED b");
}

#[tokio::test]
async fn initial_events_end_with_a_bookmark() {
    let server = Server::start().await;
    server.post(CONFIGMAPS, config_map("a", json!({}))).await.expect(201);
    let query = "sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true";
    let mut events = Events::open(&server, query, "application/json").await;
    assert_eq!(events.summary().await, "ADDED a");
    let bookmark = events.next().await.unwrap();
    assert_eq!((&bookmark["type"], &bookmark["object"]["kind"]), (&json!("BOOKMARK"), &json!("ConfigMap")));
    let metadata = &bookmark["object"]["metadata"];
    assert_eq!(metadata["annotations"]["k8s.io/initial-events-end"], "true");
    assert_eq!(metadata["resourceVersion"], server.store.snapshot().revision().to_string());
}

#[tokio::test]
async fn a_bookmark_comes_before_the_end() {
    let server = Server::start().await;
    let query = "resourceVersion=1&allowWatchBookmarks=true&timeoutSeconds=1";
    let mut events = Events::open(&server, query, "application/json").await;
    let bookmark = events.next().await.unwrap();
    assert_eq!(bookmark["type"], "BOOKMARK");
    assert_eq!(bookmark["object"]["metadata"]["resourceVersion"], server.store.snapshot().revision().to_string());
    assert_eq!(events.next().await, None);
}

#[tokio::test]
async fn a_table_tells_its_columns_once() {
    let server = Server::start().await;
    server.post(CONFIGMAPS, config_map("a", json!({}))).await.expect(201);
    server.post(CONFIGMAPS, config_map("b", json!({}))).await.expect(201);
    let mut events = Events::open(&server, "", "application/json;as=Table;v=v1;g=meta.k8s.io").await;
    let first = events.next().await.unwrap();
    assert_eq!(first["object"]["kind"], "Table");
    assert!(!first["object"]["columnDefinitions"].as_array().unwrap().is_empty());
    let second = events.next().await.unwrap();
    assert_eq!(second["object"]["columnDefinitions"], json!([]));
    assert_eq!(second["object"]["rows"][0]["cells"][0], "b");
}

#[tokio::test]
async fn what_is_there_can_be_left_out() {
    let server = Server::start().await;
    server.post(CONFIGMAPS, config_map("a", json!({}))).await.expect(201);
    let query = "sendInitialEvents=false&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true";
    let mut events = Events::open(&server, query, "application/json").await;
    server.post(CONFIGMAPS, config_map("b", json!({}))).await.expect(201);
    assert_eq!(events.summary().await, "ADDED b");
}

#[tokio::test]
async fn metadata_alone_can_be_watched() {
    let server = Server::start().await;
    server.post(CONFIGMAPS, config_map("a", json!({"k": "v"}))).await.expect(201);
    let accept = "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io";
    let query = "sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true";
    let mut events = Events::open(&server, query, accept).await;
    let event = events.next().await.unwrap();
    assert_eq!((&event["type"], &event["object"]["kind"]), (&json!("ADDED"), &json!("PartialObjectMetadata")));
    assert_eq!((&event["object"]["metadata"]["name"], &event["object"]["data"]), (&json!("a"), &Value::Null));
    let bookmark = events.next().await.unwrap();
    assert_eq!((&bookmark["type"], &bookmark["object"]["kind"]), (&json!("BOOKMARK"), &json!("PartialObjectMetadata")));
}

#[tokio::test]
async fn the_older_watch_paths_work() {
    let server = Server::start().await;
    server.post(CONFIGMAPS, config_map("a", json!({}))).await.expect(201);
    server.post(CONFIGMAPS, config_map("b", json!({}))).await.expect(201);
    let one = "/api/v1/watch/namespaces/default/configmaps/b";
    assert_eq!(Events::open_at(&server, one, "", "application/json").await.summary().await, "ADDED b");
    let all = "/api/v1/watch/configmaps";
    assert_eq!(Events::open_at(&server, all, "", "application/json").await.summary().await, "ADDED a");
}

#[tokio::test]
async fn a_client_that_does_not_read_is_dropped() {
    let server = Server::forgetful().await;
    let revision = server.store.snapshot().revision();
    let mut events = Events::open(&server, &format!("resourceVersion={revision}"), "application/json").await;
    let path = format!("{CONFIGMAPS}/a");
    for number in 0..2000 {
        server.put(&path, config_map("a", json!({"k": number.to_string()}))).await.expect(200);
    }
    // Nothing was kept for it: what it is told is that it must list again.
    let event = events.next().await.unwrap();
    assert_eq!((&event["type"], &event["object"]["reason"]), (&json!("ERROR"), &json!("Expired")));
    assert_eq!(event["object"]["code"], 410);
    assert_eq!(events.next().await, None);
}

#[tokio::test]
async fn a_watch_that_ends_with_the_server_says_how_far_it_came() {
    let server = Server::start().await;
    let mut events = Events::open(&server, "resourceVersion=1&allowWatchBookmarks=true", "application/json").await;
    server.shutdown.cancel();
    let bookmark = events.next().await.unwrap();
    assert_eq!(bookmark["type"], "BOOKMARK");
    assert_eq!(bookmark["object"]["metadata"]["resourceVersion"], server.store.snapshot().revision().to_string());
    assert_eq!(events.next().await, None);
}

#[tokio::test]
async fn any_timeout_will_do() {
    let server = Server::start().await;
    server.post(CONFIGMAPS, config_map("a", json!({}))).await.expect(201);
    for seconds in ["9223372036854775807", "-1", "0"] {
        let mut events = Events::open(&server, &format!("timeoutSeconds={seconds}"), "application/json").await;
        assert_eq!(events.summary().await, "ADDED a");
    }
}

#[tokio::test]
async fn nobody_has_every_watch() {
    let server = Server::start().await;
    let (eve, jane) = (server.as_user("eve", &["system:masters"]), server.as_user("jane", &["system:masters"]));
    let path = format!("{CONFIGMAPS}?watch=1");
    let mut open = Vec::new();
    for _ in 0..4096 {
        open.push(eve.open(Method::GET, &path, &[], "").await);
        assert_eq!(open.last().unwrap().status(), 200);
    }
    let refused = eve.send(Method::GET, &path, &[], "").await.expect_failure(429, "TooManyRequests");
    assert_eq!(refused, "user \"eve\" has 4096 watches open, which is the most: end some of them");
    assert_eq!(jane.open(Method::GET, &path, &[], "").await.status(), 200);
    open.pop();
    assert_eq!(eve.open(Method::GET, &path, &[], "").await.status(), 200);
}

#[tokio::test]
async fn watches_end_with_the_server() {
    let server = Server::start().await;
    let mut events = Events::open(&server, "", "application/json").await;
    server.shutdown.cancel();
    assert_eq!(events.next().await, None);
    assert_eq!(server.get("/readyz").await.code, 500);
}
