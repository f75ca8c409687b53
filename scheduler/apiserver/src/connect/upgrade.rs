use axum::body::Body;
use axum::response::Response;
use http::header::{
    CONNECTION, HeaderName, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION,
    UPGRADE,
};
use http::{HeaderMap, StatusCode};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use wasmk_api::{Reason, Status};

const STREAM_PROTOCOL: HeaderName = HeaderName::from_static("x-stream-protocol-version");

/// How a client wants to go on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Transport {
    WebSocket,
    Spdy,
}

impl Transport {
    /// 400 when the request does not ask for an upgrade that there is.
    pub(super) fn of(headers: &HeaderMap) -> Result<Self, Status> {
        let required = || Status::bad_request("Upgrade request required");
        if !list(headers, &CONNECTION).any(|token| token.eq_ignore_ascii_case("upgrade")) {
            return Err(required());
        }
        let mut upgrades = list(headers, &UPGRADE);
        let upgrade = upgrades.next().unwrap_or_default();
        match () {
            _ if upgrade.eq_ignore_ascii_case("websocket") => Ok(Self::WebSocket),
            _ if upgrade.eq_ignore_ascii_case("SPDY/3.1") => Ok(Self::Spdy),
            _ => Err(required()),
        }
    }

    /// The first of the client's protocols that is among `supported`; a WebSocket client may name none, which is "".
    pub(super) fn negotiate<T: Copy>(
        self,
        headers: &HeaderMap,
        supported: &[(&'static str, T)],
    ) -> Result<(&'static str, T), Status> {
        let asked: Vec<&str> = match self {
            Self::WebSocket => list(headers, &SEC_WEBSOCKET_PROTOCOL).collect(),
            Self::Spdy => list(headers, &STREAM_PROTOCOL).collect(),
        };
        if asked.is_empty() && self == Self::Spdy {
            return Err(Status::bad_request("unable to upgrade: X-Stream-Protocol-Version is required"));
        }
        let asked = if asked.is_empty() { vec![""] } else { asked };
        let find = |asked: &&str| supported.iter().find(|(name, _)| name == asked).copied();
        asked.iter().find_map(find).ok_or_else(|| {
            let names: Vec<&str> = supported.iter().map(|(name, _)| *name).filter(|name| !name.is_empty()).collect();
            Status::new(
                Reason::Forbidden,
                format!(
                    "unable to upgrade: unable to negotiate protocol: client supports [{}], server accepts [{}]",
                    asked.join(" "),
                    names.join(" ")
                ),
            )
        })
    }

    /// The 101 that agrees to `protocol`.
    pub(super) fn response(self, headers: &HeaderMap, protocol: &'static str) -> Result<Response, Status> {
        let mut response =
            http::Response::builder().status(StatusCode::SWITCHING_PROTOCOLS).header(CONNECTION, "Upgrade");
        match self {
            Self::WebSocket => {
                let key = headers.get(SEC_WEBSOCKET_KEY);
                let version = headers.get(SEC_WEBSOCKET_VERSION).is_some_and(|version| version == "13");
                let key = key.filter(|_| version);
                let key =
                    key.ok_or_else(|| Status::bad_request("a WebSocket of version 13 and its key are required"))?;
                response = response
                    .header(UPGRADE, "websocket")
                    .header(SEC_WEBSOCKET_ACCEPT, derive_accept_key(key.as_bytes()));
                if !protocol.is_empty() {
                    response = response.header(SEC_WEBSOCKET_PROTOCOL, protocol);
                }
            }
            Self::Spdy => response = response.header(UPGRADE, "SPDY/3.1").header(STREAM_PROTOCOL, protocol),
        }
        response.body(Body::empty()).map_err(|error| Status::bad_request(error.to_string()))
    }
}

/// Comma-separated values of all headers of that name.
fn list<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    let values = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(str::trim).filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap())).collect()
    }

    #[test]
    fn a_transport_is_asked_for_by_two_headers() {
        let of = |connection, upgrade| Transport::of(&headers(&[("connection", connection), ("upgrade", upgrade)]));
        assert_eq!(of("keep-alive, Upgrade", "websocket"), Ok(Transport::WebSocket));
        assert_eq!(of("upgrade", "SPDY/3.1"), Ok(Transport::Spdy));
        assert_eq!(of("Upgrade", "h2c").unwrap_err().message, "Upgrade request required");
        assert_eq!(of("close", "websocket").unwrap_err().code, 400);
    }

    #[test]
    fn the_clients_first_choice_that_there_is_counts() {
        let supported = [("v5", 5), ("v4", 4), ("", 0)];
        let ask =
            |protocols| Transport::WebSocket.negotiate(&headers(&[("sec-websocket-protocol", protocols)]), &supported);
        assert_eq!(ask("v6, v4,v5"), Ok(("v4", 4)));
        assert_eq!(Transport::WebSocket.negotiate(&HeaderMap::new(), &supported), Ok(("", 0)));
        assert_eq!(
            ask("v9").unwrap_err().message,
            "unable to upgrade: unable to negotiate protocol: client supports [v9], server accepts [v5 v4]"
        );
        let spdy = Transport::Spdy.negotiate(&HeaderMap::new(), &supported).unwrap_err();
        assert_eq!(spdy.message, "unable to upgrade: X-Stream-Protocol-Version is required");
    }
}
