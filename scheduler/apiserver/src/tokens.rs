//! ServiceAccount tokens: signed statements (JWT) of which account, and for which pod, until when. Nothing of them is
//! stored: the signature says that they are ours, the snapshot whether what they speak of is still there.

mod claims;
mod jwt;
mod openid;
mod request;
mod secret;

use std::fmt;
use std::path::Path;

use jiff::Timestamp;
use rcgen::KeyPair;
use wasmk_api::{Reason, Snapshot, Status};

pub(crate) use claims::{Bound, Claims, Reference};
pub(crate) use openid::{configuration, keys};
pub(crate) use request::request;
pub(crate) use secret::fill;

use crate::Identity;
use crate::pki::{PkiError, private_file};
use jwt::Key;

/// Who signs, and the audience of tokens that name none: this API itself.
pub(crate) const ISSUER: &str = "https://kubernetes.default.svc.cluster.local";
const KEY_FILE: &str = "service-account.key";

/// Signs tokens and knows them again.
pub struct AccountTokens {
    key: Key,
}

/// Why a token does not count.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TokenFault {
    #[error("it is no token of this cluster")]
    Foreign,
    #[error("it has expired")]
    Expired,
    #[error("it is for another audience than {0}")]
    Audience(String),
    #[error("{0} is gone")]
    Gone(String),
}

impl AccountTokens {
    /// The key in `directory`, made there the first time: tokens outlive a restart.
    pub fn load_or_create(directory: &Path) -> Result<Self, PkiError> {
        let path = directory.join(KEY_FILE);
        let key = match private_file::read(&path)? {
            Some(pem) => KeyPair::from_pem(&pem).map_err(|_| PkiError::Damaged { path: path.clone() })?,
            None => {
                let key = KeyPair::generate()?;
                private_file::write(&path, &key.serialize_pem())?;
                key
            }
        };
        let key = Key::from_pkcs8(&key.serialize_der()).ok_or(PkiError::Damaged { path })?;
        Ok(Self { key })
    }

    pub(crate) fn sign(&self, claims: &Claims) -> Result<String, Status> {
        let refused = || Status::new(Reason::InternalError, "the token cannot be signed: the system has no randomness");
        self.key.sign(claims).ok_or_else(refused)
    }

    /// Who shows `token`, if it is for one of `audiences` and what it speaks of is still there.
    pub(crate) fn verify(
        &self,
        token: &str,
        audiences: &[&str],
        snapshot: &Snapshot,
        now: Timestamp,
    ) -> Result<Identity, TokenFault> {
        let claims = self.claims(token)?;
        if !claims.is_valid_at(now) {
            return Err(TokenFault::Expired);
        }
        if !claims.aud.iter().any(|audience| audiences.contains(&audience.as_str())) {
            return Err(TokenFault::Audience(audiences.join(", ")));
        }
        claims.check_bound(snapshot)?;
        Ok(claims.identity())
    }

    /// What a token of ours says, whether it still counts or not.
    pub(crate) fn claims(&self, token: &str) -> Result<Claims, TokenFault> {
        let claims: Claims = self.key.open(token).ok_or(TokenFault::Foreign)?;
        if claims.iss == ISSUER { Ok(claims) } else { Err(TokenFault::Foreign) }
    }
}

/// The groups of every account of a namespace.
pub(crate) fn account_groups(namespace: &str) -> Vec<String> {
    vec!["system:serviceaccounts".to_owned(), format!("system:serviceaccounts:{namespace}")]
}

/// Never shows the key.
impl fmt::Debug for AccountTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AccountTokens({})", self.key.id)
    }
}

#[cfg(test)]
mod tests;
