use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Extension, Request, State};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use futures::FutureExt;
use http::StatusCode;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;
use tracing::{Instrument, debug, debug_span, error};
use wasmk_api::{Reason, Status};
use wasmk_store::Store;

use crate::fairness::{Fairness, Level};
use crate::heavy::HeavyWork;
use crate::metrics::Metrics;
use crate::pki::{CertificateAuthority, JoinToken};
use crate::request::{Query, Target};
use crate::respond::status_response;
use crate::serve::Stranger;
use crate::shares::Shares;
use crate::tokens::{self, AccountTokens};
use crate::usage::Samples;
use crate::{
    Identity, NodeClient, authn, authz, compress, connect, discovery, headers, health, join, metrics, openapi, rest,
    timeout, watch,
};

/// What the server is told at its start.
pub struct Settings {
    pub authority: Arc<CertificateAuthority>,
    pub join_token: Arc<JoinToken>,
    /// Signs the tokens of ServiceAccounts.
    pub tokens: Arc<AccountTokens>,
    /// What is left to the cluster's operator in what objects become.
    pub write: wasmk_api::write::Settings,
    /// Ends every watch, so that connections can drain.
    pub shutdown: CancellationToken,
    /// Gets the tasks of connections that became streams; they end at `shutdown`, and are to be waited for.
    pub streams: TaskTracker,
}

/// The Kubernetes API over a store. Stateless but for the store: any number may serve the same one.
pub struct ApiServer {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) settings: Settings,
    pub(crate) nodes: Arc<dyn NodeClient>,
    registry: Option<Router>,
    pub(crate) fairness: Fairness,
    pub(crate) heavy_work: HeavyWork,
    pub(crate) metrics: Metrics,
    /// Of what nodes use.
    pub(crate) samples: Samples,
    pub(crate) openapi: openapi::Cache,
    pub(crate) streams: connect::Streams,
    /// Each user's.
    pub(crate) watches: Arc<Shares<String>>,
}

impl ApiServer {
    /// The whole API as one service. A request counts as from the [`Identity`] among its extensions; without one only
    /// health, version and what joining needs are answered. `registry` gets what lies below `/v2`, with whole paths.
    pub fn router(
        store: Arc<dyn Store>,
        settings: Settings,
        nodes: Arc<dyn NodeClient>,
        registry: Option<Router>,
    ) -> Router {
        let (fairness, heavy_work, metrics, samples, openapi, streams) = Default::default();
        let watches = Shares::new(watch::USER_WATCHES_MAX);
        let server = Arc::new(Self {
            store,
            settings,
            nodes,
            registry,
            fairness,
            heavy_work,
            metrics,
            samples,
            openapi,
            streams,
            watches,
        });
        let mut router = Router::new()
            .route("/", get(discovery::paths))
            .route("/healthz", get(health::healthz))
            .route("/livez", get(health::live))
            .route("/readyz", get(health::ready))
            .route("/healthz/{check}", get(health::one))
            .route("/livez/{check}", get(health::one))
            .route("/readyz/{check}", get(health::one))
            .route("/metrics", get(metrics::metrics))
            .route("/cacerts", get(join::ca_certificates))
            .route("/wasmk/v1/join", post(join::join))
            .route("/openapi/v2", get(openapi::v2))
            .route("/openapi/v3", get(openapi::v3_index))
            .route("/openapi/v3/{*path}", get(openapi::v3_document))
            .route("/.well-known/openid-configuration", get(tokens::configuration))
            .route("/openid/v1/jwks", get(tokens::keys));
        // Some client libraries ask with a slash at the end.
        for end in ["", "/"] {
            router = router
                .route(&format!("/version{end}"), get(health::version))
                .route(&format!("/api{end}"), get(discovery::core_versions))
                .route(&format!("/apis{end}"), get(discovery::groups))
                .route(&format!("/api/{{version}}{end}"), get(discovery::core_resources))
                .route(&format!("/apis/{{group}}{end}"), get(discovery::group))
                .route(&format!("/apis/{{group}}/{{version}}{end}"), get(discovery::resources));
        }
        router
            .fallback(objects)
            .method_not_allowed_fallback(|| async { status_response(&rest::method_not_allowed()) })
            .layer(from_fn_with_state(server.clone(), guard))
            .layer(from_fn(compress::compress))
            .layer(from_fn_with_state(server.clone(), metrics::observe))
            .layer(from_fn(headers::stamp))
            .with_state(server)
    }
}

/// Authentication and authorization; what passes carries its [`Target`].
async fn guard(State(server): State<Arc<ApiServer>>, request: Request, next: Next) -> Response {
    if authz::is_public(request.uri().path()) {
        return next.run(request).await;
    }
    let span = debug_span!("request", method = %request.method(), path = request.uri().path());
    match admit(&server, &request) {
        Ok((identity, target)) => {
            answer_or_500(in_turn(&server, identity, target, request, next)).instrument(span).await
        }
        Err(status) => {
            debug!(parent: &span, code = status.code, "{}", status.message);
            status_response(&status)
        }
    }
}

/// Answers when it is the client's turn, and within the time that a request has.
async fn in_turn(server: &ApiServer, identity: Identity, target: Target, mut request: Request, next: Next) -> Response {
    let limit = match timeout::limit(&target, request.uri().query().unwrap_or_default()) {
        Ok(limit) => limit,
        Err(status) => return status_response(&status),
    };
    let (user, level) = (identity.user.clone(), Level::of(&identity));
    authn::forget(request.headers_mut());
    request.extensions_mut().insert(identity);
    request.extensions_mut().insert(target);
    let answer = async {
        match server.fairness.enter(user, level).await {
            // The seat is held until the answer begins.
            Ok(_seat) => next.run(request).await,
            Err(turned_away) => turned_away.response(),
        }
    };
    let mut response = timeout::within(limit, answer).await;
    response.headers_mut().extend(level.headers());
    response
}

/// A fault of ours ends the one request, not the connection with everybody's watches on it.
async fn answer_or_500(answer: impl Future<Output = Response>) -> Response {
    AssertUnwindSafe(answer).catch_unwind().await.unwrap_or_else(|_| {
        error!("this request met a bug; the panic is reported above");
        status_response(&Status::new(Reason::InternalError, "an internal error; the server's log has the details"))
    })
}

fn admit(server: &ApiServer, request: &Request) -> Result<(Identity, Target), Status> {
    let (snapshot, connection) = (server.store.snapshot(), request.extensions().get::<Identity>());
    let identity = authn::authenticate(&server.settings.tokens, connection, request.headers(), &snapshot)?;
    if let Some(stranger) = request.extensions().get::<Arc<Stranger>>() {
        stranger.vouch();
    }
    let query = Query::parse(request.uri().query().unwrap_or_default());
    let target = Target::parse(request.method(), request.uri().path(), query.flag("watch"))
        .ok_or_else(rest::method_not_allowed)?;
    authz::authorize(&identity, &target.narrowed(&query), &snapshot)?;
    Ok((identity, target))
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
