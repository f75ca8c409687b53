//! Memory of a container: one meter for all its instances, and a ceiling that holds.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use wasmtime::ResourceLimiter;

/// Elements of one table; the largest guests we know (JavaScript, Python) use about 20,000.
const TABLE_ELEMENTS_MAX: usize = 200_000;
/// Core instances, tables and memories of one store; Python uses 14 instances.
const INSTANCES_MAX: usize = 256;
const TABLES_MAX: usize = 256;
const MEMORIES_MAX: usize = 64;

/// The guest asked for more memory than its container may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("out of memory: {wanted_bytes} bytes wanted, the limit is {bytes_max} bytes")]
pub(crate) struct OutOfMemory {
    pub(crate) wanted_bytes: u64,
    pub(crate) bytes_max: u64,
}

/// Linear memory of all instances of one container, in bytes.
pub(crate) struct MemoryMeter {
    used: AtomicU64,
    peak: AtomicU64,
    bytes_max: u64,
}

impl MemoryMeter {
    pub(crate) fn new(bytes_max: Option<u64>) -> Self {
        MemoryMeter { used: AtomicU64::new(0), peak: AtomicU64::new(0), bytes_max: bytes_max.unwrap_or(u64::MAX) }
    }

    pub(crate) fn used(&self) -> u64 {
        self.used.load(Relaxed)
    }

    pub(crate) fn peak(&self) -> u64 {
        self.peak.load(Relaxed)
    }

    pub(crate) fn bytes_max(&self) -> u64 {
        self.bytes_max
    }

    fn take(&self, bytes: u64) -> Result<(), OutOfMemory> {
        let taken = self
            .used
            .fetch_update(Relaxed, Relaxed, |used| used.checked_add(bytes).filter(|total| *total <= self.bytes_max));
        match taken {
            Ok(before) => {
                self.peak.fetch_max(before + bytes, Relaxed);
                Ok(())
            }
            Err(used) => Err(OutOfMemory { wanted_bytes: used.saturating_add(bytes), bytes_max: self.bytes_max }),
        }
    }

    fn give_back(&self, bytes: u64) {
        self.used.fetch_sub(bytes, Relaxed);
    }
}

/// One store's part of its container's meter; gives everything back when the store goes.
pub(crate) struct Limits {
    meter: Arc<MemoryMeter>,
    held: u64,
    last_grown: u64,
}

impl Limits {
    pub(crate) fn new(meter: Arc<MemoryMeter>) -> Self {
        Limits { meter, held: 0, last_grown: 0 }
    }
}

impl ResourceLimiter for Limits {
    fn memory_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        let grown = desired.saturating_sub(current) as u64;
        self.meter.take(grown)?;
        self.held += grown;
        self.last_grown = grown;
        Ok(true)
    }

    fn memory_grow_failed(&mut self, _: wasmtime::Error) -> wasmtime::Result<()> {
        let grown = std::mem::take(&mut self.last_grown);
        self.held -= grown;
        self.meter.give_back(grown);
        Ok(())
    }

    fn table_growing(&mut self, _: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        Ok(desired <= TABLE_ELEMENTS_MAX)
    }

    fn instances(&self) -> usize {
        INSTANCES_MAX
    }

    fn tables(&self) -> usize {
        TABLES_MAX
    }

    fn memories(&self) -> usize {
        MEMORIES_MAX
    }
}

impl Drop for Limits {
    fn drop(&mut self) {
        self.meter.give_back(self.held);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instances_share_the_ceiling_and_give_back_what_they_held() {
        let meter = Arc::new(MemoryMeter::new(Some(100)));
        let mut first = Limits::new(meter.clone());
        let mut second = Limits::new(meter.clone());
        assert!(first.memory_growing(0, 60, None).unwrap());
        let refused = second.memory_growing(0, 50, None).unwrap_err();
        assert_eq!(refused.downcast_ref::<OutOfMemory>(), Some(&OutOfMemory { wanted_bytes: 110, bytes_max: 100 }));
        drop(first);
        assert!(second.memory_growing(0, 50, None).unwrap());
        assert_eq!((meter.used(), meter.peak()), (50, 60));
    }

    #[test]
    fn a_growth_that_the_host_could_not_do_is_not_counted() {
        let meter = Arc::new(MemoryMeter::new(None));
        let mut limits = Limits::new(meter.clone());
        limits.memory_growing(0, 10, None).unwrap();
        limits.memory_growing(10, 30, None).unwrap();
        limits.memory_grow_failed(wasmtime::Error::msg("no address space")).unwrap();
        assert_eq!(meter.used(), 10);
    }
}
