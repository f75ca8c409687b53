/// Retries that may still be made, in tenths: ten calls earn one, so that a service in trouble gets a tenth more load, not
/// three times as much.
#[derive(Debug)]
pub(super) struct Budget {
    tenths: u32,
}

const RETRY: u32 = 10;
const AT_FIRST: u32 = 5 * RETRY;
/// What was saved up in quiet times must not become a storm.
const MAX: u32 = 20 * RETRY;

impl Default for Budget {
    fn default() -> Self {
        Self { tenths: AT_FIRST }
    }
}

impl Budget {
    pub(super) fn called(&mut self) {
        self.tenths = (self.tenths + 1).min(MAX);
    }

    /// False if there is none left.
    pub(super) fn take(&mut self) -> bool {
        let left = self.tenths.checked_sub(RETRY);
        self.tenths = left.unwrap_or(self.tenths);
        left.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_calls_earn_a_retry() {
        let mut budget = Budget::default();
        assert_eq!((0..10).filter(|_| budget.take()).count(), 5);
        (0..9).for_each(|_| budget.called());
        assert!(!budget.take());
        budget.called();
        assert!(budget.take() && !budget.take());
    }

    #[test]
    fn what_is_saved_is_bounded() {
        let mut budget = Budget::default();
        (0..10_000).for_each(|_| budget.called());
        assert_eq!((0..100).filter(|_| budget.take()).count(), 20);
    }
}
