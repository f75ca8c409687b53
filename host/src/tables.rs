//! Keeps the network's tables up to date: watches what they are made of and hands over the whole state on each change.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use k8s_openapi::api::core::v1::{Node, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::runtime::{WatchStreamExt, reflector, watcher};
use kube::{Api, Client, Resource};
use serde::de::DeserializeOwned;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use wasmk_network::{Network, NodeAddress};

/// Changes that come in a bunch make one table.
const BUNCH: Duration = Duration::from_millis(2);

/// Runs until `stop`. While the API is away the tables stay as they were.
pub(crate) async fn run(client: Client, network: Arc<Network>, node_name: String, stop: CancellationToken) {
    let changed = Arc::new(Notify::new());
    let services = watch::<Service>(client.clone(), &changed, &stop);
    let slices = watch::<EndpointSlice>(client.clone(), &changed, &stop);
    let nodes = watch::<Node>(client, &changed, &stop);
    // A table of half of the state would turn requests away.
    let all_listed =
        async { tokio::join!(services.wait_until_ready(), slices.wait_until_ready(), nodes.wait_until_ready()) };
    if stop.run_until_cancelled(all_listed).await.is_none() {
        return;
    }
    loop {
        let addresses: Vec<NodeAddress> = nodes.state().iter().filter_map(|node| node_address(node)).collect();
        if let Some(cidr) = addresses.iter().find(|node| node.name == node_name).and_then(|node| node.pod_cidr) {
            network.set_pod_cidr(cidr);
        }
        network.update(&services.state(), &slices.state(), &addresses);
        if stop.run_until_cancelled(changed.notified()).await.is_none() {
            return;
        }
        tokio::time::sleep(BUNCH).await;
    }
}

fn watch<K>(client: Client, changed: &Arc<Notify>, stop: &CancellationToken) -> reflector::Store<K>
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + std::fmt::Debug + Send + Sync + 'static,
{
    let (store, writer) = reflector::store();
    let events = watcher(Api::<K>::all(client), watcher::Config::default()).default_backoff().reflect(writer);
    let (changed, stop) = (changed.clone(), stop.clone());
    tokio::spawn(async move {
        let mut events = std::pin::pin!(events);
        while let Some(Some(event)) = stop.run_until_cancelled(events.next()).await {
            match event {
                // The state changes at the end of a list, not with each of its items.
                Ok(watcher::Event::Init | watcher::Event::InitApply(_)) => {}
                Ok(_) => changed.notify_one(),
                Err(error) => tracing::debug!(%error, kind = std::any::type_name::<K>(), "watch"),
            }
        }
    });
    store
}

fn node_address(node: &Node) -> Option<NodeAddress> {
    let status = node.status.as_ref()?;
    let internal = status.addresses.iter().flatten().find(|address| address.type_ == "InternalIP")?;
    let ip: IpAddr = internal.address.parse().ok()?;
    let endpoints = status.daemon_endpoints.as_ref()?.kubelet_endpoint.as_ref()?;
    let cidr = node.spec.as_ref().and_then(|spec| spec.pod_cidr.as_deref());
    Some(NodeAddress {
        name: node.metadata.name.clone()?,
        ip,
        port: u16::try_from(endpoints.port).ok()?,
        pod_cidr: cidr.and_then(|cidr| cidr.parse().ok()),
    })
}
