//! Clients of running containers.

use futures::StreamExt;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use wasmk_agent::{AgentHandle, ContainerQuery, Exit, PodUid, SessionError, Slot, Stdin, Streams};

use crate::world::World;

fn query(pod: &str, container: &str) -> ContainerQuery {
    ContainerQuery { namespace: "default".into(), pod: pod.into(), uid: None, container: container.into() }
}

fn enter(agent: &AgentHandle, pod: &str, container: &str) -> Result<Slot, String> {
    agent.enter(&query(pod, container)).map_err(|error| error.to_string())
}

async fn said(streams: &mut Streams) -> Option<String> {
    let piece = streams.output.next().await?;
    Some(String::from_utf8(piece.data.to_vec()).unwrap())
}

#[tokio::test]
async fn a_command_runs_beside_a_container_and_says_how_it_ended() {
    let world = World::new();
    let agent = world.agent().await;
    world.pod("web", json!({"containers": [{"name": "c", "image": "app:v1"}]}));
    world.ready("web").await;
    let slot = enter(&agent, "web", "c").unwrap();
    let mut session = slot.exec(vec!["exit".into(), "3".into()], true).await.ok().unwrap();
    assert_eq!(said(&mut session.streams).await.unwrap(), "exit 3");
    session.streams.stdin.as_ref().unwrap().send("input".into()).await.unwrap();
    assert_eq!(said(&mut session.streams).await.unwrap(), "input");
    session.streams.stdin = None;
    assert_eq!(said(&mut session.streams).await, None);
    assert_eq!(session.streams.exit.await, Exit::Exited(3));
    let refused = enter(&agent, "web", "c").unwrap().exec(vec!["missing".into()], false).await;
    assert!(refused.err().unwrap().to_string().contains("executable file not found in $PATH"));
}

#[tokio::test]
async fn only_what_runs_here_is_entered() {
    let world = World::new();
    let agent = world.agent().await;
    world.pod(
        "web",
        json!({"containers": [{"name": "c", "image": "app:v1"}, {"name": "waits", "image": "missing:v1"}]}),
    );
    world.pod_until("web", "has started", |pod| pod["status"]["containerStatuses"][0]["started"] == true).await;
    assert!(enter(&agent, "web", "c").is_ok());
    let refusal = |pod, container| enter(&agent, pod, container).err().unwrap();
    assert_eq!(refusal("other", "c"), "pod \"default/other\" is not on this node");
    assert_eq!(refusal("web", "d"), "container \"d\" is not in pod \"web\"");
    assert_eq!(refusal("web", "waits"), "container not found (\"waits\")");
    let namesake = ContainerQuery { uid: Some(PodUid("another".into())), ..query("web", "c") };
    assert!(matches!(agent.enter(&namesake), Err(SessionError::NotFound(_))));
}

#[tokio::test]
async fn a_client_that_attached_hears_how_the_container_ends() {
    let world = World::new();
    let agent = world.agent().await;
    let spec = json!({"name": "c", "image": "app:v1", "stdin": true, "stdinOnce": true});
    world.pod("shell", json!({"containers": [spec], "restartPolicy": "Never"}));
    world.ready("shell").await;
    let container = world.runtime.started(0).await;
    assert_eq!(container.spec.stdin, Stdin::Once);
    let session = enter(&agent, "shell", "c").unwrap().attach(true);
    assert!(session.streams.stdin.is_some());
    container.exit(Exit::Exited(7));
    assert_eq!(session.streams.exit.await, Exit::Exited(7));
}

#[tokio::test]
async fn a_container_has_so_many_clients_and_a_place_is_free_again_when_one_leaves() {
    let world = World::new();
    let agent = world.agent().await;
    world.pod("web", json!({"containers": [{"name": "c", "image": "app:v1"}]}));
    world.ready("web").await;
    let mut sessions = Vec::new();
    let refused = loop {
        match agent.enter(&query("web", "c")) {
            Ok(slot) => sessions.push(slot.attach(false)),
            Err(error) => break error,
        }
    };
    assert_eq!(refused, SessionError::TooMany("container \"c\" has 32 clients already".into()));
    assert_eq!(sessions.len(), 32);
    sessions.pop();
    assert!(agent.enter(&query("web", "c")).is_ok());
}

#[tokio::test]
async fn a_pods_port_is_connected_to_or_refused_in_the_kubelets_words() {
    let world = World::new();
    let agent = world.agent().await;
    world.pod("web", json!({"containers": [{"name": "c", "image": "app-http:v1"}]}));
    let uid = world.ready("web").await["metadata"]["uid"].as_str().unwrap().to_owned();
    let mut connection = agent.connect("default", "web", Some(&PodUid(uid.clone())), 8080).await.ok().unwrap();
    connection.stream.write_all(b"ping").await.unwrap();
    connection.stream.shutdown().await.unwrap();
    let mut answer = String::new();
    connection.stream.read_to_string(&mut answer).await.unwrap();
    assert_eq!(answer, "ping");
    let refused = agent.connect("default", "web", None, 81).await.err().unwrap().to_string();
    assert_eq!(
        refused,
        format!(
            "error forwarding port 81 to pod web_default, uid {uid}: failed to execute portforward in network \
             namespace \"default/web\": failed to connect to localhost:81 inside namespace \"default/web\", IPv4: dial \
             tcp4 127.0.0.1:81: connect: connection refused"
        )
    );
    let other = agent.connect("default", "web", Some(&PodUid("another".into())), 8080).await;
    assert!(matches!(other, Err(SessionError::NotFound(_))));
}
