//! The decision whether a call is made once more.

use std::time::Duration;

use super::budget::Budget;

/// How a client calls.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Policy {
    pub(super) timeout: Duration,
    pub(super) attempt_timeout: Duration,
    pub(super) attempts_max: u32,
}

impl Default for Policy {
    /// Well below the 30 s that a node gives a handler for its response.
    fn default() -> Self {
        Self { timeout: Duration::from_secs(10), attempt_timeout: Duration::from_secs(3), attempts_max: 3 }
    }
}

/// How an attempt went, if not well.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Outcome {
    /// Nobody has seen the request.
    Unseen,
    /// Somebody may have.
    Lost,
    /// Answered with this status, and the wait that `Retry-After` asks for.
    Answered { status: u16, wait: Option<Duration> },
    /// Trying again cannot help.
    Hopeless,
}

/// What is known when an attempt has ended.
#[derive(Clone, Copy, Debug)]
pub(super) struct Attempt {
    /// From 1.
    pub(super) number: u32,
    pub(super) is_idempotent: bool,
    pub(super) outcome: Outcome,
    /// Since the call began.
    pub(super) elapsed: Duration,
    /// From 0 to 1.
    pub(super) chance: f64,
}

const FIRST_PAUSE: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// How long to wait before the next attempt; `None` if there is none.
pub(super) fn pause(policy: &Policy, attempt: Attempt, budget: &mut Budget) -> Option<Duration> {
    let wait = match attempt.outcome {
        Outcome::Unseen => None,
        Outcome::Lost if attempt.is_idempotent => None,
        Outcome::Answered { status: 502..=504, wait } if attempt.is_idempotent => wait,
        // The service asks for it: the request was not carried out.
        Outcome::Answered { status: 429, wait: Some(wait) } => Some(wait),
        _ => return None,
    };
    let pause = wait.unwrap_or_else(|| backoff(attempt.number, attempt.chance));
    let has_time = attempt.elapsed + pause < policy.timeout;
    (attempt.number < policy.attempts_max && has_time && budget.take()).then_some(pause)
}

/// Half of it is left to chance, so that those who failed together do not come back together.
fn backoff(attempt: u32, chance: f64) -> Duration {
    let whole = FIRST_PAUSE.saturating_mul(1 << (attempt - 1).min(16)).min(PAUSE_MAX);
    whole.mul_f64(0.5 + chance.clamp(0.0, 1.0) / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANSWERED: fn(u16) -> Outcome = |status| Outcome::Answered { status, wait: None };

    fn attempt(outcome: Outcome, is_idempotent: bool) -> Attempt {
        Attempt { number: 1, is_idempotent, outcome, elapsed: Duration::ZERO, chance: 1.0 }
    }

    #[track_caller]
    fn check(attempt: Attempt, expected: Option<u64>) {
        let pause = pause(&Policy::default(), attempt, &mut Budget::default());
        assert_eq!(pause.map(|pause| pause.as_millis() as u64), expected, "{attempt:?}");
    }

    #[test]
    fn only_what_does_no_harm_is_repeated() {
        for (outcome, idempotent, other) in [
            (Outcome::Unseen, Some(50), Some(50)),
            (Outcome::Lost, Some(50), None),
            (ANSWERED(503), Some(50), None),
            (ANSWERED(500), None, None),
            (ANSWERED(404), None, None),
            (ANSWERED(429), None, None),
            (Outcome::Hopeless, None, None),
        ] {
            check(attempt(outcome, true), idempotent);
            check(attempt(outcome, false), other);
        }
    }

    #[test]
    fn a_service_may_ask_for_patience_if_there_is_time() {
        let busy = |seconds| Outcome::Answered { status: 429, wait: Some(Duration::from_secs(seconds)) };
        check(attempt(busy(2), false), Some(2000));
        check(attempt(busy(10), false), None);
    }

    #[test]
    fn pauses_grow_and_depend_on_chance() {
        let at = |number, chance| Attempt { number, chance, ..attempt(Outcome::Unseen, true) };
        let policy = Policy { attempts_max: 100, timeout: Duration::from_secs(60), ..Policy::default() };
        let pause = |number, chance| pause(&policy, at(number, chance), &mut Budget::default()).unwrap().as_millis();
        assert_eq!([pause(1, 1.0), pause(2, 1.0), pause(3, 1.0), pause(9, 1.0)], [50, 100, 200, 1000]);
        assert_eq!([pause(1, 0.0), pause(2, 0.0), pause(99, 0.0)], [25, 50, 500]);
    }

    #[test]
    fn attempts_time_and_budget_have_an_end() {
        check(Attempt { number: 3, ..attempt(Outcome::Unseen, true) }, None);
        check(Attempt { elapsed: Duration::from_secs(10), ..attempt(Outcome::Unseen, true) }, None);
        let mut budget = Budget::default();
        let repeated =
            (0..20).filter(|_| pause(&Policy::default(), attempt(Outcome::Unseen, true), &mut budget).is_some());
        assert_eq!(repeated.count(), 5);
    }
}
