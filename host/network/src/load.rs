use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, Weak};

use tokio::sync::Notify;

/// How busy one pod is, as this node sees it: requests and connections in flight.
///
/// Shared by the service tables (to pick the less busy of two) and by the local pod (to drain).
#[derive(Default)]
pub struct Load {
    in_flight: AtomicUsize,
    draining: AtomicBool,
    unready: AtomicBool,
    idle: Notify,
}

impl Load {
    pub fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::Relaxed)
    }

    pub(crate) fn enter(self: &Arc<Self>) -> InFlight {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        InFlight(self.clone())
    }

    /// A draining or unready pod is picked only when nothing else is left: this node knows before the table does.
    pub(crate) fn is_avoided(&self) -> bool {
        self.draining.load(Ordering::Relaxed) || self.unready.load(Ordering::Relaxed)
    }

    pub(crate) fn set_ready(&self, ready: bool) {
        self.unready.store(!ready, Ordering::Relaxed);
    }

    pub(crate) fn set_draining(&self) {
        self.draining.store(true, Ordering::SeqCst);
    }

    pub(crate) async fn idle(&self) {
        loop {
            let notified = self.idle.notified();
            if self.in_flight.load(Ordering::SeqCst) == 0 {
                return;
            }
            notified.await;
        }
    }
}

/// One request or connection in flight; ends when dropped.
pub(crate) struct InFlight(Arc<Load>);

impl Drop for InFlight {
    fn drop(&mut self) {
        if self.0.in_flight.fetch_sub(1, Ordering::SeqCst) == 1 && self.0.draining.load(Ordering::SeqCst) {
            self.0.idle.notify_waiters();
        }
    }
}

/// The [`Load`] of every pod that someone looks at, so that a new table goes on counting where the old one was.
#[derive(Default)]
pub struct Loads(Mutex<HashMap<IpAddr, Weak<Load>>>);

impl Loads {
    pub(crate) fn of(&self, pod: IpAddr) -> Arc<Load> {
        let mut loads = self.0.lock().expect("no panic while held");
        if let Some(load) = loads.get(&pod).and_then(Weak::upgrade) {
            return load;
        }
        let load = Arc::new(Load::default());
        loads.insert(pod, Arc::downgrade(&load));
        load
    }

    /// A pod that starts on an address begins ready, whoever had the address before. The count stays the same object:
    /// tables in use go on with it.
    pub(crate) fn renew(&self, pod: IpAddr) -> Arc<Load> {
        let load = self.of(pod);
        load.draining.store(false, Ordering::SeqCst);
        load.unready.store(false, Ordering::SeqCst);
        load
    }

    /// Forgets the pods that nobody looks at any more.
    pub(crate) fn sweep(&self) {
        self.0.lock().expect("no panic while held").retain(|_, load| load.strong_count() > 0);
    }
}
