use std::time::Duration;

/// The times of a pod's life. The defaults are Kubernetes'.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Settings {
    /// Between restarts of a container (`CrashLoopBackOff`).
    pub crash_backoff: Backoff,
    /// Between pulls of an image (`ImagePullBackOff`).
    pub image_backoff: Backoff,
    /// Between attempts at volumes, the network and configuration. Short, since they cost little here.
    pub setup_backoff: Backoff,
    /// A container that ran this long starts its backoff anew.
    pub crash_reset_after: Duration,
    /// At the end of a pod's life: how long requests that other nodes still send are served before the wait for those
    /// in flight begins. Never more than the grace period.
    pub drain_settle: Duration,
    /// How often volumes are compared with their sources, should a watch have missed something.
    pub volume_sync: Duration,
    /// How often `emptyDir` volumes are measured that have a `sizeLimit`.
    pub size_check: Duration,
}

/// Doubles from `initial` to `max`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Backoff {
    pub initial: Duration,
    pub max: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        let kubelet = Backoff { initial: Duration::from_secs(10), max: Duration::from_secs(300) };
        Self {
            crash_backoff: kubelet,
            image_backoff: kubelet,
            setup_backoff: Backoff { initial: Duration::from_millis(500), max: Duration::from_secs(120) },
            crash_reset_after: Duration::from_secs(600),
            drain_settle: Duration::from_millis(250),
            volume_sync: Duration::from_secs(60),
            size_check: Duration::from_secs(10),
        }
    }
}

impl Backoff {
    /// The wait after so many failures in a row; none after none.
    pub fn delay(self, failures: u32) -> Duration {
        match failures.checked_sub(1) {
            None => Duration::ZERO,
            Some(doublings) => self.initial.saturating_mul(1 << doublings.min(20)).min(self.max),
        }
    }
}
