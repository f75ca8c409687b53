use jiff::Timestamp;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use wasmk_apiserver::pki::{CertificateAuthority, PkiError};

/// How the API server shows itself to nodes.
const USER: &str = "wasmk-apiserver";
const GROUP: &str = "system:masters";

pub(super) fn config(authority: &CertificateAuthority, now: Timestamp) -> Result<ClientConfig, PkiError> {
    let own = authority.issue_client(USER, GROUP, now)?;
    let parse = |error: rustls::pki_types::pem::Error| PkiError::Request(error.to_string());
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(authority.certificate_pem().as_bytes()).map_err(parse)?)?;
    let certificate = CertificateDer::from_pem_slice(own.certificate_pem.as_bytes()).map_err(parse)?;
    let key = PrivateKeyDer::from_pem_slice(own.key_pem.as_bytes()).map_err(parse)?;
    Ok(ClientConfig::builder().with_root_certificates(roots).with_client_auth_cert(vec![certificate], key)?)
}
