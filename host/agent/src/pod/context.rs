use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};

use k8s_openapi::api::core::v1::{Container, Pod};

use crate::fields::FieldContext;
use crate::parts::Parts;
use crate::{PodIdentity, PodUid};

/// What jobs take along instead of the task.
#[derive(Clone)]
pub(super) struct Context {
    pub(super) parts: Arc<Parts>,
    pub(super) pod: Arc<Pod>,
    pub(super) uid: PodUid,
    pub(super) ground: Ground,
}

/// What jobs of a pod write on disk, they write one after the other, and nothing once the pod was removed.
#[derive(Clone, Default)]
pub(super) struct Ground(Arc<Mutex<bool>>);

impl Ground {
    /// `None` when the pod was removed. Blocks.
    pub(super) fn write<T>(&self, work: impl FnOnce() -> T) -> Option<T> {
        let removed = self.0.lock().expect("no panic while held");
        (!*removed).then(work)
    }

    pub(super) fn remove(&self, work: impl FnOnce()) {
        let mut removed = self.0.lock().expect("no panic while held");
        *removed = true;
        work();
    }
}

impl Context {
    pub(super) fn identity(&self, ip: Ipv4Addr) -> PodIdentity {
        let hostname = self.pod.spec.as_ref().and_then(|spec| spec.hostname.clone());
        let name = self.pod.metadata.name.clone().unwrap_or_default();
        PodIdentity {
            namespace: self.namespace().to_owned(),
            hostname: hostname.unwrap_or_else(|| name.clone()),
            name,
            uid: self.uid.clone(),
            ip,
            labels: self.pod.metadata.labels.clone().unwrap_or_default(),
        }
    }

    pub(super) fn fields(&self, ip: Option<Ipv4Addr>) -> FieldContext<'_> {
        let config = &self.parts.config;
        FieldContext { pod: &self.pod, pod_ip: ip.map(Into::into), host_ip: config.node_ip, node: config.resources }
    }

    pub(super) fn container(&self, name: &str) -> &Container {
        let spec = self.pod.spec.as_ref().expect("invariant: it has containers");
        let mut all = spec.init_containers.iter().flatten().chain(&spec.containers);
        all.find(|container| container.name == name).expect("invariant: the plan names containers of this spec")
    }

    pub(super) fn namespace(&self) -> &str {
        self.pod.metadata.namespace.as_deref().unwrap_or_default()
    }
}
