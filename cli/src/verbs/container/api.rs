//! What is done to containers, through the API.

use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use futures::StreamExt;
use http::Method;
use serde_json::{Value, json};
use tokio::io::AsyncReadExt;

use super::flags::ContainerFlags;
use super::manifest::{self, Wanted};
use super::publish::Published;
use super::state::State;
use super::{NAME_LABEL, STOP_GRACE, name, published};
use crate::args::Global;
use crate::session::{JSON, MERGE_PATCH, Refusal, Session};
use crate::verbs::get::is_not_found;
use crate::verbs::targets::query;

/// How long a published port may take to answer once the container runs.
const PORT_LIMIT: Duration = Duration::from_secs(10);
const PORT_PAUSE: Duration = Duration::from_millis(20);
/// A connection that is still there after this long was not refused.
const HELD_OPEN: Duration = Duration::from_millis(50);

/// The containers of one namespace.
pub(crate) struct Containers {
    pub(crate) session: Session,
}

/// Seconds that a container has to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Grace(pub(crate) u32);

impl Containers {
    pub(crate) async fn connect(global: &Global) -> Result<Self> {
        Ok(Self { session: Session::connect(global).await? })
    }

    /// All of them, the newest first.
    pub(crate) async fn list(&self) -> Result<Vec<Value>> {
        let mut list = self
            .session
            .get(&format!("{}{}", self.path("pods"), query(&[("labelSelector", Some(NAME_LABEL))])))
            .await?;
        let Value::Array(mut pods) = list["items"].take() else { return Ok(Vec::new()) };
        pods.sort_by_key(|pod| std::cmp::Reverse(pod["metadata"]["creationTimestamp"].to_string()));
        Ok(pods)
    }

    pub(crate) async fn find(&self, wanted: &str) -> Result<Value> {
        match self.session.get(&self.object("pods", wanted)).await {
            Ok(pod) if pod["metadata"]["labels"][NAME_LABEL].is_string() => Ok(pod),
            Ok(_) => bail!(
                "pod {wanted} is no container of `wasmk run`; kubectl's verbs are for it, such as `wasmk delete pod {wanted}`"
            ),
            Err(error) if is_not_found(&error) => bail!("no container {wanted}; `wasmk ps -a` lists them"),
            Err(error) => Err(error),
        }
    }

    /// Makes the Pod, and the Service for its ports unless it is not to start yet.
    pub(crate) async fn create(
        &self,
        flags: &ContainerFlags,
        image: &str,
        arguments: &[String],
        is_gated: bool,
        removed_by_cluster: bool,
    ) -> Result<Value> {
        let suffix = uuid::Uuid::new_v4().simple().to_string();
        let wanted = Wanted { flags, image, arguments, is_gated, removed_by_cluster, suffix: &suffix[..4] };
        let pod = manifest::pod(&wanted)?;
        if !is_gated {
            self.check_ports(&published(&pod)).await?;
        }
        self.make(&pod, is_gated).await
    }

    /// Starts one that was created, stopped, or has ended; answers its Pod.
    pub(crate) async fn start(&self, wanted: &str) -> Result<Value> {
        let pod = self.find(wanted).await?;
        match State::of(&pod) {
            State::Created => {
                self.check_ports(&published(&pod)).await?;
                let open = json!({"spec": {"schedulingGates": null}});
                let (_, pod) =
                    self.session.write(Method::PATCH, &self.object("pods", wanted), MERGE_PATCH, &open).await?;
                self.open_ports(&pod).await?;
                Ok(pod)
            }
            State::Exited { .. } => {
                self.close_ports(wanted).await?;
                self.check_ports(&published(&pod)).await?;
                self.delete(&pod, Some(0)).await?;
                self.make(&manifest::again(&pod, false), false).await
            }
            State::Removing => bail!("container {wanted} is being removed"),
            State::Starting { .. } | State::Running { .. } | State::Restarting { .. } => Ok(pod),
        }
    }

