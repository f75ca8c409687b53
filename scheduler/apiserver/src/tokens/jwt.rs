//! The compact form of JSON Web Tokens (RFC 7515) with the one algorithm that is used here, ES256. A header that says
//! anything else is not read further, so that nobody can ask for a weaker one.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, ParsedPublicKey,
};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

const ALGORITHM: &str = "ES256";
/// Ours are shorter than half of this.
const LENGTH_MAX: usize = 16 * 1024;
/// An uncompressed point of P-256: a byte that says so, then both coordinates.
const POINT_BYTES: usize = 65;

pub(super) struct Key {
    pair: EcdsaKeyPair,
    public: ParsedPublicKey,
    pub(super) id: String,
}

#[derive(Serialize, Deserialize)]
struct Header<'a> {
    alg: &'a str,
    kid: &'a str,
}

impl Key {
    /// `None` when it is no P-256 key.
    pub(super) fn from_pkcs8(der: &[u8]) -> Option<Self> {
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der).ok()?;
        let point = pair.public_key().as_ref();
        if point.len() != POINT_BYTES {
            return None;
        }
        let public = ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).ok()?;
        let id = URL_SAFE_NO_PAD.encode(Sha256::digest(point));
        Some(Self { pair, public, id })
    }

    /// `None` when the machine has no randomness to give.
    pub(super) fn sign(&self, claims: &impl Serialize) -> Option<String> {
        let header = Header { alg: ALGORITHM, kid: &self.id };
        let signed = format!("{}.{}", encode(&header)?, encode(claims)?);
        let signature = self.pair.sign(&SystemRandom::new(), signed.as_bytes()).ok()?;
        Some(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }

    /// What the token says, if this key signed it.
    pub(super) fn open<T: DeserializeOwned>(&self, token: &str) -> Option<T> {
        let (signed, signature) = token.rsplit_once('.').filter(|_| token.len() <= LENGTH_MAX)?;
        let (header, claims) = signed.split_once('.')?;
        let header = URL_SAFE_NO_PAD.decode(header).ok()?;
        let header: Header = serde_json::from_slice(&header).ok()?;
        if header.alg != ALGORITHM || header.kid != self.id {
            return None;
        }
        let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
        self.public.verify_sig(signed.as_bytes(), &signature).ok()?;
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).ok()?).ok()
    }

    /// The public key's coordinates, as a JSON Web Key has them.
    pub(super) fn coordinates(&self) -> [String; 2] {
        let (x, y) = self.pair.public_key().as_ref()[1..].split_at(POINT_BYTES / 2);
        [x, y].map(|number| URL_SAFE_NO_PAD.encode(number))
    }
}

fn encode(value: &impl Serialize) -> Option<String> {
    serde_json::to_vec(value).ok().map(|json| URL_SAFE_NO_PAD.encode(json))
}
