//! Whatever happens, in whatever order: the plan is idempotent, nothing runs twice, counts only grow, and pods end.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

/// Something that happens to the pod.
#[derive(Clone, Debug)]
enum Step {
    /// The oldest of the actions under way ends, well or not.
    Finish {
        index: usize,
        well: bool,
    },
    Exit {
        container: usize,
        code: i32,
    },
    Wait(u16),
    Delete {
        grace: u8,
    },
    Gone,
    Sources,
    ChangeImage(usize),
    Crash,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        12 => (0usize..8, prop::bool::weighted(0.8)).prop_map(|(index, well)| Step::Finish { index, well }),
        3 => (0usize..3, prop_oneof![Just(0), Just(1)]).prop_map(|(container, code)| Step::Exit { container, code }),
        4 => (0u16..400).prop_map(Step::Wait),
        1 => (0u8..40).prop_map(|grace| Step::Delete { grace }),
        1 => Just(Step::Gone),
        1 => Just(Step::Sources),
        1 => (0usize..3).prop_map(Step::ChangeImage),
        1 => Just(Step::Crash),
    ]
}

fn spec() -> impl Strategy<Value = Value> {
    let policy = prop_oneof![Just("Always"), Just("OnFailure"), Just("Never")];
    (policy, any::<bool>(), any::<bool>(), any::<bool>()).prop_map(|(policy, init, sidecar, probes)| {
        let mut inits = Vec::new();
        if init {
            inits.push(json!({"name": "c0"}));
        }
        if sidecar {
            inits.push(json!({"name": "c1", "restartPolicy": "Always"}));
        }
        let probe = json!({"periodSeconds": 5, "failureThreshold": 2});
        let app = if probes {
            json!({"name": "c2", "readinessProbe": probe, "livenessProbe": probe})
        } else {
            json!({"name": "c2"})
        };
        json!({"restartPolicy": policy, "initContainers": inits, "containers": [app]})
    })
}

/// The world as it really is: which containers run.
struct World {
    sim: Sim,
    under_way: Vec<Action>,
    running: BTreeMap<String, bool>,
    restarts: BTreeMap<String, u32>,
}

impl World {
    /// Plans and begins; what was begun is under way.
    fn plan(&mut self) -> Result<(), TestCaseError> {
        for _ in 0..20 {
            let planned = plan(&self.sim.view());
            prop_assert_eq!(&planned, &plan(&self.sim.view()), "a plan is a function of its view");
            if planned.actions.is_empty() {
                return Ok(());
            }
            for action in planned.actions {
                if let Action::Start { container, .. } = &action {
                    prop_assert!(!self.is_busy(container), "{container} is started twice");
                }
                self.sim.state.begin(&action, &self.sim.model);
                if !matches!(action, Action::Route(_) | Action::Fail { .. }) {
                    self.under_way.push(action);
                }
            }
        }
        Err(TestCaseError::fail("planning does not settle"))
    }

    fn is_busy(&self, container: &str) -> bool {
        let starting = |action: &Action| matches!(action, Action::Start { container: name, .. } if name == container);
        self.running.get(container) == Some(&true) || self.under_way.iter().any(starting)
    }

