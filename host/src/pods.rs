use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use dashmap::DashMap;
use http::Request;
use http_body_util::BodyExt;
use wasmk_agent as agent;
use wasmk_agent::{ByteStream, HttpProbe, NetworkError, PodIdentity, PodUid, ProbeError};
use wasmk_network::{Network, PodPort, empty};

/// The pods of this node and their places in the network.
pub(crate) struct Pods {
    network: Arc<Network>,
    /// Many tasks attach, probe and drain different pods at once; nothing is held over an await.
    ports: DashMap<PodUid, Arc<PodPort>>,
}

impl Pods {
    pub(crate) fn new(network: Arc<Network>) -> Arc<Self> {
        Arc::new(Self { network, ports: DashMap::new() })
    }

    pub(crate) fn port(&self, pod: &PodUid) -> Option<Arc<PodPort>> {
        self.ports.get(pod).map(|port| port.clone())
    }

    fn probed(&self, pod: &PodUid) -> Result<Arc<PodPort>, ProbeError> {
        self.port(pod).ok_or_else(|| ProbeError::Other("the pod has no network".to_owned()))
    }
}

#[async_trait]
impl agent::Network for Pods {
    async fn attach(&self, pod: &PodIdentity) -> Result<(), NetworkError> {
        let attach = || {
            let identity = wasmk_network::PodIdentity {
                ip: pod.ip,
                namespace: pod.namespace.clone(),
                name: pod.name.clone(),
                hostname: pod.hostname.clone(),
            };
            Arc::new(self.network.attach(identity))
        };
        self.ports.entry(pod.uid.clone()).or_insert_with(attach);
        Ok(())
    }

    fn detach(&self, pod: &PodUid) {
        self.ports.remove(pod);
    }

    fn set_routing(&self, pod: &PodUid, ready: bool) {
        if let Some(port) = self.port(pod) {
            port.set_ready(ready);
        }
    }

    async fn drain(&self, pod: &PodUid, deadline: Duration) -> usize {
        match self.port(pod) {
            Some(port) => port.drain(deadline).await.left,
            None => 0,
        }
    }

    async fn http_get(&self, pod: &PodUid, probe: &HttpProbe, timeout: Duration) -> Result<u16, ProbeError> {
        let pod = self.probed(pod)?;
        if probe.https {
            return Err(ProbeError::Other("guests serve plain HTTP: use scheme HTTP".to_owned()));
        }
        let uri = format!("http://{}:{}{}", pod.ip(), probe.port, probe.path);
        let mut request = Request::get(uri);
        for (name, value) in &probe.headers {
            request = request.header(name, value);
        }
        let request = request.body(empty()).map_err(|error| ProbeError::Other(error.to_string()))?;
        let answer = async {
            let response = pod.probe_http(probe.port, request).await.map_err(probe_error)?;
            let status = response.status().as_u16();
            // Read to its end, so that the instance finishes its request rather than being dropped.
            let _ = response.into_body().collect().await;
            Ok(status)
        };
        tokio::time::timeout(timeout, answer).await.unwrap_or(Err(ProbeError::Timeout))
    }

    async fn tcp_connect(&self, pod: &PodUid, port: u16, timeout: Duration) -> Result<(), ProbeError> {
        let pod = self.probed(pod)?;
        let connected = tokio::time::timeout(timeout, pod.probe_tcp(port)).await;
        connected.map_or(Err(ProbeError::Timeout), |connected| connected.map_err(probe_error))
    }

    async fn connect(&self, pod: &PodUid, port: u16) -> std::io::Result<Box<dyn ByteStream>> {
        let pod = self.port(pod).ok_or(std::io::ErrorKind::ConnectionRefused)?;
        Ok(Box::new(pod.connect(port).await?))
    }
}

fn probe_error(error: std::io::Error) -> ProbeError {
    match error.kind() {
        std::io::ErrorKind::ConnectionRefused => ProbeError::Refused,
        _ => ProbeError::Other(error.to_string()),
    }
}
