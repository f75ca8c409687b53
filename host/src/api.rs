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

/// The group of administrators and of the API server itself.
const MASTERS: &str = "system:masters";

pub(crate) fn node_api(agent: AgentHandle) -> NodeApi {
    let router = Router::new()
        .route("/healthz", get(|| async { "ok" }))
        .route("/metrics", get(metrics::metrics))
        .route("/wasmk/v1/usage", get(usage::usage))
        .route("/wasmk/v1/logs/{namespace}/{pod}/{uid}/{container}", get(logs::logs))
        .route("/wasmk/v1/exec/{namespace}/{pod}/{uid}/{container}", post(exec::exec))
        .route("/wasmk/v1/attach/{namespace}/{pod}/{uid}/{container}", post(exec::attach))
        .route("/wasmk/v1/portforward/{namespace}/{pod}/{uid}/{port}", post(port_forward::port_forward))
        .with_state(agent);
    Arc::new(move |request| {
        let router = router.clone();
        // Other nodes are trusted with requests to pods, not with what pods write.
        let peer = request.extensions().get::<PeerIdentity>();
        let is_admitted = peer.is_some_and(|peer| peer.organizations.iter().any(|group| group == MASTERS));
        async move {
            if !is_admitted && request.uri().path() != "/healthz" {
                let refusal = (StatusCode::FORBIDDEN, "the node API is for the control plane").into_response();
                return refusal.map(wasmk_network::boxed);
            }
            let response = router.oneshot(request.map(Body::new)).await.unwrap_or_else(|never| match never {});
            response.map(wasmk_network::boxed)
        }
        .boxed()
    })
}

fn refusal(error: &SessionError) -> Response {
    let status = match error {
        SessionError::NotFound(_) => StatusCode::NOT_FOUND,
        SessionError::TooMany(_) => StatusCode::TOO_MANY_REQUESTS,
        SessionError::NotRunning(_) | SessionError::NotConnected(_) => StatusCode::INTERNAL_SERVER_ERROR,
    };
    (status, error.to_string()).into_response()
}