    /// Ends it, and returns when it has ended. Its Pod stays, with its logs and its exit code.
    pub(crate) async fn stop(&self, wanted: &str, grace: Grace) -> Result<()> {
        let pod = self.find(wanted).await?;
        match State::of(&pod) {
            State::Created | State::Exited { .. } | State::Removing => return self.close_ports(wanted).await,
            // No node would tell that it has ended.
            State::Starting { .. } if pod["spec"]["nodeName"].as_str().unwrap_or_default().is_empty() => {
                self.close_ports(wanted).await?;
                self.delete(&pod, Some(0)).await?;
                self.make(&manifest::again(&pod, true), true).await?;
                return Ok(());
            }
            State::Starting { .. } | State::Running { .. } | State::Restarting { .. } => {}
        }
        let annotations = json!({STOP_GRACE: grace.0.to_string()});
        let end = json!({"metadata": {"annotations": annotations}, "spec": {"activeDeadlineSeconds": 1}});
        let (_, mut pod) = self.session.write(Method::PATCH, &self.object("pods", wanted), MERGE_PATCH, &end).await?;
        while !matches!(State::of(&pod), State::Exited { .. }) {
            match self.next(&pod).await? {
                Some(next) => pod = next,
                None => break,
            }
        }
        self.close_ports(wanted).await
    }

    /// Removes it, and returns when it is gone.
    pub(crate) async fn remove(&self, wanted: &str, force: bool) -> Result<()> {
        let pod = self.find(wanted).await?;
        let state = State::of(&pod);
        if state.is_live() && !force {
            bail!(
                "container {wanted} is {}: stop it first by `wasmk stop {wanted}`, or use `wasmk rm -f {wanted}`",
                state.word()
            );
        }
        self.delete(&pod, Some(if state.is_live() { 1 } else { 0 })).await?;
        self.close_ports(wanted).await
    }

    /// Waits until it runs or has run. What will not start by itself is an error.
    pub(crate) async fn started(&self, mut pod: Value) -> Result<Value> {
        loop {
            match State::of(&pod) {
                State::Starting { reason, message, hopeless: true } => bail!("{}: {reason}: {message}", name(&pod)),
                State::Created | State::Starting { .. } => {}
                _ => return Ok(pod),
            }
            pod = self.next(&pod).await?.with_context(|| format!("container {} was removed", name(&pod)))?;
        }
    }

    /// Waits until every published port of a container that runs is open, as far as that can be seen from here.
    pub(crate) async fn reachable(&self, pod: &Value) -> Result<()> {
        let ports = published(pod);
        if ports.is_empty() {
            return Ok(());
        }
        let ips = self.local_node_ips().await;
        let addresses: Vec<SocketAddr> =
            ips.iter().flat_map(|ip| ports.iter().map(|port| SocketAddr::new(*ip, port.host))).collect();
        let open = async {
            // First that the Service knows this very Pod, then that the node knows what the Service knows.
            while !self.has_endpoint(pod).await? {
                if self.next_within(pod, PORT_PAUSE).await?.is_some_and(|pod| !State::of(&pod).is_live()) {
                    return Ok(());
                }
            }
            for address in addresses {
                while !is_held_open(address).await {
                    tokio::time::sleep(PORT_PAUSE).await;
                }
            }
            Ok(())
        };
        match tokio::time::timeout(PORT_LIMIT, open).await {
            Ok(opened) => opened,
            Err(_) => {
                let name = name(pod);
                eprintln!("the ports of {name} do not answer yet; `wasmk describe svc/{name}` may say why");
                Ok(())
            }
        }
    }

    async fn has_endpoint(&self, pod: &Value) -> Result<bool> {
        let selector = format!("kubernetes.io/service-name={}", name(pod));
        let path = format!("/apis/discovery.k8s.io/v1/namespaces/{}/endpointslices", self.session.namespace);
        let slices = self.session.get(&format!("{path}{}", query(&[("labelSelector", Some(&selector))]))).await?;
        let slices = slices["items"].as_array().into_iter().flatten();
        let mut endpoints = slices.flat_map(|slice| slice["endpoints"].as_array()).flatten();
        let uid = &pod["metadata"]["uid"];
        Ok(endpoints.any(|endpoint| endpoint["targetRef"]["uid"] == *uid && endpoint["conditions"]["ready"] == true))
    }

    /// As [`Containers::next`], but `None` also when nothing changes for that long.
    async fn next_within(&self, pod: &Value, limit: Duration) -> Result<Option<Value>> {
        tokio::time::timeout(limit, self.next(pod)).await.unwrap_or(Ok(None))
    }

