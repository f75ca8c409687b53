use std::time::Duration;

use expect_test::{Expect, expect};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Pod, PodStatus};
use serde_json::{Value, json};

use super::*;

mod properties;

/// A pod whose every action succeeds at once, unless a test says otherwise.
pub(super) struct Sim {
    model: PodModel,
    pub(super) state: PodState,
    pub(super) intent: Intent,
    pub(super) settings: Settings,
    pub(super) now: Timestamp,
    gates_open: bool,
    status: Option<PodStatus>,
    /// One line an action.
    log: Vec<String>,
    /// Images that cannot be had.
    missing: Vec<&'static str>,
    /// Answers of probes by kind.
    healthy: fn(ProbeKind, Duration) -> bool,
}

impl Sim {
    fn new(spec: Value) -> Self {
        let pod: Pod = serde_json::from_value(json!({"metadata": {"name": "web"}, "spec": spec})).unwrap();
        let now = Timestamp::from_second(1_000_000).unwrap();
        Self {
            model: PodModel::new(&pod),
            state: PodState { accepted_at: Some(now), ..PodState::default() },
            intent: Intent::Run,
            settings: Settings::default(),
            now,
            gates_open: true,
            status: None,
            log: Vec::new(),
            missing: Vec::new(),
            healthy: |_, _| true,
        }
    }

    fn view(&self) -> PodView<'_> {
        let Self { model, state, intent, settings, now, gates_open, .. } = self;
        PodView { model, state, intent: *intent, gates_open: *gates_open, settings, now: *now }
    }

    /// Acts until nothing more is to be done now; answers when to look again.
    fn settle(&mut self) -> Option<Timestamp> {
        for _ in 0..100 {
            let planned = plan(&self.view());
            if planned.actions.is_empty() {
                let context = StatusContext {
                    namespace: "default",
                    name: "web",
                    uid: "u",
                    host_ip: [127, 0, 0, 1].into(),
                    generation: None,
                    previous: self.status.as_ref(),
                };
                self.status = Some(status(&self.view(), &context));
                return planned.wake_at;
            }
            for action in planned.actions {
                self.state.begin(&action, &self.model);
                self.note(&action);
                if let Some(observation) = self.outcome_of(&action) {
                    self.observe(observation);
                }
            }
        }
        panic!("it never settles: {:?}", self.log);
    }

    /// Lets time pass, waking whenever the plan wants to.
    fn pass(&mut self, duration: Duration) {
        let end = self.now + duration;
        for _ in 0..100_000 {
            match self.settle() {
                Some(at) if at <= end => self.now = at.max(self.now),
                _ => {
                    self.now = end;
                    self.settle();
                    return;
                }
            }
        }
        panic!("time stands still at {}", self.now);
    }

    fn exit(&mut self, container: &str, exit_code: i32) {
        let reason = if exit_code == 0 { "Completed" } else { "Error" };
        let end = End { exit_code, reason: reason.into(), message: None };
        self.observe(Observation::Ended { container: container.into(), end });
    }

    fn observe(&mut self, observation: Observation) {
        self.state.observe(observation, &self.model, &self.settings, self.now);
    }

    fn note(&mut self, action: &Action) {
        let at = self.now.duration_since(Timestamp::from_second(1_000_000).unwrap()).as_secs_f64();
        let text = match action {
            Action::Probe { .. } => return,
            Action::Kill { container, reason } => format!("Kill {container} {reason:?}"),
            Action::Start { container, restart } => format!("Start {container} {restart}"),
            Action::EnsureImage { container } => format!("EnsureImage {container}"),
            Action::Drain { settle, .. } => format!("Drain settle={settle:?}"),
            Action::Fail { reason, .. } => format!("Fail {reason}"),
            other => format!("{other:?}"),
        };
        self.log.push(format!("{at:.2} {text}"));
    }

    fn outcome_of(&self, action: &Action) -> Option<Observation> {
        Some(match action.clone() {
            Action::Attach => Observation::Attached([10, 64, 0, 2].into()),
            Action::MountVolumes => Observation::Mounted,
            Action::EnsureImage { container } => {
                let image = &self.model.container(&container).unwrap().image;
                if self.missing.contains(&image.as_str()) {
                    let message = format!("{image} is nowhere");
                    Observation::ImageFailed { container, reason: "ErrImagePull".into(), message, retry: true }
                } else {
                    Observation::ImageReady { container, image_id: "sha256:1".into(), is_http: false }
                }
            }
            Action::Start { container, .. } => Observation::Started { container },
            Action::Kill { container, .. } => {
                let end = End { exit_code: 137, reason: "Error".into(), message: None };
                Observation::Ended { container, end }
            }
            Action::Probe { container, probe } => {
                let Run::Running { since, .. } = self.state.container(&container).unwrap().run else { panic!() };
                let age = Duration::try_from(self.now.duration_since(since)).unwrap();
                Observation::Probed { container, probe, success: (self.healthy)(probe, age) }
            }
            Action::Drain { .. } => Observation::Drained,
            Action::TearDown { remove } => Observation::TornDown { removed: remove },
            Action::Delete => Observation::Deleted,
            Action::Route(_) | Action::Fail { .. } => return None,
        })
    }

    #[track_caller]
    fn check(&mut self, expected: Expect) {
        expected.assert_eq(&self.log.join("\n"));
        self.log.clear();
    }

    /// `phase ready=… [container: state restarts]`.
    fn summary(&self) -> String {
        let status = self.status.as_ref().unwrap();
        let all = status.init_container_statuses.iter().chain(&status.container_statuses).flatten();
        let each = all.map(|container| {
            let state = container.state.as_ref().unwrap();
            let text = match (&state.waiting, &state.running, &state.terminated) {
                (Some(waiting), _, _) => waiting.reason.clone().unwrap(),
                (_, Some(_), _) => "Running".to_owned(),
                (_, _, Some(ended)) => format!("{}({})", ended.reason.as_ref().unwrap(), ended.exit_code),
                _ => "?".to_owned(),
            };
            format!("{}: {text} {}", container.name, container.restart_count)
        });
        let ready = status.conditions.iter().flatten().find(|condition| condition.type_ == "Ready").unwrap();
        format!("{} ready={} [{}]", status.phase.as_ref().unwrap(), ready.status, each.collect::<Vec<_>>().join(", "))
    }
}

