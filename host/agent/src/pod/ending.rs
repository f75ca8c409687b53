//! How the end of a container reads in its status.

use super::PodTask;
use super::jobs::MESSAGE_BYTES_MAX;
use crate::Exit;
use crate::lifecycle::{Action, End, Intent, KillReason, Observation};

/// As a shell reports SIGABRT, SIGKILL and SIGTERM.
const ABORTED: i32 = 134;
const KILLED: i32 = 137;
const TERMINATED: i32 = 143;

impl PodTask {
    pub(super) fn container_exited(&mut self, container: String, exit: Exit) {
        let live = self.live.remove(&container);
        self.parts.roster.set_running(&self.uid, &container, None);
        let stopped_in_order = self.drained && live.is_some_and(|live| live.is_http);
        let mut end = end(exit, self.kill_reason(&container), stopped_in_order);
        if matches!(self.intent, Intent::NodeShutdown { .. }) {
            // It was told to end, and did: the next agent starts it again all the same.
            let reason = KillReason::NodeShutdown;
            self.state.begin(&Action::Kill { container: container.clone(), reason }, &self.model);
        }
        if end.exit_code != 0 && end.message.is_none() && self.falls_back_to_logs(&container) {
            let restart = self.state.container(&container).map_or(0, |state| state.restarts);
            // At most a few KiB, from the page cache.
            let text = self.parts.logs.tail(self.log_owner(), &container, restart, MESSAGE_BYTES_MAX);
            end.message = Some(text).filter(|text| !text.is_empty());
        }
        self.observe(Observation::Ended { container, end });
    }

    fn falls_back_to_logs(&self, container: &str) -> bool {
        let policy = self.container_spec(container).and_then(|spec| spec.termination_message_policy.as_deref());
        policy == Some("FallbackToLogsOnError")
    }
}

fn end(exit: Exit, killed: Option<&KillReason>, stopped_in_order: bool) -> End {
    let end = |exit_code, reason: &str, message| End { exit_code, reason: reason.to_owned(), message };
    match exit {
        Exit::Exited(0) => end(0, "Completed", None),
        Exit::Exited(code) => end(code, "Error", None),
        Exit::Trapped { message, backtrace } => {
            let text = if backtrace.is_empty() { message } else { format!("{message}\n{backtrace}") };
            // The innermost frames come first.
            end(ABORTED, "Error", Some(first_bytes(text)))
        }
        Exit::OutOfMemory { message } => end(KILLED, "OOMKilled", Some(message)),
        Exit::Killed => match killed {
            // A handler has no end of its own: with nothing in flight it is complete.
            Some(KillReason::PodDeleted) if stopped_in_order => end(0, "Completed", None),
            Some(KillReason::PodCompleted) => end(0, "Completed", None),
            Some(KillReason::PodDeleted | KillReason::NodeShutdown) => end(TERMINATED, "Error", None),
            Some(KillReason::Unhealthy(message)) => end(KILLED, "Error", Some(message.clone())),
            Some(KillReason::PodFailed(reason)) => end(KILLED, "Error", Some(format!("stopped: {reason}"))),
            Some(KillReason::ImageChanged) => end(TERMINATED, "Error", Some("stopped: its image was changed".into())),
            None => end(KILLED, "Error", None),
        },
    }
}

fn first_bytes(mut text: String) -> String {
    let mut cut = text.len().min(MESSAGE_BYTES_MAX);
    while !text.is_char_boundary(cut) {
        cut -= 1;
    }
    text.truncate(cut);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_end_has_its_code_and_reason() {
        #[track_caller]
        fn check(exit: Exit, killed: Option<KillReason>, drained: bool, code: i32, reason: &str) {
            let end = end(exit, killed.as_ref(), drained);
            assert_eq!((end.exit_code, end.reason.as_str()), (code, reason));
        }
        check(Exit::Exited(0), None, false, 0, "Completed");
        check(Exit::Exited(3), None, false, 3, "Error");
        check(Exit::OutOfMemory { message: "64Mi".into() }, None, false, 137, "OOMKilled");
        check(Exit::Killed, Some(KillReason::PodDeleted), true, 0, "Completed");
        check(Exit::Killed, Some(KillReason::PodDeleted), false, 143, "Error");
        check(Exit::Killed, Some(KillReason::Unhealthy("x".into())), false, 137, "Error");
        let trap = Exit::Trapped { message: "unreachable".into(), backtrace: "0: main\n".repeat(1000) };
        let end = end(trap, None, false);
        assert!(
            end.exit_code == 134
                && end.message.as_ref().is_some_and(|text| text.len() == 2048 && text.starts_with("unr"))
        );
    }
}
