//! Who asks: whom the certificate of the connection names, or the bearer token of the request; or whom that user asks
//! to be taken for.

mod impersonate;

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName};
use jiff::Timestamp;
use wasmk_api::{Reason, Snapshot, Status};

use crate::Identity;
use crate::tokens::{AccountTokens, ISSUER};

/// What the listener or an in-process client knows of the asker, and what the request itself shows.
pub(crate) fn authenticate(
    tokens: &AccountTokens,
    connection: Option<&Identity>,
    headers: &HeaderMap,
    snapshot: &Snapshot,
) -> Result<Identity, Status> {
    let identity = match connection {
        Some(identity) => Some(identity.clone()),
        None => bearer(headers).and_then(|token| {
            let verified = tokens.verify(token, &[ISSUER], snapshot, Timestamp::now());
            verified.inspect_err(|error| tracing::debug!(%error, "a bearer token is refused")).ok()
        }),
    };
    // Why it is refused is for the log alone, as in Kubernetes.
    let identity = identity.ok_or_else(|| Status::new(Reason::Unauthorized, "Unauthorized"))?;
    impersonate::act_as(identity.authenticated(), headers, snapshot)
}

/// Takes out as whom the client wanted to act, once that is decided: neither pods behind a proxy nor anybody else is to
/// read it, or what proxies before Kubernetes' servers say of users.
pub(crate) fn forget(headers: &mut HeaderMap) {
    let told: Vec<HeaderName> = headers
        .keys()
        .filter(|name| ["impersonate-", "x-remote-"].iter().any(|prefix| name.as_str().starts_with(prefix)))
        .cloned()
        .collect();
    for name in told {
        headers.remove(name);
    }
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
}
