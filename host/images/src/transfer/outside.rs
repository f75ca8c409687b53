use std::sync::Arc;

use oci_client::client::{ClientConfig, ClientProtocol};
use oci_client::errors::{OciDistributionError, OciErrorCode};
use oci_client::secrets::RegistryAuth;

use super::PullError;
use crate::manifest::{Format, Manifest};
use crate::store::{ImageStore, StoreError};
use crate::{Digest, InvalidManifest, Reference};

/// Brings an image from a registry that is not the cluster's. Plain HTTP is spoken to loopback hosts only.
pub async fn outside(
    store: &Arc<ImageStore>,
    reference: &Reference,
    login: Option<(&str, &str)>,
) -> Result<Digest, PullError> {
    let host = reference.registry.clone().unwrap_or_default();
    let protocol = if is_loopback(&host) { ClientProtocol::Http } else { ClientProtocol::Https };
    let client = oci_client::Client::new(ClientConfig { protocol, ..ClientConfig::default() });
    let auth = login
        .map_or(RegistryAuth::Anonymous, |(user, password)| RegistryAuth::Basic(user.to_owned(), password.to_owned()));
    let named = |tag_or_digest: &str| match tag_or_digest.contains(':') {
        true => {
            oci_client::Reference::with_digest(host.clone(), reference.repository.clone(), tag_or_digest.to_owned())
        }
        false => oci_client::Reference::with_tag(host.clone(), reference.repository.clone(), tag_or_digest.to_owned()),
    };
    let failed = |error: OciDistributionError| explain(reference, error);
    let media_types = crate::manifest::accepted();
    let media_types: Vec<&str> = media_types.split(", ").collect();
    let mut image = named(reference.tag_or_digest());
    let (mut bytes, _) = client.pull_manifest_raw(&image, &auth, &media_types).await.map_err(failed)?;
    let broken = |error: StoreError| PullError::Broken(reference.clone(), error);
    let mut manifest = Manifest::parse(&bytes).map_err(|error| broken(error.into()))?;
    if let Format::Index = manifest.format() {
        let entry = manifest.choose().ok_or_else(|| PullError::NoWasm(reference.clone()))?;
        image = named(&entry.digest);
        (bytes, _) = client.pull_manifest_raw(&image, &auth, &media_types).await.map_err(failed)?;
        manifest = Manifest::parse(&bytes).map_err(|error| broken(error.into()))?;
    }
    for descriptor in manifest.descriptors() {
        let digest = descriptor.digest().map_err(|error| broken(InvalidManifest::from(error).into()))?;
        if store.blob_size(&digest) == Some(descriptor.size) {
            continue;
        }
        let upload = store.new_upload().map_err(broken)?;
        let io = |source| broken(StoreError::Io { action: "write", path: upload.path().to_owned(), source });
        let file = tokio::fs::File::create(upload.path()).await.map_err(io)?;
        client.pull_blob(&image, descriptor.digest.as_str(), file).await.map_err(failed)?;
        store.finish(upload, Some(&digest)).map_err(broken)?;
    }
    let tag = reference.tag.as_deref().filter(|_| reference.digest.is_none());
    store.put_manifest(&reference.full_repository(), tag, &bytes).map_err(broken)
}

fn is_loopback(host: &str) -> bool {
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    name == "localhost" || name.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

fn explain(reference: &Reference, error: OciDistributionError) -> PullError {
    let text = error.to_string();
    match &error {
        OciDistributionError::ImageManifestNotFoundError(_) => PullError::NotFound(reference.clone()),
        OciDistributionError::ServerError { code: 404, .. } => PullError::NotFound(reference.clone()),
        OciDistributionError::RegistryError { envelope, .. } => {
            match envelope.errors.first().map(|error| &error.code) {
                Some(OciErrorCode::ManifestUnknown | OciErrorCode::NameUnknown | OciErrorCode::NotFound) => {
                    PullError::NotFound(reference.clone())
                }
                Some(OciErrorCode::Unauthorized | OciErrorCode::Denied) => {
                    PullError::Unauthorized(reference.clone(), text)
                }
                _ => PullError::Refused(reference.clone(), text),
            }
        }
        OciDistributionError::AuthenticationFailure(_) | OciDistributionError::UnauthorizedError { .. } => {
            PullError::Unauthorized(reference.clone(), text)
        }
        _ => PullError::Unreachable(reference.clone(), text),
    }
}
