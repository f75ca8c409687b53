use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arc_swap::ArcSwap;
use ipnet::IpNet;
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::address::{AddressPlan, native_plan};
use crate::egress::{DefaultEgress, Egress, EgressPolicy};
use crate::listeners::{ListenerProblem, Listeners};
use crate::load::Loads;
use crate::mesh::{MeshClient, MeshIdentity};
use crate::pods::{LocalPod, PodIdentity, PodPort};
use crate::table::{AppProtocol, Endpoint, NodeAddress, Place, ServiceTable, TableInput};

/// How a node's network is set up.
pub struct NetworkConfig {
    pub node_name: String,
    /// `cluster.local`.
    pub cluster_domain: String,
    /// Where NodePorts and LoadBalancer ports listen.
    pub front_ips: Vec<IpAddr>,
    /// What the node proves itself with to others; without it no other node is reached.
    pub identity: Option<MeshIdentity>,
    pub plan: Box<dyn AddressPlan>,
    pub egress: Arc<dyn EgressPolicy>,
    /// Pods and Services live here: never looked for outside of the cluster.
    pub virtual_cidrs: Vec<IpNet>,
}

/// The address plan of a wasmk cluster: pods, then services.
const VIRTUAL_CIDRS: [&str; 2] = ["10.64.0.0/10", "10.43.0.0/16"];

impl NetworkConfig {
    pub fn new(node_name: impl Into<String>, front_ips: Vec<IpAddr>) -> Self {
        Self {
            node_name: node_name.into(),
            cluster_domain: "cluster.local".into(),
            front_ips,
            identity: None,
            plan: native_plan(),
            egress: Arc::new(DefaultEgress),
            virtual_cidrs: VIRTUAL_CIDRS.iter().map(|cidr| cidr.parse().expect("constants are CIDRs")).collect(),
        }
    }
}

/// The network of one node: its pods, the service tables, the listeners and the mesh to other nodes.
pub struct Network {
    node_name: String,
    cluster_domain: String,
    plan: Box<dyn AddressPlan>,
    table: ArcSwap<ServiceTable>,
    /// Held while a table is built: one builder at a time. The path of a request takes no lock.
    building: Mutex<Option<IpNet>>,
    generation: watch::Sender<u64>,
    loads: Loads,
    pods: ArcSwap<imbl::HashMap<IpAddr, Arc<LocalPod>>>,
    listeners: Listeners,
    mesh: MeshClient,
    egress: Egress,
    virtual_cidrs: Vec<IpNet>,
    runtime: Handle,
    tasks: TaskTracker,
    /// No new work.
    stop: CancellationToken,
    /// Not even the work in flight.
    kill: CancellationToken,
}

impl Network {
    /// Starts no traffic yet: that begins with [`Network::update`] and [`Network::attach`].
    ///
    /// # Panics
    /// Outside of a tokio runtime: its tasks run on the one it is made in.
    pub fn new(config: NetworkConfig) -> Arc<Self> {
        let (stop, kill) = (CancellationToken::new(), CancellationToken::new());
        Arc::new(Self {
            mesh: MeshClient::new(config.identity.as_ref(), kill.clone()),
            egress: Egress::new(config.egress),
            listeners: Listeners::new(config.front_ips),
            table: ArcSwap::from_pointee(ServiceTable::default()),
            building: Mutex::new(None),
            generation: watch::Sender::new(0),
            node_name: config.node_name,
            cluster_domain: config.cluster_domain,
            virtual_cidrs: config.virtual_cidrs,
            plan: config.plan,
            loads: Loads::default(),
            pods: ArcSwap::default(),
            runtime: Handle::current(),
            tasks: TaskTracker::new(),
            stop,
            kill,
        })
    }

    /// This node's `spec.podCIDR`, as soon as it is known.
    pub fn set_pod_cidr(&self, cidr: IpNet) {
        *self.building.lock().expect("no panic while held") = Some(cidr);
    }

    /// A new certificate: new connections use it, open ones go on.
    pub fn set_identity(&self, identity: &MeshIdentity) {
        self.mesh.set_identity(identity);
    }

