use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::{CertificateAuthority, Credentials, PkiError, private_file};

/// What `kubectl` and every client library need to reach the cluster; everything is embedded, no other file is read.
pub struct Kubeconfig<'a> {
    /// The name of cluster, user and context.
    pub name: &'a str,
    /// For example `https://127.0.0.1:6443`.
    pub server: &'a str,
    pub authority: &'a CertificateAuthority,
    pub client: &'a Credentials,
}

/// Writes the kubeconfig, readable by its owner alone.
pub fn write_kubeconfig(path: &Path, kubeconfig: &Kubeconfig<'_>) -> Result<(), PkiError> {
    private_file::write(path, &kubeconfig.to_yaml())
}

impl Kubeconfig<'_> {
    pub fn to_yaml(&self) -> String {
        let Self { name, server, authority, client } = self;
        let ca = STANDARD.encode(authority.certificate_pem());
        let certificate = STANDARD.encode(&client.certificate_pem);
        let key = STANDARD.encode(&client.key_pem);
        format!(
            "apiVersion: v1
kind: Config
clusters:
- name: {name}
  cluster:
    server: {server}
    certificate-authority-data: {ca}
users:
- name: {name}
  user:
    client-certificate-data: {certificate}
    client-key-data: {key}
contexts:
- name: {name}
  context:
    cluster: {name}
    user: {name}
    namespace: default
current-context: {name}
"
        )
    }
}
