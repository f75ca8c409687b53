//! What a Pod's status means to a user of Docker.

use jiff::Timestamp;
use serde_json::Value;

/// Why a container that waits will not start unless somebody does something.
const HOPELESS: [&str; 7] = [
    "ErrImagePull",
    "ImagePullBackOff",
    "ErrImageNeverPull",
    "InvalidImageName",
    "CreateContainerError",
    "CreateContainerConfigError",
    "RunContainerError",
];

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// Not started yet.
    Created,
    /// Told to run: looking for a node, an image, a volume.
    Starting {
        reason: String,
        message: String,
        hopeless: bool,
    },
    Running {
        since: Option<Timestamp>,
    },
    /// It ended and will run again.
    Restarting {
        code: i64,
        since: Option<Timestamp>,
    },
    Exited {
        code: i64,
        at: Option<Timestamp>,
    },
    Removing,
}

impl State {
    pub(crate) fn of(pod: &Value) -> Self {
        let (spec, status) = (&pod["spec"], &pod["status"]);
        if pod["metadata"]["deletionTimestamp"].is_string() {
            return Self::Removing;
        }
        let container = &status["containerStatuses"][0]["state"];
        if matches!(status["phase"].as_str(), Some("Succeeded" | "Failed")) {
            let ended = &container["terminated"];
            // One that was stopped before it ran was killed as far as anybody can tell.
            let code = ended["exitCode"].as_i64().unwrap_or(KILLED);
            return Self::Exited { code, at: time(&ended["finishedAt"]) };
        }
        if spec["schedulingGates"].as_array().is_some_and(|gates| !gates.is_empty()) {
            return Self::Created;
        }
        if container["running"].is_object() {
            return Self::Running { since: time(&container["running"]["startedAt"]) };
        }
        let last = &status["containerStatuses"][0]["lastState"]["terminated"];
        let ended = if container["terminated"].is_object() { &container["terminated"] } else { last };
        if let Some(code) = ended["exitCode"].as_i64() {
            return Self::Restarting { code, since: time(&ended["finishedAt"]) };
        }
        waiting(status, &container["waiting"])
    }

    /// Docker's word.
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Starting { .. } => "starting",
            Self::Running { .. } => "running",
            Self::Restarting { .. } => "restarting",
            Self::Exited { .. } => "exited",
            Self::Removing => "removing",
        }
    }

    /// As `docker ps` shows it.
    pub(crate) fn status(&self, now: Timestamp) -> String {
        let since = |time: &Option<Timestamp>| time.map_or_else(|| "some time".to_owned(), |time| ago(time, now));
        match self {
            Self::Created => "Created".to_owned(),
            Self::Starting { reason, .. } => format!("Starting ({reason})"),
            Self::Running { since: time } => format!("Up {}", lower(&since(time))),
            Self::Restarting { code, since: time } => format!("Restarting ({code}) {} ago", lower(&since(time))),
            Self::Exited { code, at } => format!("Exited ({code}) {} ago", lower(&since(at))),
            Self::Removing => "Removal in progress".to_owned(),
        }
    }

    /// Shown without `-a`.
    pub(crate) fn is_live(&self) -> bool {
        !matches!(self, Self::Created | Self::Exited { .. })
    }
}

/// As a shell reports SIGKILL.
const KILLED: i64 = 137;

fn waiting(status: &Value, waiting: &Value) -> State {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    if let Some(reason) = waiting["reason"].as_str() {
        let message = text(&waiting["message"]);
        let hopeless = HOPELESS.contains(&reason) || message.starts_with("MountVolume.SetUp failed");
        return State::Starting { reason: reason.to_owned(), message, hopeless };
    }
    let conditions = status["conditions"].as_array().into_iter().flatten();
    let unplaced = conditions.into_iter().find(|one| one["type"] == "PodScheduled" && one["status"] == "False");
    match unplaced {
        Some(condition) => State::Starting {
            reason: text(&condition["reason"]),
            message: text(&condition["message"]),
            hopeless: condition["reason"] == "Unschedulable",
        },
        None => State::Starting { reason: "Pending".to_owned(), message: String::new(), hopeless: false },
    }
}

fn time(value: &Value) -> Option<Timestamp> {
    value.as_str()?.parse().ok()
}

