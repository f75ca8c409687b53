//! Which events are told anew, which are counted, and which are too many. Pure.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use jiff::Timestamp;

use super::News;

/// Distinct events remembered for counting; the oldest half goes when there are more.
const REMEMBERED_MAX: usize = 4096;
/// client-go's limit an object: so many at once, and one more every five minutes.
const BURST: f64 = 25.0;
const REFILL_SECONDS: f64 = 300.0;

#[derive(Default)]
pub(super) struct Correlator {
    seen: HashMap<u64, Seen>,
    budgets: HashMap<u64, Budget>,
}

struct Seen {
    name: String,
    count: i32,
    at: Timestamp,
}

struct Budget {
    tokens: f64,
    at: Timestamp,
}

#[derive(PartialEq, Eq, Debug)]
pub(super) enum Verdict {
    New { name: String },
    Again { name: String, count: i32 },
    Drop,
}

impl Correlator {
    pub(super) fn judge(&mut self, news: &News, now: Timestamp) -> Verdict {
        if !self.spend(news, now) {
            return Verdict::Drop;
        }
        let key = event_key(news);
        if let Some(seen) = self.seen.get_mut(&key) {
            seen.count += 1;
            seen.at = now;
            return Verdict::Again { name: seen.name.clone(), count: seen.count };
        }
        self.make_room();
        let of = news.regarding.name.as_deref().unwrap_or("node");
        // Names grow with time, as in Kubernetes: lists are in the order of names, and so of what happened. The last byte
        // keeps apart what happens at one time.
        let name = format!("{of}.{:016x}", now.as_nanosecond() as u64 & !0xff | key & 0xff);
        self.seen.insert(key, Seen { name: name.clone(), count: 1, at: now });
        Verdict::New { name }
    }

    pub(super) fn forget(&mut self, news: &News) {
        self.seen.remove(&event_key(news));
    }

    fn spend(&mut self, news: &News, now: Timestamp) -> bool {
        let key = hash(&(&news.regarding.uid, &news.regarding.name));
        let budget = self.budgets.entry(key).or_insert(Budget { tokens: BURST, at: now });
        let passed = now.duration_since(budget.at).as_secs_f64().max(0.0);
        budget.tokens = (budget.tokens + passed / REFILL_SECONDS).min(BURST);
        budget.at = now;
        let allowed = budget.tokens >= 1.0;
        if allowed {
            budget.tokens -= 1.0;
        }
        allowed
    }

    fn make_room(&mut self) {
        if self.seen.len() >= REMEMBERED_MAX {
            let mut times: Vec<_> = self.seen.values().map(|seen| seen.at).collect();
            times.sort_unstable();
            let middle = times[times.len() / 2];
            self.seen.retain(|_, seen| seen.at > middle);
        }
        if self.budgets.len() >= REMEMBERED_MAX {
            // A full budget is what a new one would be.
            self.budgets.retain(|_, budget| budget.tokens < BURST - 1.0);
            if self.budgets.len() >= REMEMBERED_MAX {
                self.budgets.clear();
            }
        }
    }
}

fn event_key(news: &News) -> u64 {
    let object = &news.regarding;
    hash(&(&object.uid, &object.name, &object.field_path, news.severity, news.reason, &news.message))
}

fn hash(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::ObjectReference;

    use super::super::Severity;
    use super::*;

    fn news(pod: &str, message: &str) -> News {
        let regarding = ObjectReference { name: Some(pod.into()), uid: Some(pod.into()), ..ObjectReference::default() };
        News { regarding, severity: Severity::Warning, reason: "BackOff", message: message.into() }
    }

    #[test]
    fn the_same_news_is_counted() {
        let mut correlator = Correlator::default();
        let at = |second| Timestamp::from_second(second).unwrap();
        let Verdict::New { name } = correlator.judge(&news("web", "a"), at(0)) else { panic!("it is new") };
        assert_eq!(correlator.judge(&news("web", "a"), at(1)), Verdict::Again { name: name.clone(), count: 2 });
        assert!(matches!(correlator.judge(&news("web", "b"), at(1)), Verdict::New { name: other } if other != name));
        correlator.forget(&news("web", "a"));
        assert!(matches!(correlator.judge(&news("web", "a"), at(2)), Verdict::New { .. }));
    }

    #[test]
    fn one_object_cannot_flood_and_others_are_heard() {
        let mut correlator = Correlator::default();
        let at = |second| Timestamp::from_second(second).unwrap();
        let told =
            (0..1000).filter(|n| correlator.judge(&news("loud", &n.to_string()), at(0)) != Verdict::Drop).count();
        assert_eq!(told, 25);
        assert!(matches!(correlator.judge(&news("quiet", "x"), at(0)), Verdict::New { .. }));
        assert!(matches!(correlator.judge(&news("loud", "later"), at(301)), Verdict::New { .. }));
    }

    #[test]
    fn memory_is_bounded() {
        let mut correlator = Correlator::default();
        for number in 0..20_000 {
            correlator.judge(&news(&number.to_string(), "x"), Timestamp::from_second(number).unwrap());
        }
        assert!(correlator.seen.len() <= REMEMBERED_MAX && correlator.budgets.len() <= REMEMBERED_MAX);
    }
}
