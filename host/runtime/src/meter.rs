//! CPU time of a container: measured around every poll, and held below its quota by not polling while in debt.

use crate::ticker::Ticker;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tokio::time::Sleep;

/// Kubernetes' default CFS period: unused quota is kept for this long.
const PERIOD: Duration = Duration::from_millis(100);
/// The shortest pause worth a timer.
const PAUSE_MIN: Duration = Duration::from_millis(1);

/// One container's CPU time, shared by all of its tasks.
pub(crate) struct CpuMeter {
    used_ns: AtomicU64,
    quota: Option<Quota>,
    ticker: Arc<Ticker>,
}

struct Quota {
    /// CPUs, as in 0.25.
    share: f64,
    bucket: Mutex<Bucket>,
}

struct Bucket {
    credit_ns: f64,
    filled_at: Instant,
}

impl CpuMeter {
    pub(crate) fn new(millis_max: Option<u64>, ticker: Arc<Ticker>) -> Self {
        let quota = millis_max.map(|millis| {
            let share = (millis.max(1) as f64) / 1000.0;
            let bucket = Bucket { credit_ns: share * PERIOD.as_nanos() as f64, filled_at: Instant::now() };
            Quota { share, bucket: Mutex::new(bucket) }
        });
        CpuMeter { used_ns: AtomicU64::new(0), quota, ticker }
    }

    pub(crate) fn used(&self) -> Duration {
        Duration::from_nanos(self.used_ns.load(Relaxed))
    }

    /// How long to wait until there is credit again, if there is none.
    fn debt(&self) -> Option<Duration> {
        let quota = self.quota.as_ref()?;
        let mut bucket = quota.bucket.lock().unwrap();
        let now = Instant::now();
        let earned = (now - bucket.filled_at).as_nanos() as f64 * quota.share;
        bucket.filled_at = now;
        bucket.credit_ns = (bucket.credit_ns + earned).min(PERIOD.as_nanos() as f64 * quota.share);
        (bucket.credit_ns < 0.0).then(|| Duration::from_nanos((-bucket.credit_ns / quota.share) as u64).max(PAUSE_MIN))
    }

    fn charge(&self, spent: Duration) {
        self.used_ns.fetch_add(spent.as_nanos() as u64, Relaxed);
        if let Some(quota) = &self.quota {
            quota.bucket.lock().unwrap().credit_ns -= spent.as_nanos() as f64;
        }
    }
}

/// A guest's future under its container's meter. Every poll is bounded by the epoch tick.
pub(crate) struct Metered<F> {
    guest: Pin<Box<F>>,
    meter: Arc<CpuMeter>,
    pause: Option<Pin<Box<Sleep>>>,
}

impl<F: Future> Metered<F> {
    pub(crate) fn new(meter: Arc<CpuMeter>, guest: F) -> Self {
        Metered { guest: Box::pin(guest), meter, pause: None }
    }

    fn poll_credit(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            if let Some(pause) = &mut self.pause {
                std::task::ready!(pause.as_mut().poll(cx));
                self.pause = None;
            }
            let Some(wait) = self.meter.debt() else { return Poll::Ready(()) };
            self.pause = Some(Box::pin(tokio::time::sleep(wait)));
        }
    }
}

impl<F: Future> Future for Metered<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        std::task::ready!(self.poll_credit(cx));
        let meter = self.meter.clone();
        let _running = meter.ticker.running();
        let before = thread_time();
        let polled = self.guest.as_mut().poll(cx);
        meter.charge(thread_time().saturating_sub(before));
        polled
    }
}

/// CPU time of this thread.
#[cfg(unix)]
fn thread_time() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a valid timespec to write to; this clock exists on every Unix that we build for.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) };
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// Wall-clock time stands in for the thread's CPU time: a poll never blocks, so the two differ only by preemption.
#[cfg(not(unix))]
fn thread_time() -> Duration {
    static START: std::sync::LazyLock<Instant> = std::sync::LazyLock::new(Instant::now);
    START.elapsed()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meter(millis_max: Option<u64>) -> CpuMeter {
        CpuMeter::new(millis_max, Ticker::idle())
    }

    #[test]
    fn a_container_without_quota_is_never_in_debt() {
        let meter = meter(None);
        meter.charge(Duration::from_secs(60));
        assert_eq!(meter.debt(), None);
        assert_eq!(meter.used(), Duration::from_secs(60));
    }

    #[test]
    fn overspending_is_paid_back_at_the_quota() {
        let meter = meter(Some(250));
        meter.charge(Duration::from_millis(25 + 100)); // one period's share, and 100 ms too much
        let wait = meter.debt().expect("in debt");
        assert!(wait > Duration::from_millis(350) && wait <= Duration::from_millis(400), "{wait:?}");
    }
}