/// How long ago, in Docker's words.
pub(crate) fn ago(time: Timestamp, now: Timestamp) -> String {
    const MINUTE: i64 = 60;
    const HOUR: i64 = 60 * MINUTE;
    const DAY: i64 = 24 * HOUR;
    let seconds = now.duration_since(time).as_secs().max(0);
    match seconds {
        0 => "Less than a second".to_owned(),
        1 => "1 second".to_owned(),
        2..MINUTE => format!("{seconds} seconds"),
        _ if seconds < 2 * MINUTE => "About a minute".to_owned(),
        _ if seconds < HOUR => format!("{} minutes", seconds / MINUTE),
        _ if seconds < 2 * HOUR => "About an hour".to_owned(),
        _ if seconds < 2 * DAY => format!("{} hours", seconds / HOUR),
        _ if seconds < 14 * DAY => format!("{} days", seconds / DAY),
        _ if seconds < 60 * DAY => format!("{} weeks", seconds / (7 * DAY)),
        _ if seconds < 730 * DAY => format!("{} months", seconds / (30 * DAY)),
        _ => format!("{} years", seconds / (365 * DAY)),
    }
}

/// Within a sentence: `Up about an hour`, as Docker has it.
fn lower(text: &str) -> String {
    text.replacen("Less", "less", 1).replacen("About", "about", 1)
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(spec: Value, status: Value, expected: Expect) {
        let now = "2026-01-01T01:00:00Z".parse().unwrap();
        let state = State::of(&json!({"spec": spec, "status": status}));
        expected.assert_eq(&format!("{}: {}", state.word(), state.status(now)));
    }

    #[test]
    fn states_read_as_docker_has_them() {
        let container = |state: Value| json!({"phase": "Running", "containerStatuses": [{"state": state}]});
        let ended = json!({"terminated": {"exitCode": 3, "finishedAt": "2026-01-01T00:59:58Z"}});
        check(json!({"schedulingGates": [{"name": "x"}]}), json!({"phase": "Pending"}), expect!["created: Created"]);
        check(json!({}), json!({"phase": "Pending"}), expect!["starting: Starting (Pending)"]);
        check(
            json!({}),
            container(json!({"running": {"startedAt": "2026-01-01T00:00:00Z"}})),
            expect!["running: Up about an hour"],
        );
        check(
            json!({}),
            json!({"phase": "Failed", "containerStatuses": [{"state": ended}]}),
            expect!["exited: Exited (3) 2 seconds ago"],
        );
        check(json!({}), container(ended.clone()), expect!["restarting: Restarting (3) 2 seconds ago"]);
        let again = json!([{"state": {"waiting": {"reason": "CrashLoopBackOff"}}, "lastState": ended}]);
        check(
            json!({}),
            json!({"phase": "Running", "containerStatuses": again}),
            expect!["restarting: Restarting (3) 2 seconds ago"],
        );
    }

    #[test]
    fn what_will_not_start_by_itself_is_known() {
        let hopeless = |status: Value| match State::of(&json!({"status": status})) {
            State::Starting { hopeless, .. } => hopeless,
            other => panic!("{other:?}"),
        };
        let waiting = |reason: &str, message: &str| json!({"containerStatuses": [{"state": {"waiting": {"reason": reason, "message": message}}}]});
        assert!(hopeless(waiting("ErrImagePull", "not found")));
        assert!(hopeless(waiting("ContainerCreating", "MountVolume.SetUp failed for volume \"v\" : no")));
        assert!(!hopeless(waiting("ContainerCreating", "")));
        let unplaced =
            |reason: &str| json!({"conditions": [{"type": "PodScheduled", "status": "False", "reason": reason}]});
        assert!(hopeless(unplaced("Unschedulable")));
        assert!(!hopeless(unplaced("SchedulingGated")));
    }

    #[test]
    fn times_are_told_as_docker_tells_them() {
        let at = |seconds: i64| ago(Timestamp::UNIX_EPOCH, Timestamp::from_second(seconds).unwrap());
        let told = [0, 1, 59, 60, 119, 120, 3599, 3600, 7200, 172_800, 1_209_600, 5_184_000, 63_072_000].map(at);
        let expected = [
            "Less than a second",
            "1 second",
            "59 seconds",
            "About a minute",
            "About a minute",
            "2 minutes",
            "59 minutes",
            "About an hour",
            "2 hours",
            "2 days",
            "2 weeks",
            "2 months",
            "2 years",
        ];
        assert_eq!(told, expected);
    }
}
