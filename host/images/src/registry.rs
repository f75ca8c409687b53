//! The OCI distribution protocol (specification 1.1) over an [`ImageStore`].

mod answer;
mod blobs;
mod lists;
mod manifests;
mod path;
mod uploads;

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::Method;
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use serde_json::json;

use crate::ImageStore;
use crate::blocking::blocking;
use answer::{Code, Failure};
use path::{Resource, parse};

/// Serves `/v2/`. Who may use it is for the caller to decide.
pub fn registry(store: ImageStore) -> Router {
    Router::new()
        .route("/v2", any(root))
        .route("/v2/", any(root))
        .route("/v2/{*path}", any(serve))
        .with_state(Arc::new(store))
}

type Store = State<Arc<ImageStore>>;

async fn root() -> Response {
    ([("docker-distribution-api-version", "registry/2.0")], axum::Json(json!({}))).into_response()
}

async fn serve(State(store): Store, request: Request) -> Response {
    answer(&store, request).await.unwrap_or_else(IntoResponse::into_response)
}

async fn answer(store: &Arc<ImageStore>, request: Request) -> Result<Response, Failure> {
    // Clients may escape the colon of a digest.
    let path = request.uri().path().replace("%3A", ":").replace("%3a", ":");
    let path = path.strip_prefix("/v2/").unwrap_or_default();
    let query = Query::of(&request);
    if path == "_catalog" {
        return on_disk(store, move |store| lists::catalog(store, &query)).await;
    }
    let (name, resource) = parse(path)?;
    let name = name.to_owned();
    match (request.method().clone(), resource) {
        (Method::GET | Method::HEAD, Resource::Manifest(reference)) => {
            let reference = reference.to_owned();
            on_disk(store, move |store| manifests::get(store, &name, &reference)).await
        }
        (Method::PUT, Resource::Manifest(reference)) => manifests::put(store, &name, reference, request).await,
        (Method::DELETE, Resource::Manifest(reference)) => {
            let reference = reference.to_owned();
            on_disk(store, move |store| manifests::delete(store, &name, &reference)).await
        }
        (method @ (Method::GET | Method::HEAD), Resource::Blob(digest)) => {
            let headers = request.headers().clone();
            drop(request);
            blobs::get(store, digest, &method, &headers).await
        }
        (Method::DELETE, Resource::Blob(_)) => {
            Err(Failure::new(Code::Unsupported, "blobs are shared between images and not deleted one by one"))
        }
        (Method::POST, Resource::Uploads) => uploads::begin(store, &name, request).await,
        (Method::PATCH, Resource::Upload(id)) => uploads::append(store, &name, id, request).await,
        (Method::PUT, Resource::Upload(id)) => uploads::finish(store, &name, id, request).await,
        (Method::GET, Resource::Upload(id)) => uploads::status(store, &name, id),
        (Method::DELETE, Resource::Upload(id)) => uploads::cancel(store, id),
        (Method::GET, Resource::Tags) => on_disk(store, move |store| lists::tags(store, &name, &query)).await,
        (Method::GET, Resource::Referrers(digest)) => {
            on_disk(store, move |store| lists::referrers(store, &name, &digest, &query)).await
        }
        _ => Err(Failure::new(Code::Unsupported, "this method is not for this path")),
    }
}

/// The store blocks; requests must not.
async fn on_disk(
    store: &Arc<ImageStore>,
    work: impl FnOnce(&ImageStore) -> Result<Response, Failure> + Send + 'static,
) -> Result<Response, Failure> {
    let store = store.clone();
    blocking(move || work(&store)).await
}

/// The parameters of a request.
struct Query(Vec<(String, String)>);

impl Query {
    fn of(request: &Request) -> Self {
        let query = request.uri().query().unwrap_or_default();
        Self(form_urlencoded::parse(query.as_bytes()).into_owned().collect())
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}
