use std::time::Duration;

/// After a failure of the store the next try waits this long at first, and twice as long each time.
const BACKOFF_MIN: Duration = Duration::from_millis(10);
const BACKOFF_MAX: Duration = Duration::from_secs(2);
/// Rounds that each find work may follow each other at once: a rollout takes a handful.
const ROUNDS_AT_ONCE: u32 = 32;
/// A planner that never finishes is a bug; this keeps it from taking the machine.
const PAUSE_MAX: Duration = Duration::from_millis(100);

/// How soon a driver may go round again. A driver that never comes to
/// rest, or whose commits fail, slows down.
#[derive(Default)]
pub(crate) struct Pace {
    busy_rounds: u32,
    failures: u32,
}

impl Pace {
    /// Nothing is left to do.
    pub(crate) fn idle(&mut self) {
        self.busy_rounds = 0;
    }

    pub(crate) fn failed(&mut self) {
        self.failures = self.failures.saturating_add(1);
    }

    pub(crate) fn succeeded(&mut self) {
        self.failures = 0;
    }

    /// The pause after a round that took `took` and found work.
    pub(crate) fn pause(&mut self, took: Duration) -> Duration {
        self.busy_rounds = self.busy_rounds.saturating_add(1);
        let backoff = match self.failures {
            0 => Duration::ZERO,
            failures => (BACKOFF_MIN * 2_u32.pow((failures - 1).min(16))).min(BACKOFF_MAX),
        };
        let beyond = self.busy_rounds.saturating_sub(ROUNDS_AT_ONCE);
        let restless = if beyond == 0 { Duration::ZERO } else { took.max(Duration::from_millis(beyond.into())) };
        backoff.max(restless.min(PAUSE_MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_burst_of_work_is_not_slowed_down() {
        let mut pace = Pace::default();
        assert!((0..ROUNDS_AT_ONCE).all(|_| pace.pause(Duration::ZERO).is_zero()));
    }

    #[test]
    fn a_driver_that_never_rests_is_slowed_down_until_it_does() {
        let mut pace = Pace::default();
        let pauses: Vec<Duration> = (0..500).map(|_| pace.pause(Duration::ZERO)).collect();
        assert_eq!(pauses.last(), Some(&PAUSE_MAX));
        pace.idle();
        assert!(pace.pause(Duration::ZERO).is_zero());
    }

    #[test]
    fn failures_wait_longer_each_time_within_a_bound() {
        let mut pace = Pace::default();
        let mut last = Duration::ZERO;
        for _ in 0..50 {
            pace.failed();
            let pause = pace.pause(Duration::ZERO);
            assert!(pause >= last && pause <= BACKOFF_MAX);
            last = pause;
        }
        assert_eq!(last, BACKOFF_MAX);
        pace.idle();
        pace.succeeded();
        assert!(pace.pause(Duration::ZERO).is_zero());
    }
}
