use std::sync::Arc;

use axum::extract::Request;
use axum::http::{HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::answer::{self, Code, Failure, failed};
use crate::blocking::blocking;
use crate::manifest::{MANIFEST_BYTES_MAX, Manifest};
use crate::reference::check_tag;
use crate::{Body, Digest, ImageStore};

/// For HEAD too: the server leaves the body out.
pub(super) fn get(store: &ImageStore, name: &str, reference: &str) -> Result<Response, Failure> {
    let digest = store.resolve(name, reference).ok_or_else(|| unknown(name, reference))?;
    let (manifest, bytes) = store.manifest(&digest).map_err(failed)?;
    let headers = [
        (header::CONTENT_TYPE, manifest.media_type().to_owned()),
        (header::CONTENT_LENGTH, bytes.len().to_string()),
        (HeaderName::from_static("docker-content-digest"), digest.to_string()),
    ];
    Ok((headers, Body::from(bytes)).into_response())
}

pub(super) async fn put(
    store: &Arc<ImageStore>,
    name: &str,
    reference: &str,
    request: Request,
) -> Result<Response, Failure> {
    let bytes = axum::body::to_bytes(request.into_body(), MANIFEST_BYTES_MAX).await;
    let bytes = bytes.map_err(|error| Failure::new(Code::SizeInvalid, error.to_string()))?;
    let tag = match reference.parse::<Digest>() {
        Ok(wanted) if wanted == Digest::of(&bytes) => None,
        Ok(wanted) => return Err(Failure::new(Code::DigestInvalid, format!("the manifest's digest is not {wanted}"))),
        Err(_) => {
            check_tag(reference).map_err(|why| Failure::new(Code::ManifestInvalid, why))?;
            Some(reference.to_owned())
        }
    };
    let manifest = Manifest::parse(&bytes).map_err(|error| Failure::new(Code::ManifestInvalid, error.to_string()))?;
    let (own, repository) = (store.clone(), name.to_owned());
    let put = blocking(move || own.put_manifest(&repository, tag.as_deref(), &bytes)).await;
    let digest = put.map_err(failed)?;
    let mut response = StatusCode::CREATED.into_response();
    answer::set(&mut response, "location", format!("/v2/{name}/manifests/{digest}"));
    answer::set(&mut response, "docker-content-digest", digest.to_string());
    if let Some(subject) = &manifest.subject {
        answer::set(&mut response, "oci-subject", subject.digest.clone());
    }
    Ok(response)
}

pub(super) fn delete(store: &ImageStore, name: &str, reference: &str) -> Result<Response, Failure> {
    match store.remove(name, reference).map_err(failed)? {
        true => Ok(StatusCode::ACCEPTED.into_response()),
        false => Err(unknown(name, reference)),
    }
}

fn unknown(name: &str, reference: &str) -> Failure {
    Failure::new(Code::ManifestUnknown, format!("{name}:{reference} is not in this registry"))
}
