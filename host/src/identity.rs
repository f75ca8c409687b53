use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

/// What a node proves itself with: a certificate of the cluster's authority, its key, and that authority. All PEM.
#[derive(Clone)]
pub struct Identity {
    pub certificate_pem: String,
    pub key_pem: String,
    pub ca_pem: String,
}

#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    #[error("keep the node's identity at {}", path.display())]
    Write {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("the server's address {0} is no URL such as https://10.0.0.1:6443")]
    Server(String),
    #[error("the certificate authority is not PEM")]
    Authority(#[source] rustls_pki_types::pem::Error),
}

const CERTIFICATE: &str = "node.crt";
const KEY: &str = "node.key";
const AUTHORITY: &str = "ca.crt";

impl Identity {
    /// The identity that was kept in `dir`, if there is a whole one.
    pub fn load(dir: &Path) -> Option<Self> {
        let read = |name: &str| fs::read_to_string(dir.join(name)).ok();
        Some(Self { certificate_pem: read(CERTIFICATE)?, key_pem: read(KEY)?, ca_pem: read(AUTHORITY)? })
    }

    /// Whether it is a node's of this name, and of the cluster that the token (if there is one) is for.
    pub fn is_for(&self, node_name: &str, token: Option<&str>) -> bool {
        let kept = rustls_pki_types::pem::PemObject::from_pem_slice(self.certificate_pem.as_bytes());
        let certificate: Option<CertificateDer<'_>> = kept.ok();
        let is_named = certificate.is_some_and(|der| {
            let subject = format!("system:node:{node_name}");
            let parsed = x509_parser::parse_x509_certificate(&der).ok();
            let names = parsed.as_ref().map(|(_, parsed)| parsed.subject().iter_common_name());
            names.into_iter().flatten().any(|name| name.as_str().is_ok_and(|name| name == subject))
        });
        is_named && token.is_none_or(|token| crate::join::is_authority_of(&self.ca_pem, token))
    }

    /// Keeps it in `dir`, readable by the owner alone. The certificate goes last: without it there is no identity.
    pub fn store(&self, dir: &Path) -> Result<(), IdentityError> {
        let failed = |source| IdentityError::Write { path: dir.to_owned(), source };
        fs::create_dir_all(dir).map_err(failed)?;
        for (name, text) in [(AUTHORITY, &self.ca_pem), (KEY, &self.key_pem), (CERTIFICATE, &self.certificate_pem)] {
            write_private(&dir.join(name), text).map_err(failed)?;
        }
        Ok(())
    }

    /// How a client of the API at `server` connects as this node.
    pub(crate) fn kube_config(&self, server: &str) -> Result<kube::Config, IdentityError> {
        let url = server.parse().map_err(|_| IdentityError::Server(server.to_owned()))?;
        let authorities = CertificateDer::pem_slice_iter(self.ca_pem.as_bytes());
        let authorities = authorities.map(|der| der.map(|der| der.to_vec())).collect::<Result<Vec<_>, _>>();
        let mut config = kube::Config::new(url);
        config.root_cert = Some(authorities.map_err(IdentityError::Authority)?);
        config.auth_info.client_certificate_data = Some(STANDARD.encode(&self.certificate_pem));
        config.auth_info.client_key_data = Some(STANDARD.encode(&self.key_pem).into());
        Ok(config)
    }
}

fn write_private(path: &Path, text: &str) -> io::Result<()> {
    let mut options = fs::OpenOptions::new();
    options.create(true).write(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}
