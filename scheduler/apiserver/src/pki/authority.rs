use std::net::IpAddr;
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;

use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, SanType,
};
use rustls::RootCertStore;
use rustls::server::{ServerConfig, WebPkiClientVerifier};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, CertificateSigningRequestDer, PrivateKeyDer};
use sha2::{Digest, Sha256};
use x509_parser::prelude::FromDer;

use super::{PkiError, private_file};

/// The group that a node's certificate names.
pub const NODES_GROUP: &str = "system:nodes";

const CERTIFICATE_FILE: &str = "ca.crt";
const KEY_FILE: &str = "ca.key";
/// Long enough that no cluster outlives it; the authority cannot be renewed without every machine joining anew.
const CA_YEARS: i16 = 30;
/// Issued at each start or join. A year, as others choose, breaks clusters that simply keep running.
const LEAF_YEARS: i16 = 10;
/// The names by which pods and tools reach the API server, beside the advertised addresses.
const SERVER_NAMES: [&str; 8] = [
    "localhost",
    "127.0.0.1",
    "::1",
    "kubernetes",
    "kubernetes.default",
    "kubernetes.default.svc",
    "kubernetes.default.svc.cluster.local",
    "10.43.0.1",
];

/// The cluster's own certificate authority: everything that speaks to everything else trusts it, and it alone.
pub struct CertificateAuthority {
    certificate_pem: String,
    certificate_der: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate with its key, both PEM.
#[derive(Clone)]
pub struct Credentials {
    pub certificate_pem: String,
    pub key_pem: String,
}

impl CertificateAuthority {
    /// The authority in `directory`; made there the first time.
    pub fn load_or_create(directory: &Path, now: Timestamp) -> Result<Self, PkiError> {
        let (certificate_path, key_path) = (directory.join(CERTIFICATE_FILE), directory.join(KEY_FILE));
        match (private_file::read(&certificate_path)?, private_file::read(&key_path)?) {
            (Some(certificate), Some(key)) => Self::from_pem(certificate, &key).ok_or(()),
            // The key is written first: a certificate without its key cannot come from an interrupted start.
            (None, _) => return Self::create(&certificate_path, &key_path, now),
            (Some(_), None) => Err(()),
        }
        .map_err(|()| PkiError::Damaged { path: key_path })
    }

    fn create(certificate_path: &Path, key_path: &Path, now: Timestamp) -> Result<Self, PkiError> {
        let key = KeyPair::generate()?;
        let mut params = params(&format!("wasmk-ca@{}", now.as_second()), None, now, CA_YEARS);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let certificate_pem = params.self_signed(&key)?.pem();
        private_file::write(key_path, &key.serialize_pem())?;
        private_file::write(certificate_path, &certificate_pem)?;
        let damaged = || PkiError::Damaged { path: certificate_path.to_owned() };
        Self::from_pem(certificate_pem, &key.serialize_pem()).ok_or_else(damaged)
    }

    /// `None` when the two do not parse or do not belong together.
    fn from_pem(certificate_pem: String, key_pem: &str) -> Option<Self> {
        let key = KeyPair::from_pem(key_pem).ok()?;
        let certificate_der = CertificateDer::from_pem_slice(certificate_pem.as_bytes()).ok()?;
        let (_, parsed) = x509_parser::parse_x509_certificate(&certificate_der).ok()?;
        if *parsed.public_key().subject_public_key.data != *key.public_key_raw() {
            return None;
        }
        let issuer = Issuer::from_ca_cert_der(&certificate_der, key).ok()?;
        Some(Self { certificate_pem, certificate_der, issuer })
    }

    pub fn certificate_pem(&self) -> &str {
        &self.certificate_pem
    }

    /// Hex SHA-256 of the certificate in DER; what a join token names the authority by.
    pub fn fingerprint(&self) -> String {
        hex::encode(Sha256::digest(&self.certificate_der))
    }

    /// A server certificate for the well-known names and `advertised` (addresses or host names).
    pub fn issue_server(&self, advertised: &[String], now: Timestamp) -> Result<Credentials, PkiError> {
        let mut params = params("wasmk-apiserver", None, now, LEAF_YEARS);
        let names = SERVER_NAMES.into_iter().chain(advertised.iter().map(String::as_str));
        params.subject_alt_names = names.map(subject_name).collect::<Result<_, _>>()?;
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        self.issue(params)
    }

