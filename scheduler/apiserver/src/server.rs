use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Extension, Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use futures::FutureExt;
use http::StatusCode;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;
use tracing::{Instrument, debug, debug_span, error};
use wasmk_api::{Reason, Status};
use wasmk_store::Store;

use crate::pki::{CertificateAuthority, JoinToken};
use crate::request::{Query, Target};
use crate::respond::status_response;
use crate::{Identity, NodeClient, authz, discovery, health, join, openapi, rest};

/// What the server is told at its start.
pub struct Settings {
    pub authority: Arc<CertificateAuthority>,
    pub join_token: Arc<JoinToken>,
    /// What is left to the cluster's operator in what objects become.
    pub write: wasmk_api::write::Settings,
    /// Ends every watch, so that connections can drain.
    pub shutdown: CancellationToken,
}

/// The Kubernetes API over a store. Stateless but for the store: any number may serve the same one.
pub struct ApiServer {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) settings: Settings,
    pub(crate) nodes: Arc<dyn NodeClient>,
    registry: Option<Router>,
    in_flight: Semaphore,
}

/// Requests at once, until their answers begin; a watch counts no longer than that. Each may hold a body of 3 MiB.
const IN_FLIGHT_MAX: usize = 1024;

impl ApiServer {
    /// The whole API as one service. A request counts as from the [`Identity`] among its extensions; without one only
    /// health, version and what joining needs are answered. `registry` gets what lies below `/v2`, with whole paths.
    pub fn router(
        store: Arc<dyn Store>,
        settings: Settings,
        nodes: Arc<dyn NodeClient>,
        registry: Option<Router>,
    ) -> Router {
        let in_flight = Semaphore::new(IN_FLIGHT_MAX);
        let server = Arc::new(Self { store, settings, nodes, registry, in_flight });
        Router::new()
            .route("/healthz", get(health::live))
            .route("/livez", get(health::live))
            .route("/readyz", get(health::ready))
            .route("/version", get(health::version))
            .route("/cacerts", get(join::ca_certificates))
            .route("/wasmk/v1/join", post(join::join))
            .route("/api", get(discovery::core_versions))
            .route("/apis", get(discovery::groups))
            .route("/api/{version}", get(discovery::core_resources))
            .route("/apis/{group}", get(discovery::group))
            .route("/apis/{group}/{version}", get(discovery::resources))
            .route("/openapi/v2", get(openapi::v2))
            .route("/openapi/v3", get(openapi::v3_index))
            .route("/openapi/v3/{*path}", get(openapi::v3_document))
            .fallback(objects)
            .layer(from_fn_with_state(server.clone(), guard))
            .with_state(server)
    }
}

/// Authentication and authorization; what passes carries its [`Target`].
async fn guard(State(server): State<Arc<ApiServer>>, mut request: Request, next: Next) -> Response {
    if authz::is_public(request.uri().path()) {
        return next.run(request).await;
    }
    let Ok(_slot) = server.in_flight.try_acquire() else {
        let mut status = Status::new(Reason::TooManyRequests, "Too many requests, please try again later.");
        status.retry_after_seconds = Some(1);
        return status_response(&status);
    };
    let span = debug_span!("request", method = %request.method(), path = request.uri().path());
    match admit(&server, &request) {
        Ok(target) => {
            request.extensions_mut().insert(target);
            answer_or_500(next.run(request)).instrument(span).await
        }
        Err(status) => {
            debug!(parent: &span, code = status.code, "{}", status.message);
            status_response(&status)
        }
    }
}

/// A fault of ours ends the one request, not the connection with everybody's watches on it.
async fn answer_or_500(answer: impl Future<Output = Response>) -> Response {
    AssertUnwindSafe(answer).catch_unwind().await.unwrap_or_else(|_| {
        error!("this request met a bug; the panic is reported above");
        status_response(&Status::new(Reason::InternalError, "an internal error; the server's log has the details"))
    })
}

fn admit(server: &ApiServer, request: &Request) -> Result<Target, Status> {
    let identity = request.extensions().get::<Identity>();
    let identity = identity.ok_or_else(|| Status::new(Reason::Unauthorized, "Unauthorized"))?;
    let watching = Query::parse(request.uri().query().unwrap_or_default()).flag("watch");
    let target =
        Target::parse(request.method(), request.uri().path(), watching).ok_or_else(rest::method_not_allowed)?;
    authz::authorize(identity, &target, &server.store.snapshot())?;
    Ok(target)
}

/// Everything that is not a fixed path: objects, and the registry.
async fn objects(
    State(server): State<Arc<ApiServer>>,
    Extension(identity): Extension<Identity>,
    Extension(target): Extension<Target>,
    request: Request,
) -> Response {
    let path = request.uri().path();
    match (&server.registry, target.resource) {
        (Some(registry), None) if path == "/v2" || path.starts_with("/v2/") => {
            let Ok(response) = registry.clone().oneshot(request).await;
            response
        }
        (_, Some(resource)) => rest::answer(server, identity, target.verb, resource, request).await,
        (_, None) => page_not_found(),
    }
}

/// As Go's file server says it, which is what kube-apiserver answers where nothing is registered.
pub(crate) fn page_not_found() -> Response {
    (StatusCode::NOT_FOUND, "404 page not found\n").into_response()
}
