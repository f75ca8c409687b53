use http::header::{
    AUTHORIZATION, CONNECTION, HeaderName, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE, TRAILER, TRANSFER_ENCODING,
    UPGRADE,
};
use http::{HeaderMap, HeaderValue};

use crate::serve::Peer;

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// Those that speak of one connection only.
const HOP_BY_HOP: [HeaderName; 9] = [
    CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION,
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
];

/// Takes out what is not for the next hop, and what says who the client is to this server.
pub(super) fn strip(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = tokens(headers).filter_map(|token| token.parse().ok()).collect();
    for name in named.iter().chain(&HOP_BY_HOP).chain(&[AUTHORIZATION]) {
        headers.remove(name);
    }
}

/// Asks the next hop for another protocol. Servers want both headers (RFC 9110, 7.8).
pub(super) fn ask_for(headers: &mut HeaderMap, protocol: HeaderValue) {
    headers.insert(UPGRADE, protocol);
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
}

pub(super) fn is_upgrade(headers: &HeaderMap) -> bool {
    headers.contains_key(UPGRADE) && tokens(headers).any(|token| token.eq_ignore_ascii_case("upgrade"))
}

/// Tells the pod where the client thinks it is, and over whom the request came.
pub(super) fn forwarded(headers: &mut HeaderMap, host: &HeaderValue, uri: &str, peer: Option<Peer>) {
    if let Some(Peer(address)) = peer {
        let before = headers.get_all(FORWARDED_FOR).into_iter().filter_map(|value| value.to_str().ok());
        let way: Vec<String> = before.map(str::to_owned).chain([address.to_string()]).collect();
        headers.insert(FORWARDED_FOR, HeaderValue::from_str(&way.join(", ")).expect("texts of headers, joined"));
    }
    headers.insert("x-forwarded-host", host.clone());
    headers.insert("x-forwarded-proto", HeaderValue::from_static("https"));
    if let Ok(uri) = HeaderValue::from_str(uri) {
        headers.insert("x-forwarded-uri", uri);
    }
}

fn tokens(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let values = headers.get_all(CONNECTION).into_iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_of_one_connection_is_taken_out() {
        let pairs = [
            ("connection", "x-own, close"),
            ("x-own", "1"),
            ("te", "trailers"),
            ("authorization", "Bearer x"),
            ("accept", "*/*"),
        ];
        let pairs = pairs.map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
        let mut headers: HeaderMap = pairs.into_iter().collect();
        strip(&mut headers);
        assert_eq!(headers.keys().map(HeaderName::as_str).collect::<Vec<_>>(), ["accept"]);
    }

    #[test]
    fn the_way_of_a_request_is_told() {
        let mut headers = HeaderMap::new();
        headers.append(FORWARDED_FOR, HeaderValue::from_static("192.0.2.1"));
        headers.append(FORWARDED_FOR, HeaderValue::from_static("192.0.2.2, 192.0.2.3"));
        let host = HeaderValue::from_static("h");
        forwarded(&mut headers, &host, "/x", None);
        assert_eq!(headers.get_all(FORWARDED_FOR).iter().count(), 2);
        forwarded(&mut headers, &host, "/x", Some(Peer("2001:db8::1".parse().unwrap())));
        let way: Vec<_> = headers.get_all(FORWARDED_FOR).iter().collect();
        assert_eq!(way, ["192.0.2.1, 192.0.2.2, 192.0.2.3, 2001:db8::1"]);
    }
}
