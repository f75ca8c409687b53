/// Who asks: a user's name and groups, as the client certificate says (common name, organizations).
///
/// Travels as a request extension, put there by the listener after the handshake or by an in-process client; a
/// request without one is anonymous.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Identity {
    pub user: String,
    pub groups: Vec<String>,
}

/// May do everything, as in Kubernetes.
pub(crate) const MASTERS_GROUP: &str = "system:masters";
const NODE_USER_PREFIX: &str = "system:node:";

impl Identity {
    /// For in-process clients: the control plane itself.
    pub fn control_plane() -> Self {
        Self { user: "wasmk-apiserver".to_owned(), groups: vec![MASTERS_GROUP.to_owned()] }
    }

    /// From a certificate (DER) that the handshake has verified. `None` when it names no user.
    pub fn from_certificate(certificate: &[u8]) -> Option<Self> {
        let (_, certificate) = x509_parser::parse_x509_certificate(certificate).ok()?;
        let subject = certificate.subject();
        let user = subject.iter_common_name().next()?.as_str().ok()?.to_owned();
        let groups = subject.iter_organization().filter_map(|group| group.as_str().ok()).map(str::to_owned).collect();
        Some(Self { user, groups })
    }

    pub(crate) fn is_in(&self, group: &str) -> bool {
        self.groups.iter().any(|own| own == group)
    }

    /// The node's name, when a node asks.
    pub(crate) fn node_name(&self) -> Option<&str> {
        self.is_in(crate::pki::NODES_GROUP).then(|| self.user.strip_prefix(NODE_USER_PREFIX))?
    }
}
