//! `/healthz`, `/livez`, `/readyz` and `/version`: the paths that need no certificate.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use serde_json::{Value, json};

use crate::ApiServer;

/// The Kubernetes version whose API this is; clients compare it with their own.
const MINOR: &str = "34";

pub(crate) async fn live() -> &'static str {
    "ok"
}

/// Not ready once the shutdown has begun, so that a balancer sends no more.
pub(crate) async fn ready(State(server): State<Arc<ApiServer>>) -> (StatusCode, &'static str) {
    if server.settings.shutdown.is_cancelled() {
        (StatusCode::INTERNAL_SERVER_ERROR, "shutting down")
    } else {
        (StatusCode::OK, "ok")
    }
}

pub(crate) async fn version() -> Json<Value> {
    Json(json!({
        "major": "1",
        "minor": MINOR,
        "gitVersion": format!("v1.{MINOR}.0+wasmk-{}", env!("CARGO_PKG_VERSION")),
        "gitCommit": "",
        "gitTreeState": "clean",
        "buildDate": "1970-01-01T00:00:00Z",
        "goVersion": "",
        "compiler": "rustc",
        "platform": format!("{}/{}", std::env::consts::OS, std::env::consts::ARCH),
    }))
}
