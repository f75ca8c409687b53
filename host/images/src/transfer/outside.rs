use std::time::Duration;

use async_trait::async_trait;
use axum::http::HeaderValue;
use futures::StreamExt;
use oci_client::client::{BlobResponse, Certificate, CertificateEncoding, ClientConfig, ClientProtocol};
use oci_client::errors::{OciDistributionError, OciErrorCode};
use oci_client::manifest::OciDescriptor;
use oci_client::secrets::RegistryAuth;
use oci_client::{Reference as Name, RegistryOperation};
use tokio_util::io::ReaderStream;

use super::remote::{Blob, Failure, Outgoing, Remote};
use crate::manifest::{Descriptor, MANIFEST_BYTES_MAX, accepted};
use crate::settings::Site;
use crate::{Digest, Login};

/// A repository of a registry outside of the cluster.
pub(super) struct Outside {
    client: oci_client::Client,
    auth: RegistryAuth,
    host: String,
    repository: String,
}

/// A registry that says nothing must not hold up pulls from others.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const READ_TIMEOUT: Duration = Duration::from_secs(30);
/// Until the answer to the upload of a whole blob, which is as slow as the line.
const UPLOAD_TIMEOUT: Duration = Duration::from_secs(3600);
const CHUNK_BYTES: usize = 256 << 10;

impl Outside {
    pub(super) fn to_pull(site: &Site, repository: &str, login: Option<&Login>) -> Result<Self, Failure> {
        Self::new(site, repository, login, READ_TIMEOUT)
    }

    pub(super) fn to_push(site: &Site, repository: &str, login: Option<&Login>) -> Result<Self, Failure> {
        Self::new(site, repository, login, UPLOAD_TIMEOUT)
    }

    fn new(site: &Site, repository: &str, login: Option<&Login>, read_timeout: Duration) -> Result<Self, Failure> {
        let protocol = if site.insecure { ClientProtocol::Http } else { ClientProtocol::Https };
        let pem = |text: &String| Certificate { encoding: CertificateEncoding::Pem, data: text.clone().into_bytes() };
        let config = ClientConfig {
            protocol,
            connect_timeout: Some(CONNECT_TIMEOUT),
            read_timeout: Some(read_timeout),
            extra_root_certificates: site.authorities.iter().map(pem).collect(),
            // Some registries take no chunks.
            use_monolithic_push: true,
            ..ClientConfig::default()
        };
        let refused = |error| Failure::Refused(format!("nothing yet: the settings for {}: {error}", site.host));
        let client = oci_client::Client::try_from(config).map_err(refused)?;
        let auth = login.map_or(RegistryAuth::Anonymous, |login| {
            RegistryAuth::Basic(login.username.clone(), login.password.clone())
        });
        // Docker Hub's official images have a namespace that nobody writes.
        let official = site.host == "docker.io" && !repository.contains('/');
        let prefix = if official { "library/" } else { "" };
        Ok(Self { client, auth, host: site.host.clone(), repository: format!("{prefix}{repository}") })
    }

    /// Asks for what an operation needs. The client would go on without, and so lose the reason for a refusal.
    pub(super) async fn log_in(&self, operation: RegistryOperation) -> Result<(), Failure> {
        self.client.auth(&self.named("latest"), &self.auth, operation).await.map(drop).map_err(explain)
    }

    /// Whether the registry knows the login: asks for something that nobody has.
    pub(super) async fn check_login(&self) -> Result<(), Failure> {
        self.log_in(RegistryOperation::Pull).await?;
        match self.manifest("latest").await {
            // Known, and nothing there; or known, and not let at this repository.
            Ok(_) | Err(Failure::NotFound(_) | Failure::Refused(_)) => Ok(()),
            Err(failure) => Err(failure),
        }
    }

    fn named(&self, tag_or_digest: &str) -> Name {
        let (host, repository) = (self.host.clone(), self.repository.clone());
        match tag_or_digest.contains(':') {
            true => Name::with_digest(host, repository, tag_or_digest.to_owned()),
            false => Name::with_tag(host, repository, tag_or_digest.to_owned()),
        }
    }
}

