//! `/healthz`, `/livez`, `/readyz` with their single checks, and `/version`. The bare paths need no certificate.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, RawQuery, State};
use axum::response::{IntoResponse, Response};
use http::{StatusCode, Uri};
use serde_json::{Value, json};

use crate::ApiServer;
use crate::request::Query;
use crate::server::page_not_found;

/// The Kubernetes version whose API this is; clients compare it with their own.
const MINOR: &str = "34";
/// What it can be told to behave like, which is nothing older than the version before.
const MINOR_MIN: &str = "33";

/// One thing that is checked.
struct Check {
    name: &'static str,
    passes: fn(&ApiServer) -> bool,
}

const PING: Check = Check { name: "ping", passes: |_| true };
/// Not ready once the shutdown has begun, so that a balancer sends no more.
const SHUTDOWN: Check = Check { name: "shutdown", passes: |server| !server.settings.shutdown.is_cancelled() };
/// Etcd's place is taken by the store, which is part of the process: it can be read as long as this answers.
const STORE: Check = Check { name: "etcd", passes: |_| true };

const LIVE: &[Check] = &[PING, STORE];
const READY: &[Check] = &[PING, STORE, SHUTDOWN];

pub(crate) async fn healthz(State(server): State<Arc<ApiServer>>, RawQuery(query): RawQuery) -> Response {
    report("healthz", &server, LIVE, query)
}

pub(crate) async fn live(State(server): State<Arc<ApiServer>>, RawQuery(query): RawQuery) -> Response {
    report("livez", &server, LIVE, query)
}

pub(crate) async fn ready(State(server): State<Arc<ApiServer>>, RawQuery(query): RawQuery) -> Response {
    report("readyz", &server, READY, query)
}

/// `/livez/ping` and its like: one check alone.
pub(crate) async fn one(State(server): State<Arc<ApiServer>>, Path(name): Path<String>, uri: Uri) -> Response {
    let checks = if uri.path().starts_with("/readyz/") { READY } else { LIVE };
    match checks.iter().find(|check| check.name == name) {
        None => page_not_found(),
        Some(check) if (check.passes)(&server) => "ok".into_response(),
        Some(_) => (StatusCode::INTERNAL_SERVER_ERROR, "internal server error: not ok\n").into_response(),
    }
}

/// A line a check, when somebody asks or something fails; else a word.
fn report(name: &str, server: &ApiServer, checks: &[Check], query: Option<String>) -> Response {
    let query = Query::parse(&query.unwrap_or_default());
    let mut failed = false;
    let mut lines = String::new();
    for check in checks {
        if query.all("exclude").any(|excluded| excluded == check.name) {
            lines.push_str(&format!("[+]{} excluded: ok\n", check.name));
        } else if (check.passes)(server) {
            lines.push_str(&format!("[+]{} ok\n", check.name));
        } else {
            failed = true;
            lines.push_str(&format!("[-]{} failed: reason withheld\n", check.name));
        }
    }
    match (failed, query.optional_flag("verbose")) {
        (true, _) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{lines}{name} check failed\n")).into_response(),
        (false, Some(true)) => format!("{lines}{name} check passed\n").into_response(),
        (false, _) => "ok".into_response(),
    }
}

pub(crate) async fn version() -> Json<Value> {
    Json(json!({
        "major": "1",
        "minor": MINOR,
        "emulationMajor": "1",
        "emulationMinor": MINOR,
        "minCompatibilityMajor": "1",
        "minCompatibilityMinor": MINOR_MIN,
        "gitVersion": format!("v1.{MINOR}.0+wasmk-{}", env!("CARGO_PKG_VERSION")),
        "gitCommit": "",
        "gitTreeState": "clean",
        "buildDate": "1970-01-01T00:00:00Z",
        "goVersion": "",
        "compiler": "rustc",
        "platform": format!("{}/{}", std::env::consts::OS, std::env::consts::ARCH),
    }))
}
