//! Moving images between a store and a registry.

mod cluster;
mod outside;
mod progress;
mod pull;
mod push;
mod remote;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use axum::http::{Request, Response, StatusCode};
use oci_client::RegistryOperation;

use crate::blocking::blocking;
use crate::settings::{Registries, SettingsError, Site};
use crate::store::{ImageStore, StoreError};
use crate::{Body, Digest, Login, Reference};
use cluster::Cluster;
use outside::Outside;
use pull::Puller;
use push::Pusher;
use remote::Failure;

pub use progress::{Blobs, Step};

/// Sends requests for `/v2/…` to one registry: whoever implements it knows the host and proves who we are.
#[async_trait]
pub trait Transport: Send + Sync {
    async fn send(&self, request: Request<Body>) -> Result<Response<Body>, TransportError>;
}

/// No answer at all.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct TransportError(pub String);

#[derive(Debug, thiserror::Error)]
pub enum PullError {
    #[error("image {0} not found: {fix}", fix = if_missing(.0, .1))]
    NotFound(Reference, String),
    #[error("image {0}: the registry does not let this node pull it: {1}; {fix}", fix = log_in(.0))]
    Unauthorized(Reference, String),
    #[error("image {0}: the registry does not answer: {1}")]
    Unreachable(Reference, String),
    #[error("image {0}: the registry answered {1}")]
    Refused(Reference, String),
    #[error("image {0}: {1}")]
    Broken(Reference, #[source] StoreError),
    #[error("image {0} has no part for wasm")]
    NoWasm(Reference),
}

#[derive(Debug, thiserror::Error)]
pub enum PushError {
    #[error("image {0} is not here: `wasmk images` lists what is, `wasmk tag` gives it another name")]
    NotFound(Reference),
    #[error("the registry does not let you push {0}: {1}; {fix}", fix = log_in(.0))]
    Unauthorized(Reference, String),
    #[error("the registry does not answer: {0}")]
    Unreachable(#[from] TransportError),
    #[error("the registry answered {0}")]
    Refused(String),
    #[error(transparent)]
    Store(#[from] StoreError),
}

#[derive(Debug, thiserror::Error)]
pub enum LoginError {
    #[error("{0} does not know this user and password: {1}")]
    Unauthorized(String, String),
    #[error("{0} does not answer: {1}")]
    Unreachable(String, String),
    #[error("{0} answered {1}")]
    Refused(String, String),
}

fn if_missing(reference: &Reference, said: &str) -> String {
    match &reference.registry {
        None => format!("build it with `wasmk build DIR -t {reference}`, or check the name and tag"),
        Some(host) => format!("{host} answered {said}; check the name and tag"),
    }
}

fn log_in(reference: &Reference) -> String {
    match &reference.registry {
        None => "see which cluster and user are in use by `wasmk config view`".to_owned(),
        Some(host) => {
            format!("log in by `wasmk login {host}`, or name a secret with the login in the pod's imagePullSecrets")
        }
    }
}

/// Which registry an image is brought from or sent to.
#[derive(Clone, Copy)]
pub enum Registry<'a> {
    /// The cluster's own.
    Cluster(&'a dyn Transport),
    /// Any other, as the settings say how; the logins are tried one after the other.
    Outside(&'a Registries, &'a [Login]),
}

/// Of one image at once, as containerd does.
const BLOBS_AT_ONCE: usize = 3;
/// Of one manifest or blob. What has arrived stays, so that a retry goes on from there.
const ATTEMPTS_MAX: u32 = 4;
/// Before the second attempt; doubled each time.
const RETRY_DELAY: Duration = Duration::from_millis(100);
/// Of one request to the cluster's registry, which a [`Transport`] may hold as a whole.
pub const CHUNK_BYTES_MAX: usize = 8 << 20;

/// As [`pull_from`] the cluster's registry, without telling anybody.
pub async fn pull(
    store: &Arc<ImageStore>,
    transport: &dyn Transport,
    reference: &Reference,
) -> Result<Digest, PullError> {
    pull_from(store, Registry::Cluster(transport), reference, &Blobs::silent()).await
}

/// Brings an image from a registry into the store. Blobs that are here are not transferred, nor is one fetched twice at
/// once; a broken transfer is taken up where it broke.
pub async fn pull_from(
    store: &Arc<ImageStore>,
    registry: Registry<'_>,
    reference: &Reference,
    progress: &Blobs,
) -> Result<Digest, PullError> {
    match registry {
        Registry::Cluster(transport) => {
            let source = Cluster { transport, repository: &reference.repository };
            Puller { store, source: &source, reference, progress }.pull().await
        }
        Registry::Outside(settings, logins) => {
            let failed = |failure| pull::failed(reference, failure);
            let (site, repository) = place(settings, reference).await.map_err(failed)?;
            let mut refused = None;
            for login in one_after_the_other(logins) {
                let source = Outside::to_pull(&site, &repository, login).map_err(failed)?;
                let pulled = match source.log_in(RegistryOperation::Pull).await {
                    Ok(()) => Puller { store, source: &source, reference, progress }.pull().await,
                    // The puller asks again, and waits between.
                    Err(Failure::Unreachable(_)) => Puller { store, source: &source, reference, progress }.pull().await,
                    Err(failure) => Err(failed(failure)),
                };
                match pulled {
                    Err(error @ PullError::Unauthorized(..)) => refused = Some(error),
                    other => return other,
                }
            }
            Err(refused.expect("invariant: there is at least one way to log in"))
        }
    }
}

/// As [`push_to`] the cluster's registry, without telling anybody.
pub async fn push(store: &ImageStore, transport: &dyn Transport, reference: &Reference) -> Result<(), PushError> {
    let store = Arc::new(store.clone());
    push_to(&store, Registry::Cluster(transport), reference, &Blobs::silent()).await.map(drop)
}

/// Sends an image of the store to a registry; answers its digest. Blobs that are there are not transferred.
pub async fn push_to(
    store: &Arc<ImageStore>,
    registry: Registry<'_>,
    reference: &Reference,
    progress: &Blobs,
) -> Result<Digest, PushError> {
    match registry {
        Registry::Cluster(transport) => {
            let remote = Cluster { transport, repository: &reference.repository };
            Pusher { store, remote: &remote, reference, progress }.push().await
        }
        Registry::Outside(settings, logins) => {
            let failed = |failure| push::failed(reference, failure);
            let (site, repository) = place(settings, reference).await.map_err(failed)?;
            let mut refused = None;
            for login in one_after_the_other(logins) {
                let remote = Outside::to_push(&site, &repository, login).map_err(failed)?;
                let pushed = match remote.log_in(RegistryOperation::Push).await {
                    Ok(()) => Pusher { store, remote: &remote, reference, progress }.push().await,
                    Err(failure) => Err(failed(failure)),
                };
                match pushed {
                    Err(error @ PushError::Unauthorized(..)) => refused = Some(error),
                    other => return other,
                }
            }
            Err(refused.expect("invariant: there is at least one way to log in"))
        }
    }
}

/// Whether a registry outside of the cluster takes a login.
pub async fn check_login(settings: &Registries, host: &str, login: &Login) -> Result<(), LoginError> {
    let failed = |failure| match failure {
        Failure::Unauthorized(said) => LoginError::Unauthorized(host.to_owned(), said),
        Failure::Unreachable(said) => LoginError::Unreachable(host.to_owned(), said),
        Failure::NotFound(said) | Failure::Refused(said) => LoginError::Refused(host.to_owned(), said),
    };
    let site = settings.site(host).map_err(|error| failed(Failure::Refused(error.to_string())))?;
    let remote = Outside::to_pull(&site, "wasmk/login", Some(login)).map_err(failed)?;
    remote.check_login().await.map_err(failed)
}

/// Where an image is outside of the cluster. A name without a registry is looked for in the default one.
async fn place(settings: &Registries, reference: &Reference) -> Result<(Site, String), Failure> {
    let (settings, reference) = (settings.clone(), reference.clone());
    let found = blocking(move || -> Result<(Site, String), SettingsError> {
        let (host, repository) = match &reference.registry {
            Some(host) => (host.clone(), reference.repository.clone()),
            None => {
                let default = settings.default_registry()?.unwrap_or_default();
                let (host, path) = default.split_once('/').unwrap_or((&default, ""));
                let parting = if path.is_empty() { "" } else { "/" };
                (host.to_owned(), format!("{path}{parting}{}", reference.repository))
            }
        };
        Ok((settings.site(&host)?, repository))
    });
    found.await.map_err(|error| Failure::Refused(error.to_string()))
}

/// Without a login there is still the way without one.
fn one_after_the_other(logins: &[Login]) -> impl Iterator<Item = Option<&Login>> {
    logins.iter().map(Some).chain(logins.is_empty().then_some(None))
}

async fn wait(attempt: &mut u32) {
    tokio::time::sleep(RETRY_DELAY * 2u32.pow(*attempt - 1)).await;
    *attempt += 1;
}

/// What a registry says of an error, in its own words.
async fn said(response: Response<Body>) -> String {
    let status = response.status();
    let bytes = axum::body::to_bytes(response.into_body(), 64 << 10).await.unwrap_or_default();
    words(status.as_u16(), &String::from_utf8_lossy(&bytes))
}

/// The words of an error's body, which registries and token servers write in several forms.
fn words(code: u16, body: &str) -> String {
    const SAID_BYTES_MAX: usize = 300;
    let status = StatusCode::from_u16(code).map_or_else(|_| code.to_string(), |status| status.to_string());
    let json: serde_json::Value = serde_json::from_str(body).unwrap_or_default();
    let known = [&json["errors"][0]["message"], &json["message"], &json["details"], &json["error_description"]];
    let message = known.iter().find_map(|value| value.as_str().filter(|text| !text.is_empty()));
    let plain = body.trim();
    let is_plain = json.is_null() && !plain.is_empty() && plain.len() <= SAID_BYTES_MAX && !plain.starts_with('<');
    match message.or(is_plain.then_some(plain)) {
        Some(message) => format!("{status}: {message}"),
        None => status,
    }
}

#[cfg(test)]
mod tests;
