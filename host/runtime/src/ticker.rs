//! The epoch's clock: it makes long-running guest code yield. It ticks only while guests run.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, OnceLock};
use std::thread::Thread;
use std::time::Duration;
use wasmtime::EngineWeak;

/// The longest a guest computes before others have their turn.
const TICK: Duration = Duration::from_millis(1);
/// Ticks without a running guest before the clock stops: starting it again costs a wake-up.
const IDLE_TICKS_MAX: u32 = 50;

pub(crate) struct Ticker {
    running: AtomicUsize,
    asleep: AtomicBool,
    stopped: AtomicBool,
    thread: OnceLock<Thread>,
}

impl Ticker {
    /// Starts the clock's thread for these engines.
    pub(crate) fn spawn(engines: Vec<EngineWeak>) -> std::io::Result<Arc<Self>> {
        let ticker = Self::idle();
        let clock = ticker.clone();
        let handle = std::thread::Builder::new().name("wasmk-epoch".into()).spawn(move || clock.run(&engines))?;
        let _ = ticker.thread.set(handle.thread().clone());
        Ok(ticker)
    }

    /// A clock that never ticks.
    pub(crate) fn idle() -> Arc<Self> {
        Arc::new(Ticker {
            running: AtomicUsize::new(0),
            asleep: AtomicBool::new(false),
            stopped: AtomicBool::new(false),
            thread: OnceLock::new(),
        })
    }

    /// Keeps the clock going until the guard is dropped.
    pub(crate) fn running(&self) -> Running<'_> {
        if self.running.fetch_add(1, SeqCst) == 0 {
            self.wake();
        }
        Running(self)
    }

    pub(crate) fn stop(&self) {
        self.stopped.store(true, SeqCst);
        self.wake();
    }

    fn wake(&self) {
        if self.asleep.swap(false, SeqCst)
            && let Some(thread) = self.thread.get()
        {
            thread.unpark();
        }
    }

    fn run(&self, engines: &[EngineWeak]) {
        let mut idle_ticks = 0;
        while !self.stopped.load(SeqCst) {
            std::thread::sleep(TICK);
            for engine in engines {
                if let Some(engine) = engine.upgrade() {
                    engine.increment_epoch();
                }
            }
            idle_ticks = if self.running.load(SeqCst) == 0 { idle_ticks + 1 } else { 0 };
            if idle_ticks > IDLE_TICKS_MAX {
                self.sleep();
                idle_ticks = 0;
            }
        }
    }

    fn sleep(&self) {
        self.asleep.store(true, SeqCst);
        // A guest may have come between the count and the flag; whoever comes later sees the flag and wakes us.
        if self.running.load(SeqCst) > 0 || self.stopped.load(SeqCst) {
            self.asleep.store(false, SeqCst);
        }
        while self.asleep.load(SeqCst) {
            std::thread::park();
        }
    }
}

pub(crate) struct Running<'a>(&'a Ticker);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, SeqCst);
    }
}
