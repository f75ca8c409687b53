use std::net::IpAddr;

use http::header::{CONNECTION, HeaderMap, HeaderName, HeaderValue, TE, TRANSFER_ENCODING, UPGRADE};

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// Removes what concerns one connection only (RFC 9110, 7.6.1).
pub(crate) fn strip_hop_by_hop(headers: &mut HeaderMap) {
    if let Some(listed) = headers.remove(CONNECTION) {
        for name in listed.to_str().unwrap_or_default().split(',') {
            if let Ok(name) = HeaderName::try_from(name.trim()) {
                headers.remove(name);
            }
        }
    }
    for name in [KEEP_ALIVE, PROXY_CONNECTION, TRANSFER_ENCODING, UPGRADE] {
        headers.remove(name);
    }
    if headers.get(TE).is_some_and(|te| te != "trailers") {
        headers.remove(TE);
    }
}

/// The `x-forwarded-*` headers of one client's connection, made once.
pub(crate) struct Forwarded(HeaderValue);

impl Forwarded {
    pub(crate) fn new(client: IpAddr) -> Self {
        Self(HeaderValue::try_from(client.to_string()).expect("an address is a header value"))
    }

    pub(crate) fn add_to(&self, headers: &mut HeaderMap) {
        let value = match headers.get(FORWARDED_FOR) {
            None => self.0.clone(),
            Some(known) => {
                let joined = [known.as_bytes(), b", ", self.0.as_bytes()].concat();
                HeaderValue::from_bytes(&joined).unwrap_or_else(|_| self.0.clone())
            }
        };
        headers.insert(FORWARDED_FOR, value);
        headers.insert(FORWARDED_PROTO, HeaderValue::from_static("http"));
    }
}

/// Whether the client asks to leave HTTP on this connection. An offer of `h2c` may be ignored, and is.
pub(crate) fn wants_upgrade(headers: &HeaderMap) -> bool {
    headers.get(UPGRADE).is_some_and(|protocol| !protocol.as_bytes().eq_ignore_ascii_case(b"h2c"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        lines.iter().map(|(n, v)| (HeaderName::from_static(n), HeaderValue::from_static(v))).collect()
    }

    #[test]
    fn connection_headers_go_and_the_rest_stays() {
        let mut all = headers(&[
            ("connection", "keep-alive, X-Secret"),
            ("x-secret", "1"),
            ("keep-alive", "timeout=5"),
            ("te", "trailers"),
            ("upgrade", "h2c"),
            ("accept", "*/*"),
        ]);
        strip_hop_by_hop(&mut all);
        assert_eq!(all, headers(&[("te", "trailers"), ("accept", "*/*")]));
    }

    #[test]
    fn a_client_is_appended_to_the_proxies_before_it() {
        let mut all = headers(&[("x-forwarded-for", "1.2.3.4")]);
        Forwarded::new("9.9.9.9".parse().unwrap()).add_to(&mut all);
        assert_eq!(all["x-forwarded-for"], "1.2.3.4, 9.9.9.9");
    }
}