fn one(policy: &str) -> Sim {
    Sim::new(json!({"restartPolicy": policy, "containers": [{"name": "c", "image": "hello:v1"}]}))
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn a_pod_comes_up_in_order() {
    let mut sim = one("Always");
    assert_eq!(sim.settle(), None);
    sim.check(expect![[r#"
           0.00 Attach
           0.00 MountVolumes
           0.00 EnsureImage c
           0.00 Start c 0
           0.00 Route(true)"#]]);
    assert_eq!(sim.summary(), "Running ready=True [c: Running 0]");
}

#[test]
fn init_containers_run_one_after_another_and_sidecars_beside() {
    let mut sim = Sim::new(json!({
        "restartPolicy": "Never",
        "initContainers": [{"name": "first"}, {"name": "side", "restartPolicy": "Always"}, {"name": "second"}],
        "containers": [{"name": "a"}, {"name": "b"}]}));
    sim.settle();
    assert_eq!(
        sim.summary(),
        "Pending ready=False [first: Running 0, side: PodInitializing 0, second: PodInitializing 0, a: PodInitializing 0, b: PodInitializing 0]"
            .replace("side: PodInitializing", "side: ContainerCreating")
            .replace("second: PodInitializing", "second: ContainerCreating")
    );
    sim.exit("first", 0);
    sim.settle();
    sim.exit("second", 0);
    sim.settle();
    sim.exit("a", 0);
    sim.exit("b", 3);
    sim.settle();
    sim.check(expect![[r#"
           0.00 Attach
           0.00 MountVolumes
           0.00 EnsureImage first
           0.00 Start first 0
           0.00 EnsureImage side
           0.00 Start side 0
           0.00 EnsureImage second
           0.00 Start second 0
           0.00 EnsureImage a
           0.00 EnsureImage b
           0.00 Start a 0
           0.00 Start b 0
           0.00 Route(true)
           0.00 Route(false)
           0.00 Kill side PodCompleted
           0.00 TearDown { remove: false }"#]]);
    assert!(sim.summary().starts_with("Failed ready=False"), "{}", sim.summary());
}

#[test]
fn a_failed_init_container_is_tried_again_or_fails_the_pod() {
    let spec = |policy: &str| json!({"restartPolicy": policy, "initContainers": [{"name": "i"}], "containers": [{"name": "c"}]});
    let mut sim = Sim::new(spec("Never"));
    sim.settle();
    sim.exit("i", 1);
    sim.settle();
    assert_eq!(sim.summary(), "Failed ready=False [i: Error(1) 0, c: PodInitializing 0]");
    let mut sim = Sim::new(spec("Always"));
    sim.settle();
    sim.exit("i", 1);
    sim.settle();
    assert_eq!(sim.summary(), "Pending ready=False [i: Running 1, c: PodInitializing 0]");
    sim.exit("i", 0);
    sim.settle();
    assert_eq!(sim.summary(), "Running ready=True [i: Completed(0) 1, c: Running 0]");
}

#[test]
fn crashes_back_off_from_ten_seconds_to_five_minutes() {
    let mut sim = one("Always");
    sim.settle();
    sim.log.clear();
    for _ in 0..8 {
        sim.exit("c", 1);
        sim.settle();
        if !sim.state.container("c").unwrap().is_running() {
            assert!(sim.summary().starts_with("Running ready=False [c: CrashLoopBackOff"), "{}", sim.summary());
        }
        while !sim.state.container("c").unwrap().is_running() {
            sim.now = sim.settle().expect("it waits for something");
            sim.settle();
        }
    }
    sim.log.retain(|line| line.contains("Start"));
    sim.check(expect![[r#"
        0.00 Start c 1
        10.00 Start c 2
        30.00 Start c 3
        70.00 Start c 4
        150.00 Start c 5
        310.00 Start c 6
        610.00 Start c 7
        910.00 Start c 8"#]]);
    // It runs for long: all is forgiven.
    sim.pass(seconds(601));
    sim.exit("c", 1);
    sim.settle();
    sim.check(expect![[r#"
        1511.00 Start c 9
        1511.00 Route(false)
        1511.00 Route(true)"#]]);
    sim.exit("c", 1);
    assert_eq!(sim.settle(), Some(sim.now + seconds(10)));
}

#[test]
fn restart_policies_decide_how_a_pod_ends() {
    #[track_caller]
    fn check(policy: &str, code: i32, summary: &str) {
        let mut sim = one(policy);
        sim.settle();
        sim.exit("c", code);
        sim.settle();
        assert_eq!(sim.summary(), summary, "{policy} {code}");
    }
    check("Never", 0, "Succeeded ready=False [c: Completed(0) 0]");
    check("Never", 7, "Failed ready=False [c: Error(7) 0]");
    check("OnFailure", 0, "Succeeded ready=False [c: Completed(0) 0]");
    check("OnFailure", 7, "Running ready=True [c: Running 1]");
    check("Always", 0, "Running ready=True [c: Running 1]");
}

#[test]
fn a_missing_image_is_pulled_again_with_back_off() {
    let mut sim = one("Always");
    sim.missing = vec!["hello:v1"];
    sim.settle();
    assert_eq!(sim.summary(), "Pending ready=False [c: ErrImagePull 0]");
    sim.pass(seconds(5));
    assert_eq!(sim.summary(), "Pending ready=False [c: ImagePullBackOff 0]");
    sim.pass(seconds(70));
    sim.log.retain(|line| line.contains("EnsureImage"));
    sim.check(expect![[r#"
        0.00 EnsureImage c
        10.00 EnsureImage c
        30.00 EnsureImage c
        70.00 EnsureImage c"#]]);
    sim.missing.clear();
    sim.pass(seconds(80));
    assert_eq!(sim.summary(), "Running ready=True [c: Running 0]");
}

#[test]
fn an_invalid_image_name_waits_for_another_name() {
    let mut sim = one("Always");
    sim.missing = vec!["hello:v1"];
    sim.settle();
    sim.observe(Observation::ImageFailed {
        container: "c".into(),
        reason: "InvalidImageName".into(),
        message: "no".into(),
        retry: false,
    });
    sim.pass(seconds(10_000));
    assert_eq!(sim.summary(), "Pending ready=False [c: InvalidImageName 0]");
    sim.model.containers[0].image = "hello:v2".into();
    sim.settle();
    assert_eq!(sim.summary(), "Running ready=True [c: Running 0]");
}

#[test]
fn a_changed_image_replaces_the_container() {
    let mut sim = one("Always");
    sim.settle();
    sim.log.clear();
    sim.model.containers[0].image = "hello:v2".into();
    sim.settle();
    sim.check(expect![[r#"
           0.00 Kill c ImageChanged
           0.00 EnsureImage c
           0.00 Route(false)
           0.00 Start c 1
           0.00 Route(true)"#]]);
}

#[test]
fn missing_configuration_holds_the_container() {
    let mut sim = one("Always");
    sim.state.volumes = Setup::Doing;
    sim.settle();
    assert_eq!(sim.summary(), "Pending ready=False [c: ContainerCreating 0]");
    sim.observe(Observation::MountFailed(
        "MountVolume.SetUp failed for volume \"v\" : configmap \"x\" not found".into(),
    ));
    assert!(plan(&sim.view()).actions.is_empty());
    sim.observe(Observation::SourcesChanged);
    sim.settle();
    assert_eq!(sim.summary(), "Running ready=True [c: Running 0]");

    let mut sim = one("Always");
    sim.state.container_mut("c").start = Setup::failed(
        0,
        "CreateContainerConfigError",
        "secret \"s\" not found".into(),
        sim.now,
        Some(sim.settings.setup_backoff),
    );
    sim.settle();
    assert_eq!(sim.summary(), "Pending ready=False [c: CreateContainerConfigError 0]");
    sim.pass(seconds(1));
    assert_eq!(sim.summary(), "Running ready=True [c: Running 0]");
}

#[test]
fn readiness_follows_its_probe() {
    let mut sim = Sim::new(
        json!({"containers": [{"name": "c", "readinessProbe": {"initialDelaySeconds": 2, "periodSeconds": 5}}]}),
    );
    sim.healthy = |_, age| age >= Duration::from_millis(2100) && age < Duration::from_secs(20);
    sim.settle();
    assert_eq!(sim.summary(), "Running ready=False [c: Running 0]");
    sim.pass(seconds(1));
    assert_eq!(sim.summary(), "Running ready=False [c: Running 0]");
    sim.pass(Duration::from_millis(1500));
    assert_eq!(sim.summary(), "Running ready=True [c: Running 0]");
    // Three failures, five seconds apart, from 22.1 s on.
    sim.pass(seconds(29));
    assert_eq!(sim.summary(), "Running ready=True [c: Running 0]");
    sim.pass(seconds(2));
    assert_eq!(sim.summary(), "Running ready=False [c: Running 0]");
}

#[test]
fn liveness_kills_and_startup_holds_it_back() {
    let probes = json!([{"name": "c", "startupProbe": {"periodSeconds": 1, "failureThreshold": 30}, "livenessProbe": {"periodSeconds": 10}}]);
    let mut sim = Sim::new(json!({ "containers": probes }));
    sim.healthy = |kind, age| match kind {
        ProbeKind::Startup => age >= Duration::from_secs(5),
        _ => false,
    };
    sim.pass(seconds(4));
    assert_eq!(sim.summary(), "Running ready=False [c: Running 0]");
    sim.pass(seconds(20));
    assert_eq!(sim.summary(), "Running ready=True [c: Running 0]");
    sim.pass(seconds(4));
    sim.log.retain(|line| line.contains("Kill"));
    assert_eq!(sim.log.len(), 1);
    assert!(sim.log[0].contains("Container c failed liveness probe, will be restarted"), "{}", sim.log[0]);
    assert_eq!(sim.state.container("c").unwrap().restarts, 1);
}

#[test]
fn a_readiness_gate_holds_ready_back() {
    let mut sim =
        Sim::new(json!({"readinessGates": [{"conditionType": "example.com/x"}], "containers": [{"name": "c"}]}));
    sim.gates_open = false;
    sim.settle();
    let conditions = sim.status.clone().unwrap().conditions.unwrap();
    let of = |kind: &str| conditions.iter().find(|condition| condition.type_ == kind).unwrap();
    assert_eq!((of("ContainersReady").status.as_str(), of("Ready").status.as_str()), ("True", "False"));
    assert_eq!(of("Ready").reason.as_deref(), Some("ReadinessGatesNotReady"));
}

#[test]
fn deletion_is_unready_drain_kill_clean_up_delete() {
    let mut sim = one("Always");
    sim.settle();
    sim.log.clear();
    sim.intent = Intent::Delete { deadline: sim.now + seconds(30) };
    sim.settle();
    sim.check(expect![[r#"
           0.00 Route(false)
           0.00 Drain settle=250ms
           0.00 Kill c PodDeleted
           0.00 TearDown { remove: true }
           0.00 Delete"#]]);
    assert!(is_done(&sim.view()));
    assert_eq!(sim.summary(), "Failed ready=False [c: Error(137) 0]");
}

#[test]
fn a_drain_that_takes_too_long_ends_at_the_deadline() {
    let mut sim = one("Always");
    sim.settle();
    sim.intent = Intent::Delete { deadline: sim.now + seconds(30) };
    sim.state.drain = Step::Doing;
    assert_eq!(sim.settle(), Some(sim.now + seconds(30)));
    assert!(sim.state.container("c").unwrap().is_running());
    sim.pass(seconds(30));
    assert!(is_done(&sim.view()));
}

#[test]
fn a_pod_that_is_gone_is_killed_at_once() {
    let mut sim = one("Always");
    sim.settle();
    sim.log.clear();
    sim.intent = Intent::Gone;
    sim.settle();
    sim.check(expect![[r#"
           0.00 Route(false)
           0.00 Kill c PodDeleted
           0.00 TearDown { remove: true }"#]]);
    assert!(is_done(&sim.view()));
}

#[test]
fn a_pod_past_its_deadline_fails() {
    let mut sim = Sim::new(json!({"activeDeadlineSeconds": 60, "containers": [{"name": "c"}]}));
    sim.pass(seconds(59));
    assert_eq!(sim.summary(), "Running ready=True [c: Running 0]");
    sim.pass(seconds(1));
    assert_eq!(sim.summary(), "Failed ready=False [c: Error(137) 0]");
    assert_eq!(sim.status.as_ref().unwrap().reason.as_deref(), Some("DeadlineExceeded"));
}

#[test]
fn a_stopped_node_keeps_the_pod_and_starts_it_again_without_back_off() {
    let mut sim = one("Always");
    sim.settle();
    sim.exit("c", 1);
    sim.settle();
    sim.intent = Intent::NodeShutdown { deadline: sim.now + seconds(5) };
    sim.settle();
    assert!(is_done(&sim.view()));
    let saved = serde_json::to_string(&sim.state).unwrap();
    let mut next = one("Always");
    next.now = sim.now + seconds(60);
    next.state = serde_json::from_str::<PodState>(&saved).unwrap().resume(next.now);
    next.settle();
    assert_eq!(next.summary(), "Running ready=True [c: Running 2]");
    assert_eq!(next.state.ip, sim.state.ip);
}

#[test]
fn what_ran_when_the_agent_was_killed_runs_again_unless_it_never_restarts() {
    #[track_caller]
    fn check(policy: &str, summary: &str) {
        let mut sim = one(policy);
        sim.settle();
        let saved = serde_json::to_string(&sim.state).unwrap();
        let mut next = one(policy);
        next.state = serde_json::from_str::<PodState>(&saved).unwrap().resume(next.now);
        next.settle();
        assert_eq!(next.summary(), summary);
    }
    check("Always", "Running ready=True [c: Running 1]");
    check("OnFailure", "Running ready=True [c: Running 1]");
    check("Never", "Failed ready=False [c: ContainerStatusUnknown(137) 0]");
}

#[test]
fn the_api_remembers_what_the_node_forgot() {
    let mut sim = one("Always");
    sim.settle();
    for _ in 0..3 {
        sim.exit("c", 1);
        sim.pass(seconds(50));
    }
    let status = sim.status.clone().unwrap();
    let mut next = one("Always");
    next.state = PodState::recover(&next.model, &status, next.now);
    next.settle();
    assert_eq!(next.summary(), "Running ready=True [c: Running 4]");
    // And what had ended stays so.
    let mut sim = one("Never");
    sim.settle();
    sim.exit("c", 0);
    sim.settle();
    let mut next = one("Never");
    next.state = PodState::recover(&next.model, sim.status.as_ref().unwrap(), next.now);
    next.settle();
    assert_eq!(next.summary(), "Succeeded ready=False [c: Completed(0) 0]");
}

#[test]
fn transition_times_change_only_with_the_condition() {
    let mut sim = one("Always");
    sim.settle();
    let since = |sim: &Sim| {
        let conditions = sim.status.as_ref().unwrap().conditions.clone().unwrap();
        conditions.into_iter().find(|condition| condition.type_ == "Ready").unwrap().last_transition_time
    };
    let first = since(&sim);
    sim.pass(seconds(100));
    assert_eq!(since(&sim), first);
    sim.exit("c", 1);
    sim.exit("c", 1);
    sim.state.container_mut("c").crashes = 3;
    sim.settle();
    assert_ne!(since(&sim), first);
}
