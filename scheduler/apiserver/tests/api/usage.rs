//! `kubectl top`: what nodes and pods use.

use serde_json::json;

use crate::support::{PODS, Server, pod};

const METRICS: &str = "/apis/metrics.k8s.io/v1beta1";

#[tokio::test]
async fn nodes_are_asked_what_they_and_their_pods_use() {
    let server = Server::start().await;
    let mut object = pod("p");
    object["spec"]["nodeName"] = json!("a");
    let uid = server.post(PODS, object).await.expect(201)["metadata"]["uid"].clone();
    let metadata = json!({"name": "a", "annotations": {"pod-uid": uid}});
    server.post("/api/v1/nodes", json!({"metadata": metadata})).await.expect(201);

    let nodes = server.get(&format!("{METRICS}/nodes")).await.expect(200);
    assert_eq!(nodes["kind"], "NodeMetricsList");
    assert_eq!(nodes["items"][0]["usage"]["memory"], "2Ki");
    let pods = server.get(&format!("{METRICS}/namespaces/default/pods?labelSelector=app%3Dp")).await.expect(200);
    assert_eq!(pods["items"][0]["containers"][0]["name"], "c");
    let other = server.get(&format!("{METRICS}/pods?labelSelector=app%3Dq")).await.expect(200);
    assert_eq!(other["items"], json!([]));
    let one = server.get(&format!("{METRICS}/namespaces/default/pods/p")).await.expect(200);
    assert_eq!((&one["kind"], &one["metadata"]["labels"]["app"]), (&json!("PodMetrics"), &json!("p")));
    let table = server.get_as(&format!("{METRICS}/nodes"), "application/json;as=Table;v=v1;g=meta.k8s.io").await;
    assert_eq!(table.expect(200)["rows"][0]["cells"][2], "2Ki");
    server.get(&format!("{METRICS}/nodes/none")).await.expect_failure(404, "NotFound");
    server.post(&format!("{METRICS}/nodes"), json!({})).await.expect_failure(405, "MethodNotAllowed");
}
