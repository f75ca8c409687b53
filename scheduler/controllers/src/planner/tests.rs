use serde_json::json;
use wasmk_api::Object;

use super::*;
use crate::Reason;

/// Deletes what it is told of, and has a bug about two names.
static BROKEN: [Controller; 1] = [Controller {
    name: "broken",
    reads: &["configmaps"],
    shows_refusals: false,
    affected: |_, change, keys| {
        keys.insert(change.object.key().clone());
        assert!(change.object.name() != "unseen", "cannot look at it");
    },
    plan: |view, key, _| {
        assert!(&*key.name != "bad", "cannot plan it");
        let mut plan = Plan::default();
        view.get(key).into_iter().for_each(|object| plan.delete(object, Reason::EventExpired));
        plan
    },
}];

#[test]
fn a_panic_over_one_key_leaves_the_others_alone() {
    let now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
    let object =
        |name: &str| Object::new(Key::new("configmaps", "default", name), 1, json!({"metadata": {"uid": name}}));
    let snapshot = Snapshot::from_objects(1, ["bad", "good", "unseen"].map(object));
    let mut planner = Planner::with_controllers(&BROKEN, snapshot, now, Settings::default());
    let planned = |planner: &mut Planner, now| -> Vec<String> {
        planner.plan(now, usize::MAX).into_iter().map(|planned| planned.key.name.to_string()).collect()
    };
    assert_eq!(planned(&mut planner, now), ["good", "unseen"]);
    let broken = planner.take_broken();
    let told: Vec<_> = broken.iter().map(|broken| (broken.controller, &*broken.key.name, &*broken.message)).collect();
    assert_eq!(told, [("broken", "unseen", "cannot look at it"), ("broken", "bad", "cannot plan it")]);

    let first = planner.wake_at().expect("the key is tried again");
    assert_eq!(first, now + BACKOFF_MIN);
    assert_eq!(planned(&mut planner, now), [""; 0], "but not before");
    assert_eq!(planned(&mut planner, first), [""; 0]);
    assert_eq!(planner.take_broken().len(), 1);
    assert_eq!(planner.wake_at(), Some(first + BACKOFF_MIN * 2), "and each time later");
}