    /// A client certificate: `user` is its common name, `group` its organization.
    pub fn issue_client(&self, user: &str, group: &str, now: Timestamp) -> Result<Credentials, PkiError> {
        let mut params = params(user, Some(group), now, LEAF_YEARS);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        self.issue(params)
    }

    fn issue(&self, params: CertificateParams) -> Result<Credentials, PkiError> {
        let key = KeyPair::generate()?;
        let certificate_pem = params.signed_by(&key, &self.issuer)?.pem();
        Ok(Credentials { certificate_pem, key_pem: key.serialize_pem() })
    }

    /// A node's certificate (PEM), for calling and for serving. Of the request only the public key counts: names,
    /// addresses and usages are what the server says, whatever the request asks for.
    pub fn sign_node(
        &self,
        request_pem: &str,
        node_name: &str,
        addresses: &[IpAddr],
        now: Timestamp,
    ) -> Result<String, PkiError> {
        let refused = |error: rcgen::Error| PkiError::Request(error.to_string());
        let mut request = CertificateSigningRequestParams::from_pem(request_pem).map_err(refused)?;
        let user = format!("system:node:{node_name}");
        request.params = params(&user, Some(NODES_GROUP), now, LEAF_YEARS);
        request.params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let names = addresses.iter().map(|address| Ok(SanType::IpAddress(*address)));
        request.params.subject_alt_names = names.chain([subject_name(node_name)]).collect::<Result<_, PkiError>>()?;
        Ok(request.signed_by(&self.issuer)?.pem())
    }

    /// A user's certificate (PEM), for calling. Of the request the public key and the subject count.
    pub fn sign_user(&self, request_pem: &str, life_seconds: u64, now: Timestamp) -> Result<String, PkiError> {
        let refused = |error: rcgen::Error| PkiError::Request(error.to_string());
        // The library keeps one value of each kind.
        if Self::requested_groups(request_pem).is_none_or(|groups| groups.len() > 1) {
            return Err(PkiError::Request("the subject must name one group at most".to_owned()));
        }
        let mut request = CertificateSigningRequestParams::from_pem(request_pem).map_err(refused)?;
        let subject = std::mem::take(&mut request.params.distinguished_name);
        request.params = params("", None, now, LEAF_YEARS);
        request.params.distinguished_name = subject;
        request.params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let today = now.to_zoned(TimeZone::UTC);
        let since_midnight = u64::try_from(today.hour()).unwrap_or(0) * 3600;
        request.params.not_after = rcgen::date_time_ymd(today.year().into(), today.month() as u8, today.day() as u8)
            + std::time::Duration::from_secs(since_midnight + 3600 + life_seconds);
        Ok(request.signed_by(&self.issuer)?.pem())
    }

    /// The groups that the subject of a signing request names; `None` when it is none.
    pub fn requested_groups(request_pem: &str) -> Option<Vec<String>> {
        let der = CertificateSigningRequestDer::from_pem_slice(request_pem.as_bytes()).ok()?;
        let (_, request) = x509_parser::certification_request::X509CertificationRequest::from_der(&der).ok()?;
        let subject = &request.certification_request_info.subject;
        subject.iter_organization().map(|group| group.as_str().map(str::to_owned).ok()).collect()
    }

    /// For a node in this process: what [`CertificateAuthority::sign_node`] gives, with a key made here.
    pub fn issue_node(&self, node_name: &str, addresses: &[IpAddr], now: Timestamp) -> Result<Credentials, PkiError> {
        let key = KeyPair::generate()?;
        let request = CertificateParams::default().serialize_request(&key)?.pem()?;
        let certificate_pem = self.sign_node(&request, node_name, addresses, now)?;
        Ok(Credentials { certificate_pem, key_pem: key.serialize_pem() })
    }

