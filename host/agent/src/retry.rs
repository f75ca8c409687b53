use std::time::Duration;

use kube::runtime::utils::Backoff as KubeBackoff;

use crate::Backoff;

/// Between attempts to reach the server: short, since a node that waits for it converges that much later.
pub(crate) const SERVER: Backoff = Backoff { initial: Duration::from_millis(100), max: Duration::from_secs(3) };

/// [`SERVER`] in the shape that watchers want.
#[derive(Default)]
pub(crate) struct ServerBackoff(u32);

impl Iterator for ServerBackoff {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        self.0 = self.0.saturating_add(1);
        Some(SERVER.delay(self.0))
    }
}

impl KubeBackoff for ServerBackoff {
    fn reset(&mut self) {
        self.0 = 0;
    }
}

/// Whether the server answered, and said that there is no such object.
pub(crate) fn is_not_found(error: &kube::Error) -> bool {
    code(error) == Some(404)
}

pub(crate) fn is_conflict(error: &kube::Error) -> bool {
    code(error) == Some(409)
}

/// As it is for a pod whose name another node's pod has by now.
pub(crate) fn is_forbidden(error: &kube::Error) -> bool {
    code(error) == Some(403)
}

/// The server understood, and will not do it however often it is asked.
pub(crate) fn is_refused(error: &kube::Error) -> bool {
    code(error).is_some_and(|code| (400..500).contains(&code) && !matches!(code, 401 | 403 | 408 | 409 | 429))
}

fn code(error: &kube::Error) -> Option<u16> {
    match error {
        kube::Error::Api(status) => Some(status.code),
        _ => None,
    }
}
