use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use wasmk_api::{Key, Reason, ResourceName, Status};

use crate::request::json_fault;

/// Where a list goes on: the revision it began at, and the first key that may come. The form is Kubernetes' own; source:
/// `k8s.io/apiserver/pkg/storage/continue.go`.
#[derive(Serialize, Deserialize, Default)]
#[serde(default)]
pub(super) struct ContinueToken {
    v: String,
    /// [`LATEST`] in a token that replaces one whose revision is no longer there.
    pub(super) rv: i64,
    /// What is left of `<namespace>/<name>\0` below the list's own path.
    start: String,
}

/// Instead of a revision: whatever is there now, at the price of a list that is not of one revision.
pub(super) const LATEST: i64 = -1;
const TOKEN_VERSION: &str = "meta.k8s.io/v1";

const EXPIRED: &str = "The provided continue parameter is too old to display a consistent list result. \
    You can start a new list without the continue parameter, or use the continue token in this response to retrieve \
    the remainder of the results. Continuing with the provided token results in an inconsistent list - objects that \
    were created, modified, or deleted between the time the first chunk was returned and now may show up in the list.";

impl ContinueToken {
    /// `namespace` is the one that the list's path names; empty when it names none.
    pub(super) fn after(key: &Key, namespace: &str, revision: u64) -> Self {
        let start = match (&*key.namespace, namespace) {
            ("", _) => format!("{}\0", key.name),
            (_, "") => format!("{}/{}\0", key.namespace, key.name),
            _ => format!("{}\0", key.name),
        };
        Self { v: TOKEN_VERSION.to_owned(), rv: i64::try_from(revision).unwrap_or(i64::MAX), start }
    }

    pub(super) fn encode(&self) -> String {
        URL_SAFE_NO_PAD.encode(serde_json::to_vec(self).expect("a token always encodes"))
    }

    pub(super) fn decode(text: &str) -> Result<Self, Status> {
        let refused =
            |why: String| Err(Status::bad_request(format!("invalid continue token: continue key is not valid: {why}")));
        let bytes = match URL_SAFE_NO_PAD.decode(text) {
            Ok(bytes) => bytes,
            Err(error) => return refused(base64_fault(&error, text)),
        };
        let token: Self = match serde_json::from_slice(&bytes) {
            Ok(token) => token,
            Err(error) => return refused(json_fault(&bytes).unwrap_or_else(|| error.to_string())),
        };
        match &token {
            Self { v, .. } if v != TOKEN_VERSION => {
                refused(format!("server does not recognize this encoded version {v}"))
            }
            Self { rv: 0, .. } => refused(format!("incorrect encoded start resourceVersion (version {TOKEN_VERSION})")),
            Self { start, .. } if start.is_empty() => {
                refused(format!("encoded start key empty (version {TOKEN_VERSION})"))
            }
            Self { start, .. } if !is_clean(start) => refused(start.clone()),
            _ => Ok(token),
        }
    }

    /// The first key that may come.
    pub(super) fn key(&self, resource: &ResourceName, namespace: &str) -> Key {
        match self.start.split_once('/') {
            Some((namespace, name)) => Key::new(resource.clone(), namespace, name),
            None => Key::new(resource.clone(), namespace, &self.start),
        }
    }

    /// 410, with a token to go on nevertheless.
    pub(super) fn expired(&self) -> Status {
        let token = Self { v: TOKEN_VERSION.to_owned(), rv: LATEST, start: self.start.clone() };
        let mut status = Status::new(Reason::Expired, EXPIRED);
        status.continue_token = Some(token.encode().into());
        status
    }
}

/// A key that leads nowhere but below the list.
fn is_clean(start: &str) -> bool {
    start.trim_start_matches('/').split('/').all(|part| !matches!(part, "" | "." | ".."))
}

/// In Go's words.
fn base64_fault(error: &base64::DecodeError, text: &str) -> String {
    let at = match error {
        base64::DecodeError::InvalidByte(at, _) => *at,
        _ => text.len(),
    };
    format!("illegal base64 data at input byte {at}")
}
