use async_trait::async_trait;
use futures::StreamExt;
use oci_client::client::{BlobResponse, ClientConfig, ClientProtocol};
use oci_client::errors::{OciDistributionError, OciErrorCode};
use oci_client::manifest::OciDescriptor;
use oci_client::secrets::RegistryAuth;

use super::source::{Blob, Failure, Source};
use crate::Reference;
use crate::manifest::{Descriptor, MANIFEST_BYTES_MAX, accepted};

/// A repository of a registry outside the cluster, over HTTPS; over plain HTTP on loopback hosts.
pub(super) struct Outside {
    client: oci_client::Client,
    auth: RegistryAuth,
    host: String,
    repository: String,
}

/// A registry that says nothing must not hold up pulls from others.
const CONNECT_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(10);
const READ_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(30);

impl Outside {
    pub(super) fn new(reference: &Reference, login: Option<(&str, &str)>) -> Self {
        let host = reference.registry.clone().unwrap_or_default();
        let protocol = if is_loopback(&host) { ClientProtocol::Http } else { ClientProtocol::Https };
        let (connect_timeout, read_timeout) = (Some(CONNECT_TIMEOUT), Some(READ_TIMEOUT));
        let config = ClientConfig { protocol, connect_timeout, read_timeout, ..ClientConfig::default() };
        let client = oci_client::Client::new(config);
        let auth = login.map_or(RegistryAuth::Anonymous, |(user, password)| {
            RegistryAuth::Basic(user.to_owned(), password.to_owned())
        });
        // Docker Hub's official images have a namespace that nobody writes.
        let official = host == "docker.io" && !reference.repository.contains('/');
        let prefix = if official { "library/" } else { "" };
        Self { client, auth, host, repository: format!("{prefix}{}", reference.repository) }
    }

    fn named(&self, tag_or_digest: &str) -> oci_client::Reference {
        let (host, repository) = (self.host.clone(), self.repository.clone());
        match tag_or_digest.contains(':') {
            true => oci_client::Reference::with_digest(host, repository, tag_or_digest.to_owned()),
            false => oci_client::Reference::with_tag(host, repository, tag_or_digest.to_owned()),
        }
    }
}

#[async_trait]
impl Source for Outside {
    async fn manifest(&self, tag_or_digest: &str) -> Result<Vec<u8>, Failure> {
        let media_types = accepted();
        let media_types: Vec<&str> = media_types.split(", ").collect();
        let pulled = self.client.pull_manifest_raw(&self.named(tag_or_digest), &self.auth, &media_types).await;
        let (content, _) = pulled.map_err(explain)?;
        if content.len() > MANIFEST_BYTES_MAX {
            return Err(Failure::Refused(format!("with a manifest of {} bytes", content.len())));
        }
        Ok(content.to_vec())
    }

    async fn blob(&self, blob: &Descriptor, offset: u64) -> Result<Blob, Failure> {
        let image = self.named(&blob.digest);
        self.client.store_auth_if_needed(image.resolve_registry(), &self.auth).await;
        let descriptor = OciDescriptor {
            media_type: blob.media_type.clone(),
            digest: blob.digest.clone(),
            size: i64::try_from(blob.size).unwrap_or(i64::MAX),
            ..OciDescriptor::default()
        };
        let (offset, stream) = if offset == 0 {
            (0, self.client.pull_blob_stream(&image, &descriptor).await.map_err(explain)?)
        } else {
            match self.client.pull_blob_stream_partial(&image, &descriptor, offset, None).await.map_err(explain)? {
                BlobResponse::Full(stream) => (0, stream),
                BlobResponse::Partial(stream) => (offset, stream),
            }
        };
        let chunks = stream.map(|chunk| chunk.map_err(|error| error.to_string()));
        Ok(Blob { offset, chunks: chunks.boxed() })
    }
}

fn is_loopback(host: &str) -> bool {
    let name = match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, _)) => address,
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    };
    name == "localhost" || name.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

fn explain(error: OciDistributionError) -> Failure {
    let text = error.to_string();
    match error {
        OciDistributionError::ImageManifestNotFoundError(_) | OciDistributionError::ServerError { code: 404, .. } => {
            Failure::NotFound
        }
        OciDistributionError::AuthenticationFailure(_)
        | OciDistributionError::UnauthorizedError { .. }
        | OciDistributionError::ServerError { code: 401 | 403, .. } => Failure::Unauthorized(text),
        OciDistributionError::RegistryError { envelope, .. } => {
            match envelope.errors.first().map(|error| &error.code) {
                Some(
                    OciErrorCode::ManifestUnknown
                    | OciErrorCode::BlobUnknown
                    | OciErrorCode::NameUnknown
                    | OciErrorCode::NotFound,
                ) => Failure::NotFound,
                Some(OciErrorCode::Unauthorized | OciErrorCode::Denied) => Failure::Unauthorized(text),
                _ => Failure::Refused(text),
            }
        }
        OciDistributionError::RequestError(_)
        | OciDistributionError::IoError(_)
        | OciDistributionError::ServerError { code: 500.., .. } => Failure::Unreachable(text),
        _ => Failure::Refused(text),
    }
}

#[cfg(test)]
mod tests {
    use super::is_loopback;

    #[test]
    fn only_loopback_hosts_are_asked_without_tls() {
        for host in ["localhost", "localhost:5000", "127.0.0.1:80", "127.1.2.3", "[::1]:5000"] {
            assert!(is_loopback(host), "{host}");
        }
        for host in ["ghcr.io", "localhost.evil.com", "10.0.0.1:5000", "127.0.0.1.evil.com:80"] {
            assert!(!is_loopback(host), "{host}");
        }
    }
}
