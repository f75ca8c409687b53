use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::Query;
use super::answer::{Code, Failure, failed, set};
use crate::manifest::OCI_INDEX;
use crate::{Digest, ImageStore};

/// Of one answer; the rest is behind its `Link`.
const PAGE_ITEMS_MAX: usize = 1000;

/// Images of outside registries may share the store, but are not part of this registry.
pub(super) fn catalog(store: &ImageStore, query: &Query) -> Result<Response, Failure> {
    let mut names = store.repositories();
    names.retain(|name| crate::reference::is_repository(name));
    Ok(page(names, "/v2/_catalog", query, |names| json!({"repositories": names})))
}

pub(super) fn tags(store: &ImageStore, name: &str, query: &Query) -> Result<Response, Failure> {
    let tags = store.tags(name);
    if tags.is_empty() && store.manifests(name).is_empty() {
        return Err(Failure::new(Code::NameUnknown, format!("repository {name} is not here")));
    }
    Ok(page(tags, &format!("/v2/{name}/tags/list"), query, |tags| json!({"name": name, "tags": tags})))
}

/// The manifests of the repository that say they are about this one.
pub(super) fn referrers(store: &ImageStore, name: &str, subject: &Digest, query: &Query) -> Result<Response, Failure> {
    let wanted = query.get("artifactType");
    let mut found = Vec::new();
    for digest in store.manifests(name) {
        let (manifest, bytes) = store.manifest(&digest).map_err(failed)?;
        let about = manifest.subject.as_ref().is_some_and(|one| one.digest == subject.as_str());
        if about && wanted.is_none_or(|wanted| manifest.artifact_type() == Some(wanted)) {
            found.push(json!({
                "mediaType": manifest.media_type(), "digest": digest.as_str(), "size": bytes.len(),
                "artifactType": manifest.artifact_type(), "annotations": manifest.annotations,
            }));
        }
    }
    let index = json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": found});
    let mut response = axum::Json(index).into_response();
    set(&mut response, "content-type", OCI_INDEX.to_owned());
    if wanted.is_some() {
        set(&mut response, "oci-filters-applied", "artifactType".to_owned());
    }
    Ok(response)
}

/// `items` are sorted.
fn page(mut items: Vec<String>, path: &str, query: &Query, body: impl FnOnce(&[String]) -> Value) -> Response {
    if let Some(last) = query.get("last") {
        items.retain(|item| item.as_str() > last);
    }
    let count = query.get("n").and_then(|count| count.parse().ok()).unwrap_or(PAGE_ITEMS_MAX).min(PAGE_ITEMS_MAX);
    let is_more = items.len() > count;
    items.truncate(count);
    let mut response = axum::Json(body(&items)).into_response();
    if let Some(last) = items.last().filter(|_| is_more) {
        set(&mut response, "link", format!("<{path}?n={count}&last={last}>; rel=\"next\""));
    }
    response
}
