use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use wasmk_api::{Reason, Status};

/// Of something that many want: so much for each, that nobody takes all of it.
pub(crate) struct Shares<K> {
    each: usize,
    taken: Mutex<HashMap<K, usize>>,
}

/// One of them, until it is dropped.
pub(crate) struct Share<K: Eq + Hash> {
    of: Arc<Shares<K>>,
    whose: K,
}

impl<K: Clone + Eq + Hash> Shares<K> {
    pub(crate) fn new(each: usize) -> Arc<Self> {
        Arc::new(Self { each, taken: Mutex::default() })
    }

    /// `None` when `whose` has as many as each may have.
    pub(crate) fn take(self: &Arc<Self>, whose: K) -> Option<Share<K>> {
        let mut taken = self.lock();
        let count = taken.entry(whose.clone()).or_default();
        if *count >= self.each {
            return None;
        }
        *count += 1;
        drop(taken);
        Some(Share { of: self.clone(), whose })
    }
}

/// For who has no share, or finds nothing left.
pub(crate) fn too_many(message: impl Into<String>) -> Status {
    let mut status = Status::new(Reason::TooManyRequests, message);
    status.retry_after_seconds = Some(1);
    status
}

impl<K> Shares<K> {
    fn lock(&self) -> MutexGuard<'_, HashMap<K, usize>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Eq + Hash> Drop for Share<K> {
    fn drop(&mut self) {
        let mut taken = self.of.lock();
        if let Some(count) = taken.get_mut(&self.whose) {
            *count -= 1;
            // Who has none is forgotten: there may be many over time.
            if *count == 0 {
                taken.remove(&self.whose);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_so_many_and_gives_them_back() {
        let shares = Shares::new(2);
        let first = shares.take("a");
        let second = shares.take("a");
        assert!(first.is_some() && second.is_some() && shares.take("a").is_none());
        let other = shares.take("b");
        assert!(other.is_some());
        drop(first);
        assert!(shares.take("a").is_some());
        drop((second, other));
        assert!(shares.lock().is_empty());
    }
}
