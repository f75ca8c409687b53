//! Work of more than a moment. The runtime has few threads, and everybody's watches and leases are on them: such work goes
//! beside them, and only as much of it at once as there are processors.

use std::sync::Arc;

use serde_json::Value;
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::sync::{OnceCell, OwnedSemaphorePermit, Semaphore};

/// Bytes of a body, or of an object, with which a write takes milliseconds.
pub(crate) const LARGE_BYTES: usize = 64 * 1024;

/// Objects with which a list does.
pub(crate) const LARGE_LIST: usize = 500;

/// Who is at such work now.
#[derive(Clone)]
pub(crate) struct HeavyWork(Arc<Semaphore>);

impl Default for HeavyWork {
    fn default() -> Self {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        Self(Arc::new(Semaphore::new(processors)))
    }
}

/// One request's place among them: taken when first needed, and kept until the request is answered.
#[derive(Default)]
pub(crate) struct Turn(OnceCell<Option<OwnedSemaphorePermit>>);

impl Turn {
    /// Waits until there is a place. The time that a request has bounds the wait.
    pub(crate) async fn take(&self, work: &HeavyWork) {
        // It is never closed.
        self.0.get_or_init(|| async { work.0.clone().acquire_owned().await.ok() }).await;
    }
}

/// Does it beside the runtime's threads; in a runtime of one thread there is no beside.
pub(crate) fn in_place<T>(work: impl FnOnce() -> T) -> T {
    match Handle::try_current().map(|runtime| runtime.runtime_flavor()) {
        Ok(RuntimeFlavor::MultiThread) => tokio::task::block_in_place(work),
        _ => work(),
    }
}

/// Whether the JSON text is longer than [`LARGE_BYTES`], about. Looks no further than that.
pub(crate) fn is_large(value: &Value) -> bool {
    fn rest(value: &Value, left: usize) -> Option<usize> {
        let own = match value {
            Value::String(text) => text.len() + 2,
            _ => 4,
        };
        let left = left.checked_sub(own)?;
        match value {
            Value::Array(items) => items.iter().try_fold(left, |left, item| rest(item, left)),
            Value::Object(fields) => {
                fields.iter().try_fold(left, |left, (key, value)| rest(value, left.checked_sub(key.len() + 4)?))
            }
            _ => Some(left),
        }
    }
    rest(value, LARGE_BYTES).is_none()
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use serde_json::json;

    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn the_runtime_goes_on_beside_heavy_work() {
        let (done, other_task) = mpsc::channel();
        let worker = tokio::spawn(async move {
            tokio::spawn(async move { done.send(()).unwrap() });
            // On the only thread of the runtime, the other task would wait for this one.
            in_place(|| other_task.recv_timeout(Duration::from_secs(60)))
        });
        worker.await.unwrap().expect("the other task ran meanwhile");
    }

    #[tokio::test]
    async fn there_are_as_many_turns_as_processors() {
        let work = HeavyWork(Arc::new(Semaphore::new(1)));
        let (first, second) = (Turn::default(), Turn::default());
        first.take(&work).await;
        first.take(&work).await;
        let waiting = second.take(&work);
        tokio::pin!(waiting);
        assert!(futures::poll!(&mut waiting).is_pending());
        drop(first);
        waiting.await;
    }

    #[test]
    fn text_and_structure_both_count() {
        assert!(!is_large(&json!({"a": "x".repeat(LARGE_BYTES / 2)})));
        assert!(is_large(&json!({"a": "x".repeat(LARGE_BYTES)})));
        assert!(is_large(&json!({"a": vec![json!({}); LARGE_BYTES / 4]})));
    }
}
