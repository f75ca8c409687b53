use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;
use wasmk_api::usage::{ContainerUsage, NodeUsage, PodUsage};
use wasmk_api::{Object, Status};

use crate::NodeClient;

/// A rate over less than this says little; who asks for the first time waits so long.
const WINDOW_MIN: Duration = Duration::from_millis(500);
/// An older sample gives way to the latest one, so that rates are about the present.
const WINDOW_MAX: Duration = Duration::from_secs(15);
/// One sample a node: more than any cluster has nodes, and what is beyond begins anew.
const SAMPLES_MAX: usize = 4096;

/// What each node used when it was last asked: processor time is a rate between two answers.
#[derive(Default)]
pub(crate) struct Samples(Mutex<HashMap<String, Sample>>);

#[derive(Clone)]
struct Sample {
    at: Instant,
    usage: Arc<NodeUsage>,
}

/// Two answers of a node.
pub(super) struct Measured {
    pub(super) node: Arc<Object>,
    pub(super) at: Timestamp,
    pub(super) window: Duration,
    pub(super) before: Arc<NodeUsage>,
    pub(super) now: Arc<NodeUsage>,
}

impl Samples {
    pub(super) async fn measure(&self, client: &dyn NodeClient, node: &Arc<Object>) -> Result<Measured, Status> {
        let before = match self.recent(node.name()) {
            Some(before) => before,
            None => {
                let first = sample(client, node).await?;
                self.keep(node.name(), first.clone());
                tokio::time::sleep(WINDOW_MIN).await;
                first
            }
        };
        let now = sample(client, node).await?;
        let window = now.at.duration_since(before.at);
        if window >= WINDOW_MAX {
            self.keep(node.name(), now.clone());
        }
        Ok(Measured { node: node.clone(), at: Timestamp::now(), window, before: before.usage, now: now.usage })
    }

    /// Not so recent that the rate says nothing, nor so old that it tells of the past.
    fn recent(&self, node: &str) -> Option<Sample> {
        let samples = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let usable = |sample: &&Sample| (WINDOW_MIN..4 * WINDOW_MAX).contains(&sample.at.elapsed());
        samples.get(node).filter(usable).cloned()
    }

    fn keep(&self, node: &str, sample: Sample) {
        let mut samples = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if samples.len() >= SAMPLES_MAX {
            samples.clear();
        }
        samples.insert(node.to_owned(), sample);
    }
}

async fn sample(client: &dyn NodeClient, node: &Object) -> Result<Sample, Status> {
    let usage = client.usage(node).await?;
    Ok(Sample { at: Instant::now(), usage: Arc::new(usage) })
}

impl Measured {
    /// Nanoseconds of processor time a second. A container that was not there before, or has begun anew, has used all
    /// of its time since.
    pub(super) fn cpu_rate(&self, pod: &PodUsage, container: &ContainerUsage) -> u64 {
        let same_pod = self.before.pods.iter().find(|before| before.uid == pod.uid);
        let same = same_pod.and_then(|pod| pod.containers.iter().find(|before| before.name == container.name));
        let before = same.map_or(0, |before| before.cpu_nanos);
        let used = container.cpu_nanos.checked_sub(before).unwrap_or(container.cpu_nanos);
        let window = self.window.as_nanos().max(1);
        let rate = u128::from(used) * 1_000_000_000 / window;
        u64::try_from(rate).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use wasmk_api::Key;

    use super::*;

    fn usage(uid: &str, cpu_nanos: u64) -> NodeUsage {
        let container = ContainerUsage { name: "c".to_owned(), cpu_nanos, memory_bytes: 1 };
        let pod = PodUsage { uid: uid.to_owned(), containers: vec![container], ..PodUsage::default() };
        NodeUsage { pods: vec![pod] }
    }

    fn rate(before: NodeUsage, now: NodeUsage) -> u64 {
        let node = Object::new(Key::new("nodes", "", "n"), 1, json!({"metadata": {}}));
        let (before, now) = (Arc::new(before), Arc::new(now));
        let measured = Measured { node, at: Timestamp::now(), window: Duration::from_secs(2), before, now };
        measured.cpu_rate(&measured.now.pods[0], &measured.now.pods[0].containers[0])
    }

    #[test]
    fn processor_time_is_a_rate_between_two_answers() {
        assert_eq!(rate(usage("a", 1_000), usage("a", 5_000)), 2_000);
        // Begun anew, or new altogether.
        assert_eq!(rate(usage("a", 9_000), usage("a", 5_000)), 2_500);
        assert_eq!(rate(usage("b", 1_000), usage("a", 5_000)), 2_500);
    }
}