    /// Takes the whole state: swaps the table, opens and closes listeners, drops connections to nodes that left.
    pub fn update(self: &Arc<Self>, services: &[Arc<Service>], slices: &[Arc<EndpointSlice>], nodes: &[NodeAddress]) {
        let building = self.building.lock().expect("no panic while held");
        let previous = self.table.load_full();
        let own = nodes.iter().find(|node| node.name == self.node_name);
        let table = Arc::new(ServiceTable::build(&TableInput {
            local_node: &self.node_name,
            local_cidr: building.or_else(|| own.and_then(|node| node.pod_cidr)),
            cluster_domain: &self.cluster_domain,
            services,
            slices,
            nodes,
            loads: &self.loads,
            previous: Some(&previous),
        }));
        let _in_runtime = self.runtime.enter();
        self.mesh.set_nodes(&table);
        self.table.store(table.clone());
        self.generation.send_modify(|generation| *generation += 1);
        self.listeners.reconcile(self, &table);
        drop(previous);
        self.loads.sweep();
        drop(building);
    }

    /// Tries again to open what could not be opened.
    pub(crate) fn retry_listeners(self: &Arc<Self>) {
        let building = self.building.lock().expect("no panic while held");
        let _in_runtime = self.runtime.enter();
        self.listeners.retry(self, &self.table());
        drop(building);
    }

    /// Connects a pod: its address answers, with what is registered on the returned handle.
    pub fn attach(self: &Arc<Self>, identity: PodIdentity) -> PodPort {
        let ip = IpAddr::V4(identity.ip);
        let pod = Arc::new(LocalPod::new(identity, self.loads.renew(ip)));
        self.pods.rcu(|pods| pods.update(ip, pod.clone()));
        PodPort::new(self, pod)
    }

    pub(crate) fn detach(&self, pod: &Arc<LocalPod>) {
        let ip = IpAddr::V4(pod.identity.ip);
        self.pods.rcu(|pods| match pods.get(&ip) {
            Some(current) if Arc::ptr_eq(current, pod) => Arc::new(pods.without(&ip)),
            _ => pods.clone(),
        });
    }

    /// The table in use.
    pub fn table(&self) -> arc_swap::Guard<Arc<ServiceTable>> {
        self.table.load()
    }

    /// Ports that could not be opened, for Events; the newest list.
    pub fn listener_problems(&self) -> watch::Receiver<Arc<Vec<ListenerProblem>>> {
        self.listeners.problems()
    }

    /// Where it listens for Services at this moment.
    pub fn listening(&self) -> Vec<SocketAddr> {
        self.listeners.open_addresses()
    }

    /// Closes every listener and waits for what is in flight, at most `deadline`.
    pub async fn shutdown(&self, deadline: Duration) {
        self.stop.cancel();
        self.listeners.close();
        self.tasks.close();
        if tokio::time::timeout(deadline, self.tasks.wait()).await.is_err() {
            tracing::warn!(left = self.tasks.len(), "connections were still open at the deadline");
        }
        self.kill.cancel();
        self.tasks.wait().await;
    }

    pub(crate) fn pod(&self, ip: IpAddr) -> Option<Arc<LocalPod>> {
        self.pods.load().get(&ip).cloned()
    }

    /// An endpoint that no table lists: a pod addressed by its own IP.
    pub(crate) fn endpoint(&self, address: SocketAddr, place: Place) -> Endpoint {
        let load = self.pod(address.ip()).map(|pod| pod.load.clone());
        let load = load.unwrap_or_else(|| self.loads.of(address.ip()));
        Endpoint { address, place, protocol: AppProtocol::Tcp, load }
    }

    /// Whether an address is the cluster's own to give.
    pub(crate) fn is_virtual(&self, ip: IpAddr) -> bool {
        self.virtual_cidrs.iter().any(|cidr| cidr.contains(&ip))
    }

    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.generation.subscribe()
    }

    pub(crate) fn plan(&self) -> &dyn AddressPlan {
        &*self.plan
    }

    pub(crate) fn mesh(&self) -> &MeshClient {
        &self.mesh
    }

    pub(crate) fn egress(&self) -> &Egress {
        &self.egress
    }

    pub(crate) fn stopping(&self) -> &CancellationToken {
        &self.stop
    }

    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let kill = self.kill.clone();
        self.tasks
            .spawn_on(async move { kill.run_until_cancelled_owned(task).await.unwrap_or_default() }, &self.runtime);
    }

    pub(crate) fn enter_runtime(&self) -> tokio::runtime::EnterGuard<'_> {
        self.runtime.enter()
    }
}