    fn finish(&mut self, index: usize, well: bool) {
        if self.under_way.is_empty() {
            return;
        }
        let action = self.under_way.remove(index % self.under_way.len());
        let observation = match action {
            Action::Attach if !well => Observation::AttachFailed("no".into()),
            Action::MountVolumes if !well => Observation::MountFailed("no".into()),
            Action::EnsureImage { container } if !well => {
                Observation::ImageFailed { container, reason: "ErrImagePull".into(), message: "no".into(), retry: true }
            }
            Action::Start { container, .. } if !well => {
                Observation::StartFailed { container, reason: "RunContainerError".into(), message: "no".into() }
            }
            Action::Probe { container, probe } => Observation::Probed { container, probe, success: well },
            Action::Delete if !well => Observation::DeleteFailed("no".into()),
            Action::Kill { container, .. } => {
                if self.running.insert(container.clone(), false) != Some(true) {
                    return;
                }
                let end = End { exit_code: 137, reason: "Error".into(), message: None };
                Observation::Ended { container, end }
            }
            Action::Start { container, .. } => {
                self.running.insert(container.clone(), true);
                Observation::Started { container }
            }
            action => self.sim.outcome_of(&action).unwrap(),
        };
        self.sim.observe(observation);
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::Finish { index, well } => self.finish(index, well),
            Step::Exit { container, code } => {
                let container = format!("c{container}");
                if self.running.insert(container.clone(), false) == Some(true) {
                    self.sim.exit(&container, code);
                }
            }
            Step::Wait(seconds) => self.sim.now += Duration::from_secs(seconds.into()),
            Step::Delete { grace } => {
                if self.sim.intent == Intent::Run {
                    let deadline = self.sim.now + Duration::from_secs(grace.into());
                    self.sim.intent = Intent::Delete { deadline };
                }
            }
            Step::Gone => self.sim.intent = Intent::Gone,
            Step::Sources => self.sim.observe(Observation::SourcesChanged),
            Step::ChangeImage(container) => {
                let name = format!("c{container}");
                if let Some(model) = self.sim.model.containers.iter_mut().find(|model| model.name == name) {
                    model.image.push('x');
                }
            }
            // The agent dies with all that ran, and another one takes over.
            Step::Crash => {
                let saved = serde_json::to_string(&self.sim.state).unwrap();
                self.sim.state = serde_json::from_str::<PodState>(&saved).unwrap().resume(self.sim.now);
                self.running.clear();
                self.under_way.clear();
            }
        }
    }

    fn check(&mut self) -> Result<(), TestCaseError> {
        for (name, state) in &self.sim.state.containers {
            let before = self.restarts.insert(name.clone(), state.restarts).unwrap_or(0);
            prop_assert!(state.restarts >= before, "restarts of {name} went from {before} to {}", state.restarts);
            let runs = self.running.get(name) == Some(&true);
            prop_assert_eq!(state.is_running(), runs, "what the state says of {} is not so", name);
        }
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn any_course_of_events_keeps_the_invariants(spec in spec(), steps in prop::collection::vec(step(), 1..80)) {
        let sim = Sim::new(spec);
        let mut world = World { sim, under_way: Vec::new(), running: BTreeMap::new(), restarts: BTreeMap::new() };
        for step in steps {
            world.plan()?;
            world.take(step);
            world.check()?;
        }
        // From here on all goes well, and the pod is deleted: it must end.
        world.sim.intent = Intent::Gone;
        for _ in 0..200 {
            world.plan()?;
            if is_done(&world.sim.view()) {
                break;
            }
            world.finish(0, true);
            world.check()?;
        }
        prop_assert!(is_done(&world.sim.view()), "it does not end: {:?}", world.sim.state);
        prop_assert!(world.running.values().all(|running| !running));
    }

    #[test]
    fn a_healthy_pod_becomes_ready(spec in spec(), steps in prop::collection::vec(step(), 0..40)) {
        let sim = Sim::new(spec);
        let mut world = World { sim, under_way: Vec::new(), running: BTreeMap::new(), restarts: BTreeMap::new() };
        for step in steps {
            if !matches!(step, Step::Delete { .. } | Step::Gone | Step::Exit { .. }) {
                world.plan()?;
                world.take(step);
            }
        }
        // Faults end: everything that is begun succeeds, init containers run through.
        for _ in 0..400 {
            world.plan()?;
            if world.running.get("c0") == Some(&true) {
                world.take(Step::Exit { container: 0, code: 0 });
            } else if world.under_way.is_empty() {
                world.sim.now += Duration::from_secs(60);
            } else {
                world.finish(0, true);
            }
        }
        world.plan()?;
        let over = outcome(&world.sim.model, &world.sim.state).is_some();
        prop_assert!(over || is_ready(&world.sim.view()), "{:?}", world.sim.state);
    }
}
