use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::crypto::aws_lc_rs;
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use x509_parser::prelude::{FromDer, X509Certificate};

/// Organizations whose certificates may talk to a node.
const TRUSTED: [&str; 2] = ["system:nodes", "system:masters"];

/// A node's certificate and key, and the cluster's authority.
#[derive(Clone)]
pub struct MeshIdentity {
    server: Arc<ServerConfig>,
    client: Arc<ClientConfig>,
}

#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    #[error("the node's certificate is not PEM, or empty")]
    Certificate,
    #[error("the node's key is not PEM")]
    Key(#[source] rustls_pki_types::pem::Error),
    #[error("the cluster's authority is not PEM, or empty")]
    Authority,
    #[error("certificate and key do not fit")]
    Tls(#[from] rustls::Error),
    #[error("the cluster's authority cannot verify")]
    Verifier(#[from] rustls::server::VerifierBuilderError),
}

impl MeshIdentity {
    /// `certificate` may be a chain; it needs client and server use, and the node's name among its DNS names.
    pub fn from_pem(certificate: &[u8], key: &[u8], authority: &[u8]) -> Result<Self, IdentityError> {
        let chain = certificates(certificate).ok_or(IdentityError::Certificate)?;
        let key = PrivateKeyDer::from_pem_slice(key).map_err(IdentityError::Key)?;
        let mut roots = RootCertStore::empty();
        for root in certificates(authority).ok_or(IdentityError::Authority)? {
            roots.add(root)?;
        }
        let (roots, provider) = (Arc::new(roots), Arc::new(aws_lc_rs::default_provider()));
        let clients = WebPkiClientVerifier::builder_with_provider(roots.clone(), provider.clone()).build()?;
        let mut server = ServerConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()?
            .with_client_cert_verifier(clients)
            .with_single_cert(chain.clone(), key.clone_key())?;
        server.alpn_protocols = vec![b"h2".into(), b"http/1.1".into()];
        let servers = WebPkiServerVerifier::builder_with_provider(roots, provider.clone()).build()?;
        let mut client = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_webpki_verifier(servers)
            .with_client_auth_cert(chain, key)?;
        client.alpn_protocols = vec![b"h2".into()];
        Ok(Self { server: Arc::new(server), client: Arc::new(client) })
    }

    pub(super) fn server(&self) -> Arc<ServerConfig> {
        self.server.clone()
    }

    pub(super) fn client(&self) -> Arc<ClientConfig> {
        self.client.clone()
    }
}

fn certificates(pem: &[u8]) -> Option<Vec<CertificateDer<'static>>> {
    let all: Vec<_> = CertificateDer::pem_slice_iter(pem).collect::<Result<_, _>>().ok()?;
    (!all.is_empty()).then_some(all)
}

/// Who is at the other end: the subject of a certificate that the cluster's authority signed.
/// It is in the extensions of each request to the node API.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PeerIdentity {
    pub common_name: String,
    pub organizations: Vec<String>,
}

impl PeerIdentity {
    pub(super) fn of(certificate: &CertificateDer<'_>) -> Option<Self> {
        let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
        let subject = certificate.subject();
        let text =
            |attribute: &x509_parser::x509::AttributeTypeAndValue<'_>| attribute.as_str().ok().map(str::to_owned);
        Some(Self {
            common_name: subject.iter_common_name().find_map(text).unwrap_or_default(),
            organizations: subject.iter_organization().filter_map(text).collect(),
        })
    }

    pub(super) fn is_trusted(&self) -> bool {
        self.organizations.iter().any(|organization| TRUSTED.contains(&organization.as_str()))
    }
}