#[async_trait]
impl Remote for Outside {
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

    async fn has_blob(&self, digest: &Digest) -> Result<bool, Failure> {
        let image = self.named(digest.as_str());
        self.client.store_auth_if_needed(image.resolve_registry(), &self.auth).await;
        // What cannot be asked is sent; the upload then says what is wrong.
        Ok(self.client.blob_exists(&image, digest.as_str()).await.unwrap_or(false))
    }

    async fn put_blob(&self, blob: Outgoing<'_>) -> Result<(), Failure> {
        let unreadable = |error: std::io::Error| Failure::Refused(format!("read blob {}: {error}", blob.digest));
        let file = tokio::fs::File::open(blob.store.blob_path(blob.digest)).await.map_err(unreadable)?;
        let (progress, digest, total) = (blob.progress.clone(), blob.digest.clone(), blob.size);
        let mut done = 0;
        let chunks = ReaderStream::with_capacity(file, CHUNK_BYTES).map(move |chunk| {
            done += chunk.as_ref().map_or(0, |chunk| chunk.len() as u64);
            progress.tell(&digest, super::Step::Moved { done, total });
            chunk.map_err(OciDistributionError::from)
        });
        let image = self.named(blob.digest.as_str());
        let sent = self.client.push_blob_stream(&image, chunks, blob.digest.as_str(), Some(blob.size)).await;
        sent.map(drop).map_err(explain)
    }

    async fn put_manifest(&self, tag_or_digest: &str, media_type: &str, bytes: Vec<u8>) -> Result<(), Failure> {
        let media_type = HeaderValue::from_str(media_type).map_err(|error| Failure::Refused(error.to_string()))?;
        let put = self.client.push_manifest_raw(&self.named(tag_or_digest), bytes, media_type).await;
        put.map(drop).map_err(explain)
    }
}

/// What went wrong, by what can be done about it, in the registry's own words.
fn explain(error: OciDistributionError) -> Failure {
    match error {
        OciDistributionError::ImageManifestNotFoundError(said) => Failure::NotFound(said),
        OciDistributionError::AuthenticationFailure(said) => Failure::Unauthorized(super::words(401, &said)),
        OciDistributionError::UnauthorizedError { .. } => Failure::Unauthorized("401 Unauthorized".to_owned()),
        OciDistributionError::ServerError { code, message, .. } => {
            let said = super::words(code, &message);
            match code {
                401 | 403 => Failure::Unauthorized(said),
                404 => Failure::NotFound(said),
                408 | 429 | 500.. => Failure::Unreachable(said),
                _ => Failure::Refused(said),
            }
        }
        OciDistributionError::RegistryError { envelope, .. } => {
            let said: Vec<&str> = envelope.errors.iter().map(|error| error.message.as_str()).collect();
            let said = said.join("; ");
            match envelope.errors.first().map(|error| &error.code) {
                Some(
                    OciErrorCode::ManifestUnknown
                    | OciErrorCode::BlobUnknown
                    | OciErrorCode::NameUnknown
                    | OciErrorCode::NotFound,
                ) => Failure::NotFound(said),
                Some(OciErrorCode::Unauthorized | OciErrorCode::Denied) => Failure::Unauthorized(said),
                Some(OciErrorCode::Toomanyrequests) => Failure::Unreachable(said),
                _ => Failure::Refused(said),
            }
        }
        OciDistributionError::RequestError(error) => Failure::Unreachable(causes(&error)),
        OciDistributionError::IoError(error) => Failure::Unreachable(causes(&error)),
        other => Failure::Refused(other.to_string()),
    }
}

/// An error with its causes: the first only says that a request failed.
fn causes(error: &dyn std::error::Error) -> String {
    let all = std::iter::successors(Some(error), |error| error.source());
    let mut text = String::new();
    for cause in all.map(ToString::to_string) {
        if !text.contains(&cause) {
            let parting = if text.is_empty() { "" } else { ": " };
            text.push_str(parting);
            text.push_str(&cause);
        }
    }
    text
}
