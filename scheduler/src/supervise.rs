use std::future::Future;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::error;

/// How long a task that broke down waits before it begins anew.
const RESTART_PAUSE: Duration = Duration::from_secs(1);

/// Runs a task until it ends by itself, and starts it anew when it panics: the loops keep nothing that they could not
/// read again from the store, and one broken loop must not take the control plane with it.
pub(crate) fn spawn_supervised<F>(
    tasks: &TaskTracker,
    name: &'static str,
    shutdown: CancellationToken,
    make: impl Fn() -> F + Send + 'static,
) where
    F: Future<Output = ()> + Send + 'static,
{
    tasks.spawn(async move {
        while let Err(error) = tokio::spawn(make()).await {
            if shutdown.is_cancelled() || error.is_cancelled() {
                return;
            }
            error!(task = name, %error, "a task broke down and begins anew");
            // Cancel-safe: nothing is lost with a sleep.
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = tokio::time::sleep(RESTART_PAUSE) => {}
            }
        }
    });
}
