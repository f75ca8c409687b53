use std::time::Duration;

use serde_json::Value;

use crate::world::World;

#[tokio::test]
async fn a_node_registers_with_what_it_has_and_renews_its_lease() {
    let world = World::new();
    let agent = world.agent().await;
    let node = world.api.get("nodes", "n1").unwrap();
    assert_eq!(node["metadata"]["labels"]["kubernetes.io/hostname"], "n1");
    assert_eq!(node["metadata"]["labels"]["wasmk.dev/runtime"], "wasmtime");
    assert_eq!(node["status"]["capacity"]["pods"], "4k");
    assert_eq!(node["status"]["addresses"][0]["address"], "127.0.0.2");
    assert_eq!(node["status"]["daemonEndpoints"]["kubeletEndpoint"]["Port"], 10250);
    assert_eq!(agent.pod_cidr().borrow().unwrap().to_string(), "10.64.16.0/20");
    let renewed = |api: &crate::api::FakeApi| Some(api.get("leases", "n1")?["spec"]["renewTime"].as_str()?.to_owned());
    let first = world.api.until("a lease", renewed).await;
    world.api.until("a renewal", |api| renewed(api).filter(|time| *time != first)).await;
    agent.shutdown(Duration::ZERO).await;
}

#[tokio::test]
async fn a_node_that_was_given_up_says_that_it_is_ready() {
    let world = World::new();
    let agent = world.agent().await;
    let mut node = world.api.get("nodes", "n1").unwrap();
    let ready = |node: &Value| {
        node["status"]["conditions"].as_array().unwrap().iter().position(|c| c["type"] == "Ready").unwrap()
    };
    let index = ready(&node);
    node["status"]["conditions"][index]["status"] = "Unknown".into();
    world.api.put("nodes", node);
    let is_ready = |node: &Value| node["status"]["conditions"][ready(node)]["status"] == "True";
    world.api.until("ready again", |api| api.get("nodes", "n1").filter(is_ready)).await;
    world.api.remove("nodes", "n1");
    world.api.until("registered again", |api| api.get("nodes", "n1")).await;
    agent.shutdown(Duration::ZERO).await;
}
