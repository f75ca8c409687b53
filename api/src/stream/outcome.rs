use serde_json::{Value, json};

use crate::{Reason, Status};

/// It ended, with exit code 0.
pub fn succeeded() -> Value {
    json!({"metadata": {}, "status": "Success"})
}

/// The command ended with `code`. Clients look for the reason and the cause, and exit with the code themselves.
pub fn exited(command: &[String], code: i32) -> Value {
    if code == 0 {
        return succeeded();
    }
    let message = format!(
        "command terminated with non-zero exit code: error executing command [{}], exit code {code}",
        command.join(" ")
    );
    json!({
        "metadata": {}, "status": "Failure", "reason": "NonZeroExitCode", "message": message,
        "details": {"causes": [{"reason": "ExitCode", "message": code.to_string()}]},
    })
}

/// The command could not be run, or its end is not known; `why` in the words of who tried.
pub fn exec_failed(why: &str) -> Value {
    failed(&format!("error executing command in container: {why}"))
}

pub fn attach_failed(why: &str) -> Value {
    failed(&format!("error attaching to container: {why}"))
}

fn failed(why: &str) -> Value {
    let mut status = Status::new(Reason::InternalError, format!("Internal error occurred: {why}"));
    status.causes.push(crate::Cause { reason: String::new(), message: why.to_owned(), field: String::new() });
    status.to_json()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exit_code_is_where_clients_look_for_it() {
        let outcome = exited(&["sh".to_owned(), "-c".to_owned()], 3);
        assert_eq!(outcome["reason"], "NonZeroExitCode");
        assert_eq!(outcome["details"]["causes"][0], json!({"reason": "ExitCode", "message": "3"}));
        assert_eq!(
            outcome["message"],
            "command terminated with non-zero exit code: error executing command [sh -c], exit code 3"
        );
        assert_eq!(exited(&[], 0), json!({"metadata": {}, "status": "Success"}));
    }

    #[test]
    fn a_command_that_does_not_start_is_an_internal_error() {
        let outcome = exec_failed("no such program");
        assert_eq!((&outcome["code"], &outcome["reason"]), (&json!(500), &json!("InternalError")));
        assert_eq!(
            outcome["message"],
            "Internal error occurred: error executing command in container: no such program"
        );
    }
}
