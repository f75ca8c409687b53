use jiff::Timestamp;
use serde_json::{Value, json};

use super::age::since;
use super::{AGE, Columns, NAME, age, array, name, or_none, str_of, text};

pub static POD: Columns = Columns {
    definitions: &[
        NAME,
        text("Ready", 0, "Ready containers of all."),
        text("Status", 0, "The state of the pod as a whole."),
        text("Restarts", 0, "How often its containers were restarted, and when last."),
        AGE,
        text("IP", 1, "Its address within the cluster."),
        text("Node", 1, "Where it runs."),
        text("Nominated Node", 1, "Where it will run once others made room."),
        text("Readiness Gates", 1, "Further conditions of its readiness."),
    ],
    row: |object, now| {
        let summary = Summary::of(object);
        let (spec, status) = (&object["spec"], &object["status"]);
        vec![
            name(object),
            json!(format!("{}/{}", summary.ready, summary.containers)),
            json!(summary.reason),
            json!(summary.restarts(now)),
            age(object, now),
            json!(or_none(str_of(&status["podIP"]).to_owned())),
            json!(or_none(str_of(&spec["nodeName"]).to_owned())),
            json!(or_none(str_of(&status["nominatedNodeName"]).to_owned())),
            json!(gates(object)),
        ]
    },
};

/// What `kubectl get pods` makes of a pod, after `printPod` of `pkg/printers/internalversion/printers.go`.
struct Summary {
    containers: usize,
    ready: usize,
    reason: String,
    restart_count: i64,
    /// RFC 3339; empty when nothing was restarted.
    last_restart: String,
}

impl Summary {
    fn of(pod: &Value) -> Self {
        let (spec, status) = (&pod["spec"], &pod["status"]);
        let mut summary = Self {
            containers: array(&spec["containers"]).count(),
            ready: 0,
            reason: match str_of(&status["reason"]) {
                "" => str_of(&status["phase"]).to_owned(),
                reason => reason.to_owned(),
            },
            restart_count: 0,
            last_restart: String::new(),
        };
        if array(&status["conditions"])
            .any(|condition| condition["type"] == "PodScheduled" && condition["reason"] == "SchedulingGated")
        {
            summary.reason = "SchedulingGated".to_owned();
        }
        let is_initializing = summary.count_init(pod);
        if !is_initializing || is_initialized(pod) {
            summary.count_containers(pod);
        }
        if pod["metadata"]["deletionTimestamp"].is_string() {
            let is_over = ["Succeeded", "Failed"].contains(&str_of(&status["phase"]));
            summary.reason = match str_of(&status["reason"]) {
                "NodeLost" => "Unknown".to_owned(),
                _ if is_over => summary.reason,
                _ => "Terminating".to_owned(),
            };
        }
        summary
    }

    /// Answers whether an init container is still at work, and then says which in `reason`.
    fn count_init(&mut self, pod: &Value) -> bool {
        let specs: Vec<&Value> = array(&pod["spec"]["initContainers"]).collect();
        let is_sidecar = |status: &Value| {
            specs.iter().any(|spec| spec["name"] == status["name"] && spec["restartPolicy"] == "Always")
        };
        self.containers += specs.iter().filter(|spec| spec["restartPolicy"] == "Always").count();
        for (index, status) in array(&pod["status"]["initContainerStatuses"]).enumerate() {
            self.count_restarts(status);
            let state = &status["state"];
            let ended = &state["terminated"];
            if ended.is_object() && ended["exitCode"] == 0 {
                continue;
            }
            if is_sidecar(status) && status["started"] == true {
                self.ready += usize::from(status["ready"] == true);
                continue;
            }
            let waiting = str_of(&state["waiting"]["reason"]);
            self.reason = match (ended.is_object(), waiting) {
                (true, _) => format!("Init:{}", ending(ended)),
                (false, reason) if !reason.is_empty() && reason != "PodInitializing" => format!("Init:{reason}"),
                _ => format!("Init:{index}/{}", specs.len()),
            };
            return true;
        }
        false
    }

    fn count_containers(&mut self, pod: &Value) {
        let mut is_running = false;
        let statuses: Vec<&Value> = array(&pod["status"]["containerStatuses"]).collect();
        for status in statuses.into_iter().rev() {
            self.count_restarts(status);
            let state = &status["state"];
            let waiting = str_of(&state["waiting"]["reason"]);
            if !waiting.is_empty() {
                self.reason = waiting.to_owned();
            } else if state["terminated"].is_object() {
                self.reason = ending(&state["terminated"]);
            } else if status["ready"] == true && state["running"].is_object() {
                is_running = true;
                self.ready += 1;
            }
        }
        // Some have completed, others still run.
        if self.reason == "Completed" && is_running {
            let is_ready = array(&pod["status"]["conditions"])
                .any(|condition| condition["type"] == "Ready" && condition["status"] == "True");
            self.reason = if is_ready { "Running" } else { "NotReady" }.to_owned();
        }
    }

    fn count_restarts(&mut self, status: &Value) {
        self.restart_count += status["restartCount"].as_i64().unwrap_or(0);
        let ended = str_of(&status["lastState"]["terminated"]["finishedAt"]);
        if ended > self.last_restart.as_str() {
            self.last_restart = ended.to_owned();
        }
    }

    /// `3 (2m ago)`.
    fn restarts(&self, now: Timestamp) -> String {
        match (self.restart_count, self.last_restart.as_str()) {
            (0, _) | (_, "") => self.restart_count.to_string(),
            (count, time) => format!("{count} ({} ago)", since(&json!(time), now)),
        }
    }
}

fn is_initialized(pod: &Value) -> bool {
    array(&pod["status"]["conditions"])
        .any(|condition| condition["type"] == "Initialized" && condition["status"] == "True")
}

fn ending(ended: &Value) -> String {
    match (str_of(&ended["reason"]), ended["signal"].as_i64().unwrap_or(0)) {
        ("", 0) => format!("ExitCode:{}", ended["exitCode"]),
        ("", signal) => format!("Signal:{signal}"),
        (reason, _) => reason.to_owned(),
    }
}

fn gates(pod: &Value) -> String {
    let gates: Vec<&Value> = array(&pod["spec"]["readinessGates"]).collect();
    if gates.is_empty() {
        return "<none>".to_owned();
    }
    let is_true = |gate: &&&Value| {
        let mut conditions = array(&pod["status"]["conditions"]);
        conditions.any(|condition| condition["type"] == gate["conditionType"] && condition["status"] == "True")
    };
    format!("{}/{}", gates.iter().filter(is_true).count(), gates.len())
}
