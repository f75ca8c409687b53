//! The node API, on the node port beside the mesh: logs, health, metrics, usage, and streams to containers and ports.

mod exec;
mod logs;
mod metrics;
mod port_forward;
mod session;
mod usage;

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use futures::FutureExt;
use tower::ServiceExt;
use wasmk_agent::{AgentHandle, SessionError};
use wasmk_network::{NodeApi, PeerIdentity};

use crate::native_code;

/// The group of administrators and of the API server itself.
const MASTERS: &str = "system:masters";

/// The group of nodes.
const NODES: &str = "system:nodes";

pub(crate) fn node_api(agent: AgentHandle, native_code: Router) -> NodeApi {
    let router = Router::new()
        .route("/healthz", get(|| async { "ok" }))
        .route("/metrics", get(metrics::metrics))
        .route("/wasmk/v1/usage", get(usage::usage))
        .route("/wasmk/v1/logs/{namespace}/{pod}/{uid}/{container}", get(logs::logs))
        .route("/wasmk/v1/exec/{namespace}/{pod}/{uid}/{container}", post(exec::exec))
        .route("/wasmk/v1/attach/{namespace}/{pod}/{uid}/{container}", post(exec::attach))
        .route("/wasmk/v1/portforward/{namespace}/{pod}/{uid}/{port}", post(port_forward::port_forward))
        .with_state(agent)
        .merge(native_code);
    Arc::new(move |request| {
        let router = router.clone();
        let is_admitted = is_admitted(request.extensions().get::<PeerIdentity>(), request.uri().path());
        async move {
            if !is_admitted {
                let refusal = (StatusCode::FORBIDDEN, "the node API is for the control plane").into_response();
                return refusal.map(wasmk_network::boxed);
            }
            let response = router.oneshot(request.map(Body::new)).await.unwrap_or_else(|never| match never {});
            response.map(wasmk_network::boxed)
        }
        .boxed()
    })
}

/// Other nodes are trusted with requests to pods and with native code, not with what pods write.
fn is_admitted(peer: Option<&PeerIdentity>, path: &str) -> bool {
    let is_of = |group: &str| peer.is_some_and(|peer| peer.organizations.iter().any(|own| own == group));
    path == "/healthz" || is_of(MASTERS) || (is_of(NODES) && path.starts_with(native_code::PATH))
}

fn refusal(error: &SessionError) -> Response {
    let status = match error {
        SessionError::NotFound(_) => StatusCode::NOT_FOUND,
        SessionError::TooMany(_) => StatusCode::TOO_MANY_REQUESTS,
        SessionError::NotRunning(_) | SessionError::NotConnected(_) => StatusCode::INTERNAL_SERVER_ERROR,
    };
    (status, error.to_string()).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_get_native_code_from_each_other_and_nothing_else() {
        let peer = |group: &str| PeerIdentity { common_name: "x".into(), organizations: vec![group.into()] };
        let (node, master, other) = (peer(NODES), peer(MASTERS), peer("system:others"));
        let code = "/wasmk/v1/native-code/sha256-1.f";
        assert!(is_admitted(Some(&node), code) && is_admitted(Some(&master), code));
        assert!(!is_admitted(Some(&other), code) && !is_admitted(None, code));
        let logs = "/wasmk/v1/logs/default/a/1/c";
        assert!(!is_admitted(Some(&node), logs) && is_admitted(Some(&master), logs));
        assert!(is_admitted(None, "/healthz"));
    }
}
