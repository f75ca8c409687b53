use axum::body::Body;
use axum::extract::{Path, RawQuery, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use wasmk_agent::{AgentHandle, ContainerQuery, Exit, PodUid};
use wasmk_api::stream::{Streams, exec_failed, exited};

use super::refusal;
use super::session::{self, Session};

type Target = Path<(String, String, String, String)>;

/// Runs a command beside a container.
pub(super) async fn exec(State(agent): State<AgentHandle>, target: Target, query: RawQuery, body: Body) -> Response {
    let (command, streams) = parse(query.0.as_deref().unwrap_or_default());
    if command.is_empty() {
        return (StatusCode::BAD_REQUEST, "you must specify at least 1 command for the container").into_response();
    }
    match agent.enter(&container(target)) {
        Ok(slot) => session::respond(streams, body, move |wire| async move {
            match slot.exec(command.clone(), streams.stdin).await {
                Ok(session) => Session { session, wire }.run(|exit| outcome(&command, &exit)).await,
                Err(error) => wire.end(&exec_failed(&error.to_string())).await,
            }
        }),
        Err(error) => refusal(&error),
    }
}

/// Joins a container's own streams.
pub(super) async fn attach(State(agent): State<AgentHandle>, target: Target, query: RawQuery, body: Body) -> Response {
    let (_, streams) = parse(query.0.as_deref().unwrap_or_default());
    match agent.enter(&container(target)) {
        Ok(slot) => session::respond(streams, body, move |wire| async move {
            let session = slot.attach(streams.stdin);
            Session { session, wire }.run(|exit| outcome(&[], &exit)).await;
        }),
        Err(error) => refusal(&error),
    }
}

fn container(Path((namespace, pod, uid, container)): Target) -> ContainerQuery {
    ContainerQuery { namespace, pod, uid: Some(PodUid(uid)), container }
}

/// The command's words, each a `command` of the query, and which streams are wanted.
fn parse(query: &str) -> (Vec<String>, Streams) {
    let (mut command, mut streams) = (Vec::new(), Streams::default());
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        let flag = value == "true" || value == "1";
        match &*name {
            "command" => command.push(value.into_owned()),
            "stdin" => streams.stdin = flag,
            "stdout" => streams.stdout = flag,
            "stderr" => streams.stderr = flag,
            "tty" => streams.tty = flag,
            _ => {}
        }
    }
    (command, streams)
}

/// The codes are those that a container's status has for the same ends.
fn outcome(command: &[String], exit: &Exit) -> serde_json::Value {
    let code = match exit {
        Exit::Exited(code) => *code,
        Exit::Trapped { .. } => 134,
        Exit::OutOfMemory { .. } | Exit::Killed => 137,
    };
    exited(command, code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_of_the_command_arrives() {
        let (command, streams) =
            parse("command=sh&command=a+b%26c&command=&stdin=true&stdout=true&stderr=false&tty=false");
        assert_eq!(command, ["sh", "a b&c", ""]);
        assert_eq!(streams, Streams { stdin: true, stdout: true, ..Streams::default() });
    }

    #[test]
    fn each_end_has_its_exit_code() {
        let code = |exit| outcome(&["a".to_owned()], &exit)["details"]["causes"][0]["message"].clone();
        assert_eq!(outcome(&[], &Exit::Exited(0))["status"], "Success");
        assert_eq!(code(Exit::Exited(3)), "3");
        assert_eq!(code(Exit::Killed), "137");
        assert_eq!(code(Exit::Trapped { message: String::new(), backtrace: String::new() }), "134");
    }
}
