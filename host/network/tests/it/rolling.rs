use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use http::Request;
use wasmk_network::full;

use crate::cluster::*;

/// Replaces every replica, on both nodes, one after the other, while clients on both nodes keep asking. The nodes
/// learn of each step at different times, as they do from a watch.
#[tokio::test(flavor = "multi_thread")]
async fn a_rolling_update_under_load_loses_nothing() {
    let (a, b) = (Node::start("a").await, Node::start("b").await);
    let front = free_port(a.ip).await;
    let mut replicas = vec![a.replica(2), b.replica(2), a.replica(3), b.replica(3)];
    hello(front, &replicas.iter().collect::<Vec<_>>()).give(&[&a, &b]);
    let (stop, served) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let clients: Vec<_> = [a.ip, b.ip, a.ip, b.ip]
        .into_iter()
        .map(|ip| {
            let (stop, served) = (stop.clone(), served.clone());
            tokio::spawn(async move {
                let mut client = Http::connect((ip, front).into()).await.unwrap();
                while !stop.load(Ordering::SeqCst) {
                    let request = Request::post("/").header("host", "x").body(full("payload")).unwrap();
                    let (status, body) = client.send(request).await.unwrap();
                    assert_eq!(status, 200, "{body}");
                    served.fetch_add(1, Ordering::SeqCst);
                }
            })
        })
        .collect();
    for step in 0..12 {
        let number = 10 + step;
        let new = if step % 2 == 0 { a.replica(number) } else { b.replica(number) };
        replicas.push(new);
        let old = replicas.remove(0);
        let mut endpoints: Vec<_> = replicas.iter().map(|r| (v4(r.port.ip()), r.node.as_str(), "ready")).collect();
        endpoints.push((v4(old.port.ip()), old.node.as_str(), "terminating"));
        let state = State::default().service("hello", node_port(front)).slice("hello", 8080, "http", &endpoints);
        // Node a knows; b still has the old table while the replica drains and goes.
        let addresses = [a.address(), b.address()];
        a.network.update(&state.services, &state.slices, &addresses);
        assert_eq!(old.port.drain(WAIT).await.left, 0);
        drop(old);
        let before = served.load(Ordering::SeqCst);
        eventually("requests with an old table", || served.load(Ordering::SeqCst) > before + 20).await;
        b.network.update(&state.services, &state.slices, &addresses);
        let before = served.load(Ordering::SeqCst);
        eventually("requests with the new table", || served.load(Ordering::SeqCst) > before + 20).await;
    }
    stop.store(true, Ordering::SeqCst);
    for client in clients {
        client.await.unwrap();
    }
}