    /// Serves with `credentials`; a client may show a certificate, and if it does this authority must have signed it.
    pub fn server_config(&self, credentials: &Credentials) -> Result<Arc<ServerConfig>, PkiError> {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate_der.clone())?;
        let verifier = WebPkiClientVerifier::builder(Arc::new(roots))
            .allow_unauthenticated()
            .build()
            .map_err(|error| PkiError::Request(error.to_string()))?;
        let parse = |error: rustls_pki_types::pem::Error| PkiError::Request(error.to_string());
        let certificate = CertificateDer::from_pem_slice(credentials.certificate_pem.as_bytes()).map_err(parse)?;
        let key = PrivateKeyDer::from_pem_slice(credentials.key_pem.as_bytes()).map_err(parse)?;
        let mut config =
            ServerConfig::builder().with_client_cert_verifier(verifier).with_single_cert(vec![certificate], key)?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }
}

fn params(common_name: &str, organization: Option<&str>, now: Timestamp, years: i16) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    if let Some(organization) = organization {
        params.distinguished_name.push(DnType::OrganizationName, organization);
    }
    params.distinguished_name.push(DnType::CommonName, common_name);
    let today = now.to_zoned(TimeZone::UTC).date();
    // A day of grace for machines whose clocks run behind.
    let from = today.saturating_sub(1.day());
    params.not_before = rcgen::date_time_ymd(from.year().into(), from.month() as u8, from.day() as u8);
    // The first of the month exists in every year, the 29th of February does not.
    params.not_after = rcgen::date_time_ymd((today.year() + years).into(), today.month() as u8, 1);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.use_authority_key_identifier_extension = true;
    params
}

fn subject_name(name: &str) -> Result<SanType, PkiError> {
    if let Ok(address) = IpAddr::from_str(name) {
        return Ok(SanType::IpAddress(address));
    }
    let refused = |_| PkiError::Request(format!("{name:?} is neither an address nor a host name"));
    Ok(SanType::DnsName(name.try_into().map_err(refused)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn authority() -> (tempfile::TempDir, CertificateAuthority) {
        let directory = tempfile::tempdir().unwrap();
        let ca = CertificateAuthority::load_or_create(directory.path(), Timestamp::now()).unwrap();
        (directory, ca)
    }

    #[test]
    fn the_authority_is_made_once_and_its_key_is_private() {
        let (directory, ca) = authority();
        let again = CertificateAuthority::load_or_create(directory.path(), Timestamp::now()).unwrap();
        assert_eq!(ca.fingerprint(), again.fingerprint());
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = std::fs::metadata(directory.path().join(KEY_FILE)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
    }

    #[test]
    fn a_key_of_another_authority_is_reported() {
        let (directory, _) = authority();
        let (other, _) = authority();
        std::fs::copy(other.path().join(KEY_FILE), directory.path().join(KEY_FILE)).unwrap();
        let result = CertificateAuthority::load_or_create(directory.path(), Timestamp::now());
        assert!(matches!(result, Err(PkiError::Damaged { .. })));
    }

    #[test]
    fn a_node_gets_the_subject_that_the_server_says() {
        let (_directory, ca) = authority();
        let mut asked = CertificateParams::new(vec!["evil.example".to_owned()]).unwrap();
        asked.distinguished_name.push(DnType::OrganizationName, "system:masters");
        let key = KeyPair::generate().unwrap();
        let request = asked.serialize_request(&key).unwrap().pem().unwrap();
        let pem = ca.sign_node(&request, "node-a", &["127.0.0.2".parse().unwrap()], Timestamp::now()).unwrap();
        let der = CertificateDer::from_pem_slice(pem.as_bytes()).unwrap();
        let (_, parsed) = x509_parser::parse_x509_certificate(&der).unwrap();
        assert_eq!(parsed.subject().to_string(), "O=system:nodes, CN=system:node:node-a");
        let names = parsed.subject_alternative_name().unwrap().unwrap().value.general_names.len();
        assert_eq!(names, 2);
        assert!(!format!("{parsed:?}").contains("evil"));
    }

    #[test]
    fn nonsense_is_no_request() {
        let (_directory, ca) = authority();
        let result = ca.sign_node("nonsense", "node-a", &[], Timestamp::now());
        assert!(matches!(result, Err(PkiError::Request(_))));
    }
}
