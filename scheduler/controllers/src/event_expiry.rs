//! Events are news, not records: they go an hour after they last happened.

use std::collections::BTreeSet;

use wasmk_api::{Change, ChangeKind, Key, Object};

use crate::json::{created, time};
use crate::{Clock, Controller, Plan, Reason, View};

pub(crate) const CONTROLLER: Controller =
    Controller { name: "event-expiry", reads: &["events"], shows_refusals: false, affected, plan };

fn affected(_: &View, change: &Change, keys: &mut BTreeSet<Key>) {
    if change.kind != ChangeKind::Deleted {
        keys.insert(change.object.key().clone());
    }
}

fn plan(view: &View, key: &Key, clock: &Clock) -> Plan {
    let mut plan = Plan::default();
    let Some(event) = view.get(key).filter(|event| !event.is_deleting()) else { return plan };
    let Ok(expires) = last_seen(event).checked_add(clock.settings.event_ttl) else { return plan };
    if expires <= clock.now {
        plan.delete(event, Reason::EventExpired);
    } else {
        plan.wake(expires);
    }
    plan
}

fn last_seen(event: &Object) -> jiff::Timestamp {
    let value = event.value();
    let times = [&value["lastTimestamp"], &value["eventTime"], &value["series"]["lastObservedTime"]];
    times.into_iter().filter_map(time).chain([created(event)]).max().expect("invariant: one time is always there")
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;
    use serde_json::json;

    use crate::sim::Sim;

    #[test]
    fn an_event_goes_an_hour_after_it_last_happened() {
        let mut sim = Sim::new().only(&["event-expiry"]);
        let last = "2026-01-01T00:30:00Z";
        let event = json!({"apiVersion": "v1", "kind": "Event", "metadata": {"name": "e", "namespace": "default"}, "lastTimestamp": last});
        sim.put("events", event);
        sim.settle_for(SignedDuration::from_mins(89));
        assert_eq!(sim.list("events").len(), 1);
        sim.settle_for(SignedDuration::from_mins(1));
        assert!(sim.list("events").is_empty());
    }
}
