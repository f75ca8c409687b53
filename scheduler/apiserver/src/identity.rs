use std::collections::BTreeMap;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// Who asks: a user with groups, as a client certificate says (common name, organizations) or a token.
///
/// Travels as a request extension, put there by the listener after the handshake or by an in-process client; a
/// request without one has to show a token.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Identity {
    pub user: String,
    /// Empty for users that no object stands for.
    pub uid: String,
    pub groups: Vec<String>,
    /// What else is known, such as the pod that a token is bound to.
    pub extra: BTreeMap<String, Vec<String>>,
}

/// May do everything, as in Kubernetes.
pub(crate) const MASTERS_GROUP: &str = "system:masters";
/// Everybody whom the server knows.
pub(crate) const AUTHENTICATED_GROUP: &str = "system:authenticated";
/// The user and the group of those whom it does not know; only an administrator who acts as them is one of these.
pub(crate) const ANONYMOUS_USER: &str = "system:anonymous";
pub(crate) const UNAUTHENTICATED_GROUP: &str = "system:unauthenticated";
const CONTROL_PLANE_USER: &str = "wasmk-apiserver";
const NODE_USER_PREFIX: &str = "system:node:";
/// Names the certificate or token by which somebody came in.
pub(crate) const CREDENTIAL_ID: &str = "authentication.kubernetes.io/credential-id";

impl Identity {
    pub fn new(user: impl Into<String>, groups: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self { user: user.into(), groups: groups.into_iter().map(Into::into).collect(), ..Self::default() }
    }

    /// For in-process clients: the control plane itself.
    pub fn control_plane() -> Self {
        Self::new(CONTROL_PLANE_USER, [MASTERS_GROUP])
    }

    pub(crate) fn is_control_plane(&self) -> bool {
        self.user == CONTROL_PLANE_USER && self.is_in(MASTERS_GROUP)
    }

    /// From a certificate (DER) that the handshake has verified. `None` when it names no user.
    pub fn from_certificate(certificate: &[u8]) -> Option<Self> {
        let (_, parsed) = x509_parser::parse_x509_certificate(certificate).ok()?;
        let subject = parsed.subject();
        let user = subject.iter_common_name().next()?.as_str().ok()?;
        let groups = subject.iter_organization().filter_map(|group| group.as_str().ok());
        let mut identity = Self::new(user, groups);
        let credential = format!("X509SHA256={}", hex::encode(Sha256::digest(certificate)));
        identity.extra.insert(CREDENTIAL_ID.to_owned(), vec![credential]);
        Some(identity)
    }

    /// As one of those whom the server knows.
    pub(crate) fn authenticated(mut self) -> Self {
        if !self.is_in(AUTHENTICATED_GROUP) && self.user != ANONYMOUS_USER {
            self.groups.push(AUTHENTICATED_GROUP.to_owned());
        }
        self
    }

    pub(crate) fn is_in(&self, group: &str) -> bool {
        self.groups.iter().any(|own| own == group)
    }

    /// The node's name, when a node asks.
    pub(crate) fn node_name(&self) -> Option<&str> {
        self.is_in(crate::pki::NODES_GROUP).then(|| self.user.strip_prefix(NODE_USER_PREFIX))?
    }

    /// `UserInfo` of `authentication.k8s.io`.
    pub(crate) fn to_json(&self) -> Value {
        let mut info = json!({"username": self.user, "groups": self.groups});
        if !self.uid.is_empty() {
            info["uid"] = json!(self.uid);
        }
        if !self.extra.is_empty() {
            info["extra"] = json!(self.extra);
        }
        info
    }
}
