use crate::{PodUid, Usage};

/// What the containers of a node use, for `top`.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct NodeUsage {
    pub pods: Vec<PodUsage>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PodUsage {
    pub namespace: String,
    pub name: String,
    pub uid: PodUid,
    /// Those that run, by name.
    pub containers: Vec<(String, Usage)>,
}

impl NodeUsage {
    pub fn total(&self) -> Usage {
        let each = self.pods.iter().flat_map(|pod| &pod.containers);
        each.fold(Usage::default(), |sum, (_, usage)| Usage {
            cpu_nanos: sum.cpu_nanos + usage.cpu_nanos,
            memory_bytes: sum.memory_bytes + usage.memory_bytes,
        })
    }
}
