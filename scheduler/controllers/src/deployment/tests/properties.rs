use jiff::SignedDuration;
use proptest::prelude::*;

use super::*;
use crate::sim::cases;

/// A rollout from all replicas available, disturbed by nothing but the pace at which pods become ready.
#[derive(Clone, Debug)]
struct Pace {
    replicas: i64,
    surge: i64,
    unavailable: i64,
    min_ready_seconds: i64,
    /// Which pod becomes ready, and how many seconds pass, before each step.
    steps: Vec<(usize, i64)>,
}

fn pace() -> impl Strategy<Value = Pace> {
    let steps = prop::collection::vec((0..50usize, 0..3i64), 0..60);
    (0..8i64, 0..4i64, 0..4i64, 0..3i64, steps).prop_map(|(replicas, surge, unavailable, min_ready_seconds, steps)| {
        Pace {
            replicas,
            surge: if surge + unavailable == 0 { 1 } else { surge },
            unavailable,
            min_ready_seconds,
            steps,
        }
    })
}

fn available_pods(sim: &Sim, min_ready_seconds: i64) -> usize {
    let is_available = |key: &Key| pod::available_at(sim.get(key), min_ready_seconds).is_some_and(|at| at <= sim.now);
    active_pods(sim).iter().filter(|key| is_available(key)).count()
}

proptest! {
    // Each case is a cluster's life; PROPTEST_CASES asks for more.
    #![proptest_config(cases(60))]

    #[test]
    fn a_rolling_update_keeps_its_bounds_and_ends(pace in pace()) {
        let mut sim = Sim::new().only(ONLY);
        let mut value = deployment(pace.replicas, rolling(pace.surge, pace.unavailable));
        value["spec"]["minReadySeconds"] = json!(pace.min_ready_seconds);
        sim.put("deployments.apps", value);
        settle_ready(&mut sim);
        sim.settle_for(SignedDuration::from_secs(5));
        set_image(&mut sim, "web:v2");
        let least = (pace.replicas - pace.unavailable).max(0) as usize;
        let most = (pace.replicas + pace.surge) as usize;
        for (nth, seconds) in &pace.steps {
            let waiting: Vec<Key> = active_pods(&sim).into_iter().filter(|key| !pod::is_ready(sim.get(key))).collect();
            let now = sim.now;
            if let Some(key) = waiting.get(nth % waiting.len().max(1)) {
                sim.edit(key, |pod| set_ready(pod, true, now));
            }
            sim.pass(SignedDuration::from_secs(*seconds));
            sim.step();
            prop_assert!(active_pods(&sim).len() <= most, "{} pods, at most {most}", active_pods(&sim).len());
            let available = available_pods(&sim, pace.min_ready_seconds);
            prop_assert!(available >= least, "{available} available, at least {least}");
        }
        for _ in 0..30 {
            settle_ready(&mut sim);
            sim.settle_for(SignedDuration::from_secs(5));
        }
        prop_assert_eq!(ready_pods(&sim), pace.replicas as usize);
        prop_assert_eq!(sets(&sim), ["1 web:v1 x0".to_owned(), format!("2 web:v2 x{}", pace.replicas)]);
        prop_assert_eq!(progress(&sim).1, "NewReplicaSetAvailable");
    }

    #[test]
    fn converges_from_whatever_happens(changes in prop::collection::vec((0..7u8, 0..20usize, any::<bool>()), 1..30)) {
        let mut sim = Sim::new().only(ONLY);
        sim.put("deployments.apps", deployment(3, rolling("34%", "34%")));
        for (what, nth, step) in changes {
            let pods = active_pods(&sim);
            let (pod, now) = (pods.get(nth % pods.len().max(1)), sim.now);
            match (what, pod) {
                (0, _) => sim.edit(&key(), |value| value["spec"]["replicas"] = json!(nth % 9)),
                (1, _) => set_image(&mut sim, &format!("web:v{}", nth % 4)),
                (2, _) => sim.edit(&key(), |value| value["spec"]["paused"] = json!(nth % 2 == 0)),
                (3, Some(pod)) => sim.edit(pod, |pod| set_ready(pod, nth % 3 != 0, now)),
                (4, Some(pod)) => sim.remove(pod),
                (5, _) => sim.pass(SignedDuration::from_secs(nth as i64 * 60)),
                (6, _) => sim.edit(&key(), |value| value["spec"]["strategy"] = if nth % 2 == 0 { json!({"type": "Recreate"}) } else { rolling(1, 1) }),
                _ => {}
            }
            if step {
                sim.step();
            }
        }
        sim.edit(&key(), |value| value["spec"]["paused"] = json!(false));
        settle_ready(&mut sim);
        let status = sim.get(&key()).value()["status"].clone();
        let replicas = sim.get(&key()).value()["spec"]["replicas"].as_i64().unwrap();
        for field in ["replicas", "updatedReplicas", "availableReplicas"] {
            prop_assert_eq!(status[field].as_i64().unwrap_or(0), replicas, "{}", field);
        }
        prop_assert_eq!(status["unavailableReplicas"].as_i64(), None);
        prop_assert_eq!(progress(&sim).1, "NewReplicaSetAvailable");
    }
}