    /// The Pod as it is after its next change; `None` when it is gone, or another has its name.
    pub(crate) async fn next(&self, pod: &Value) -> Result<Option<Value>> {
        let by_name = format!("metadata.name={}", name(pod));
        let version = pod["metadata"]["resourceVersion"].as_str();
        let parameters =
            [("watch", Some("true")), ("fieldSelector", Some(by_name.as_str())), ("resourceVersion", version)];
        let mut events = self.session.stream(&format!("{}{}", self.path("pods"), query(&parameters)), JSON).await?;
        let is_same = |other: &Value| other["metadata"]["uid"] == pod["metadata"]["uid"];
        while let Some(event) = events.next().await {
            let mut event = event?;
            match event["type"].as_str().unwrap_or_default() {
                "ADDED" | "MODIFIED" => return Ok(Some(event["object"].take()).filter(is_same)),
                "DELETED" => return Ok(None),
                // A watch that is too old or was ended starts again from what there is now.
                "ERROR" => break,
                _ => {}
            }
        }
        match self.session.get(&self.object("pods", name(pod))).await {
            Ok(found) => Ok(Some(found).filter(is_same)),
            Err(error) if is_not_found(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn make(&self, pod: &Value, is_gated: bool) -> Result<Value> {
        let made = self.session.write(Method::POST, &self.path("pods"), JSON, pod).await;
        let (_, made) = made.map_err(|error| name_taken(error, name(pod)))?;
        if !is_gated && let Err(error) = self.open_ports(&made).await {
            self.delete(&made, Some(0)).await?;
            return Err(error);
        }
        Ok(made)
    }

    async fn open_ports(&self, pod: &Value) -> Result<()> {
        let Some(service) = manifest::service(pod, &published(pod)) else { return Ok(()) };
        match self.session.write(Method::POST, &self.path("services"), JSON, &service).await {
            Ok(_) => Ok(()),
            Err(error) if is_conflict(&error) => {
                bail!(
                    "there is a Service {} already, which the container would need for its ports; choose another --name",
                    name(pod)
                )
            }
            Err(error) => Err(error).context("open the container's ports"),
        }
    }

    /// Returns when they are closed, as far as that can be seen from here: whoever comes next finds them free.
    async fn close_ports(&self, container: &str) -> Result<()> {
        let path = self.object("services", container);
        let service = match self.session.get(&path).await {
            Ok(service) if service["metadata"]["labels"][NAME_LABEL] == container => service,
            Ok(_) => return Ok(()),
            Err(error) if is_not_found(&error) => return Ok(()),
            Err(error) => return Err(error),
        };
        match self.session.write(Method::DELETE, &path, JSON, &Value::Null).await {
            Err(error) if !is_not_found(&error) => return Err(error),
            _ => {}
        }
        let ports = service["spec"]["ports"].as_array().into_iter().flatten();
        let ports: Vec<u16> = ports.filter_map(|port| port["port"].as_u64()?.try_into().ok()).collect();
        let ips = self.local_node_ips().await;
        let addresses: Vec<SocketAddr> =
            ips.iter().flat_map(|ip| ports.iter().map(|port| SocketAddr::new(*ip, *port))).collect();
        let closed = async {
            for address in addresses {
                while tokio::net::TcpStream::connect(address).await.is_ok() {
                    tokio::time::sleep(PORT_PAUSE).await;
                }
            }
        };
        // A node that does not hear of it now will later.
        let _ = tokio::time::timeout(PORT_LIMIT, closed).await;
        Ok(())
    }

    /// Deletes a Pod and waits until it is gone.
    async fn delete(&self, pod: &Value, grace: Option<i64>) -> Result<()> {
        let options = json!({"apiVersion": "v1", "kind": "DeleteOptions", "gracePeriodSeconds": grace});
        match self.session.write(Method::DELETE, &self.object("pods", name(pod)), JSON, &options).await {
            Err(error) if is_not_found(&error) => return Ok(()),
            other => drop(other?),
        }
        let mut pod = pod.clone();
        while let Some(next) = self.next(&pod).await? {
            pod = next;
        }
        Ok(())
    }

    /// That nobody else has the ports. A container that has ended gives its own up.
    async fn check_ports(&self, ports: &[Published]) -> Result<()> {
        if ports.is_empty() {
            return Ok(());
        }
        for service in self.services().await? {
            let Some(port) = ports.iter().find(|port| claims(&service, port.host)) else { continue };
            let metadata = &service["metadata"];
            let (namespace, owner) = (metadata["namespace"].as_str().unwrap_or_default(), name(&service));
            let is_container = metadata["labels"][NAME_LABEL] == owner && namespace == self.session.namespace;
            let is_over = is_container
                && match self.find(owner).await {
                    Ok(pod) => !State::of(&pod).is_live(),
                    Err(_) => true,
                };
            match (is_over, is_container) {
                (true, _) => self.close_ports(owner).await?,
                (false, true) => bail!("port {} is taken: container {owner} has it; choose another by -p", port.host),
                (false, false) => {
                    bail!("port {} is taken: Service {namespace}/{owner} has it; choose another by -p", port.host)
                }
            }
        }
        for ip in self.node_ips().await {
            for port in ports {
                check_free(SocketAddr::new(ip, port.host))?;
            }
        }
        Ok(())
    }

    /// Of all namespaces if we may see them: a port is the node's, whoever has it.
    async fn services(&self) -> Result<Vec<Value>> {
        let mut list = match self.session.get("/api/v1/services").await {
            Err(error) if is_forbidden(&error) => self.session.get(&self.path("services")).await?,
            other => other?,
        };
        Ok(if let Value::Array(items) = list["items"].take() { items } else { Vec::new() })
    }

    /// Where the nodes open ports; nothing when we may not know.
    pub(crate) async fn node_ips(&self) -> Vec<IpAddr> {
        let Ok(nodes) = self.session.get("/api/v1/nodes").await else { return Vec::new() };
        let nodes = nodes["items"].as_array().into_iter().flatten();
        let addresses = nodes.flat_map(|node| node["status"]["addresses"].as_array()).flatten();
        let internal = addresses.filter(|address| address["type"] == "InternalIP");
        internal.filter_map(|address| address["address"].as_str()?.parse().ok()).collect()
    }

    /// Those of them that are this machine's.
    async fn local_node_ips(&self) -> Vec<IpAddr> {
        let mut ips = self.node_ips().await;
        ips.retain(|ip| TcpListener::bind((*ip, 0)).is_ok());
        ips
    }

    fn path(&self, plural: &str) -> String {
        format!("/api/v1/namespaces/{}/{plural}", self.session.namespace)
    }

    fn object(&self, plural: &str, name: &str) -> String {
        format!("{}/{name}", self.path(plural))
    }
}

/// Whether a connection is taken and kept: a port with nobody behind it is reset at once.
async fn is_held_open(address: SocketAddr) -> bool {
    let Ok(mut stream) = tokio::net::TcpStream::connect(address).await else { return false };
    let mut byte = [0];
    let said = tokio::time::timeout(HELD_OPEN, stream.read(&mut byte)).await;
    // Nothing came, or a greeting did.
    matches!(said, Err(_) | Ok(Ok(1)))
}

/// Whether a Service has a port of the nodes.
fn claims(service: &Value, host: u16) -> bool {
    let spec = &service["spec"];
    let ports = spec["ports"].as_array().into_iter().flatten();
    let is_balancer = spec["type"] == "LoadBalancer";
    ports.into_iter().any(|port| (is_balancer && port["port"] == host) || port["nodePort"] == host)
}

/// A process of this machine may have a port that no Service has.
fn check_free(address: SocketAddr) -> Result<()> {
    match TcpListener::bind(address) {
        Err(error) if error.kind() == ErrorKind::AddrInUse => {
            bail!(
                "port {} is taken: another process listens on {address}; stop it, or choose another by -p",
                address.port()
            )
        }
        Err(error) if error.kind() == ErrorKind::PermissionDenied && address.ip().is_loopback() => bail!(
            "port {} may not be opened by wasmk; choose one from 1024 up, or allow it (Linux: sysctl net.ipv4.ip_unprivileged_port_start={})",
            address.port(),
            address.port()
        ),
        // Free, or another machine's: that node will tell.
        _ => Ok(()),
    }
}

fn name_taken(error: anyhow::Error, name: &str) -> anyhow::Error {
    if is_conflict(&error) {
        return anyhow::anyhow!(
            "the name {name} is taken: remove the container by `wasmk rm {name}`, or choose another by --name"
        );
    }
    error
}

fn is_conflict(error: &anyhow::Error) -> bool {
    error.downcast_ref::<Refusal>().is_some_and(|refusal| refusal.reason == "AlreadyExists")
}

fn is_forbidden(error: &anyhow::Error) -> bool {
    error.downcast_ref::<Refusal>().is_some_and(|refusal| refusal.code == 403)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services_claim_ports_of_the_nodes() {
        let service = |kind: &str| json!({"spec": {"type": kind, "ports": [{"port": 8080, "nodePort": 30080}]}});
        assert!(claims(&service("LoadBalancer"), 8080) && claims(&service("LoadBalancer"), 30080));
        assert!(!claims(&service("NodePort"), 8080) && claims(&service("NodePort"), 30080));
        let inner = json!({"spec": {"type": "ClusterIP", "ports": [{"port": 8080}]}});
        assert!(!claims(&inner, 8080));
    }

    #[test]
    fn a_port_that_a_process_has_is_named() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let error = check_free(address).unwrap_err().to_string();
        assert!(error.contains(&address.to_string()) && error.contains("-p"), "{error}");
        drop(listener);
        check_free(address).unwrap();
    }
}
