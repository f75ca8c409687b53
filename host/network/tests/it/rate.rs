use std::time::Instant;

use crate::cluster::*;

/// Not a test of speed: prints how many requests a second pass from a port to a local replica on this machine.
/// `cargo test -p wasmk-network --release rate -- --ignored --nocapture`
#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement"]
async fn rate_of_requests_from_a_port_to_a_local_replica() {
    const CLIENTS: usize = 32;
    const REQUESTS: usize = 3000;
    let node = Node::start("a").await;
    let front = free_port(node.ip).await;
    let replicas = [node.replica(2), node.replica(3), node.replica(4)];
    hello(front, &replicas.iter().collect::<Vec<_>>()).give(&[&node]);
    let address = (node.ip, front).into();
    let start = Instant::now();
    let clients = (0..CLIENTS).map(|_| {
        tokio::spawn(async move {
            let mut client = Http::connect(address).await.unwrap();
            for _ in 0..REQUESTS {
                assert_eq!(client.send(get_request("/")).await.unwrap().0, 200);
            }
        })
    });
    for client in clients.collect::<Vec<_>>() {
        client.await.unwrap();
    }
    let seconds = start.elapsed().as_secs_f64();
    println!("{:.0} requests/s, client included", (CLIENTS * REQUESTS) as f64 / seconds);
}

/// How long a new table takes at 10,000 services of three endpoints, when all and when one slice changed.
#[test]
#[ignore = "a measurement"]
fn time_to_build_a_table_of_ten_thousand_services() {
    const SERVICES: usize = 10_000;
    let mut state = State::default();
    for number in 0..SERVICES {
        let [_, _, c, d] = (number as u32).to_be_bytes();
        let ips = [1, 2, 3].map(|pod| (std::net::Ipv4Addr::new(10, 64 + pod, c, d), "a", "ready"));
        let spec = serde_json::json!({"clusterIP": format!("10.43.{c}.{d}"), "ports": [{"port": 80}]});
        state = state.service(&format!("s{number}"), spec).slice(&format!("s{number}"), 8080, "http", &ips);
    }
    let loads = wasmk_network::Loads::default();
    let build = |state: &State, previous: Option<&wasmk_network::ServiceTable>| {
        let start = Instant::now();
        let table = wasmk_network::ServiceTable::build(&wasmk_network::TableInput {
            local_node: "a",
            local_cidr: None,
            cluster_domain: "cluster.local",
            services: &state.services,
            slices: &state.slices,
            nodes: &[],
            loads: &loads,
            previous,
        });
        (table, start.elapsed())
    };
    let (first, all) = build(&state, None);
    state.slices[7] = std::sync::Arc::new((*state.slices[7]).clone());
    let (_, one) = build(&state, Some(&first));
    println!("all new {all:?}, one slice changed {one:?}");
}
