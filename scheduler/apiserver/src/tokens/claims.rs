use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use wasmk_api::{Key, Object, Snapshot};

use super::{ISSUER, TokenFault, account_groups};
use crate::Identity;
use crate::identity::CREDENTIAL_ID;

/// What a token says. Source: `k8s.io/kubernetes/pkg/serviceaccount/claims.go`.
#[derive(Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
pub(crate) struct Claims {
    pub(crate) aud: Vec<String>,
    /// Seconds since 1970; absent for tokens in Secrets, which last as long as these.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) exp: Option<i64>,
    iat: i64,
    pub(crate) iss: String,
    jti: String,
    #[serde(rename = "kubernetes.io")]
    bound: Bound,
    nbf: i64,
    sub: String,
}

/// The objects that must exist for the token to count.
#[derive(Serialize, Deserialize, Clone, PartialEq, Eq, Default, Debug)]
pub(crate) struct Bound {
    pub(crate) namespace: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) node: Option<Reference>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) pod: Option<Reference>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) secret: Option<Reference>,
    pub(crate) serviceaccount: Reference,
}

#[derive(Serialize, Deserialize, Clone, PartialEq, Eq, Default, Debug)]
pub(crate) struct Reference {
    pub(crate) name: String,
    pub(crate) uid: String,
}

impl Reference {
    pub(crate) fn to(object: &Object) -> Self {
        Self { name: object.name().to_owned(), uid: object.uid().to_owned() }
    }
}

impl Claims {
    /// `id` is fresh for each token.
    pub(crate) fn new(bound: Bound, audiences: Vec<String>, id: String, now: Timestamp, seconds: Option<i64>) -> Self {
        let now = now.as_second();
        Self {
            aud: audiences,
            exp: seconds.map(|seconds| now.saturating_add(seconds)),
            iat: now,
            iss: ISSUER.to_owned(),
            jti: id,
            nbf: now,
            sub: format!("system:serviceaccount:{}:{}", bound.namespace, bound.serviceaccount.name),
            bound,
        }
    }

    pub(super) fn is_valid_at(&self, now: Timestamp) -> bool {
        // A little leeway for the beginning: the machine that signed may be ahead.
        const LEEWAY_SECONDS: i64 = 10;
        let now = now.as_second();
        self.exp.is_none_or(|end| now < end) && self.nbf.saturating_sub(LEEWAY_SECONDS) <= now
    }

    pub(super) fn check_bound(&self, snapshot: &Snapshot) -> Result<(), TokenFault> {
        let Bound { namespace, node, pod, secret, serviceaccount } = &self.bound;
        check("serviceaccounts", namespace, serviceaccount, snapshot)?;
        if let Some(pod) = pod {
            check("pods", namespace, pod, snapshot)?;
        }
        if let Some(secret) = secret {
            check("secrets", namespace, secret, snapshot)?;
        }
        match (pod, node) {
            // The pod speaks for its node.
            (None, Some(node)) => check("nodes", "", node, snapshot),
            _ => Ok(()),
        }
    }

    pub(super) fn identity(&self) -> Identity {
        let Bound { namespace, node, pod, serviceaccount, .. } = &self.bound;
        let mut extra = BTreeMap::from([(CREDENTIAL_ID.to_owned(), vec![format!("JTI={}", self.jti)])]);
        for (what, reference) in [("pod", pod), ("node", node)] {
            if let Some(reference) = reference {
                extra.insert(format!("authentication.kubernetes.io/{what}-name"), vec![reference.name.clone()]);
                extra.insert(format!("authentication.kubernetes.io/{what}-uid"), vec![reference.uid.clone()]);
            }
        }
        let uid = serviceaccount.uid.clone();
        Identity { user: self.sub.clone(), uid, groups: account_groups(namespace), extra }
    }
}

fn check(resource: &str, namespace: &str, wanted: &Reference, snapshot: &Snapshot) -> Result<(), TokenFault> {
    let key = Key::new(resource, namespace, &wanted.name);
    match snapshot.get(&key) {
        Some(found) if found.uid() == wanted.uid => Ok(()),
        _ => Err(TokenFault::Gone(key.to_string())),
    }
}
