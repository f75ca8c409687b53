use std::fmt;
use std::path::Path;

use sha2::{Digest, Sha256};

use super::{CertificateAuthority, PkiError, private_file};

const FILE: &str = "join-secret";
/// 256 bits: nobody guesses it, so tries need not be counted.
const SECRET_BYTES: usize = 32;

/// What lets a machine join: it names the authority to trust (so the first, unverified, connection can be checked)
/// and carries the secret that the server asks for. Shown as `wk1.<sha-256 of the CA certificate>.<secret>`.
pub struct JoinToken {
    ca_fingerprint: String,
    secret: String,
}

impl JoinToken {
    /// The same token at every start; the secret lies in `directory`, readable by its owner alone.
    pub fn load_or_create(directory: &Path, ca: &CertificateAuthority) -> Result<Self, PkiError> {
        let path = directory.join(FILE);
        let secret = match private_file::read(&path)? {
            Some(text) => text.trim().to_owned(),
            None => {
                let secret = hex::encode(rand::random::<[u8; SECRET_BYTES]>());
                private_file::write(&path, &secret)?;
                secret
            }
        };
        if secret.len() != 2 * SECRET_BYTES || !secret.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(PkiError::Damaged { path });
        }
        Ok(Self { ca_fingerprint: ca.fingerprint(), secret })
    }

    /// Whether a joining machine knows the secret. The comparison takes equally long wherever they differ.
    pub fn admits(&self, secret: &str) -> bool {
        let digests = Sha256::digest(&self.secret).into_iter().zip(Sha256::digest(secret));
        digests.fold(0, |difference, (ours, theirs)| difference | (ours ^ theirs)) == 0
    }
}

impl fmt::Display for JoinToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "wk1.{}.{}", self.ca_fingerprint, self.secret)
    }
}

/// Never shows the secret.
impl fmt::Debug for JoinToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JoinToken({})", self.ca_fingerprint)
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    #[test]
    fn the_token_survives_a_restart_and_admits_only_its_own_secret() {
        let directory = tempfile::tempdir().unwrap();
        let ca = CertificateAuthority::load_or_create(directory.path(), Timestamp::now()).unwrap();
        let token = JoinToken::load_or_create(directory.path(), &ca).unwrap();
        let again = JoinToken::load_or_create(directory.path(), &ca).unwrap();
        assert_eq!(token.to_string(), again.to_string());
        let text = token.to_string();
        let parts: Vec<&str> = text.split('.').collect();
        assert_eq!(parts[..2], ["wk1", &ca.fingerprint()]);
        assert!(token.admits(parts[2]));
        assert!(!token.admits("") && !token.admits(&parts[2].to_uppercase()));
    }

    #[test]
    fn a_damaged_secret_is_reported_with_its_file() {
        let directory = tempfile::tempdir().unwrap();
        let ca = CertificateAuthority::load_or_create(directory.path(), Timestamp::now()).unwrap();
        std::fs::write(directory.path().join(FILE), "short").unwrap();
        let error = JoinToken::load_or_create(directory.path(), &ca).unwrap_err();
        assert!(error.to_string().contains(FILE), "{error}");
    }
}
