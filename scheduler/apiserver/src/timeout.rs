//! How long a request may take. Streams take as long as they last; source: `WithRequestDeadline` of k8s.io/apiserver.

use std::time::Duration;

use axum::response::Response;
use wasmk_api::{Reason, Status};

use crate::request::{Query, Target, Verb};
use crate::respond::status_response;
use crate::subresource::{self, Lasts};

/// As kube-apiserver's `--request-timeout`; clients may ask for less, not for more.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);

/// `None` for what lasts as long as it lasts.
pub(crate) fn limit(target: &Target, query: &str) -> Result<Option<Duration>, Status> {
    let lasts = |path| subresource::of_path(path).is_some_and(|subresource| subresource.lasts != Lasts::Moment);
    if target.verb == Verb::Watch || target.resource.as_ref().is_none_or(lasts) {
        return Ok(None);
    }
    let query = Query::parse(query);
    let Some(text) = query.text("timeout") else { return Ok(Some(REQUEST_TIMEOUT)) };
    let asked = parse_duration(text).map_err(|fault| {
        Status::bad_request(format!("invalid timeout specified in the request URL - time: {fault} {text:?}"))
    })?;
    Ok(Some(if asked.is_zero() { REQUEST_TIMEOUT } else { asked.min(REQUEST_TIMEOUT) }))
}

/// The answer, or 504 when it takes longer. What was begun is dropped; whether a write took effect is then unknown.
pub(crate) async fn within(limit: Option<Duration>, answer: impl Future<Output = Response>) -> Response {
    let Some(limit) = limit else { return answer.await };
    tokio::time::timeout(limit, answer).await.unwrap_or_else(|_| {
        let message = "Timeout: request did not complete within the allotted timeout";
        status_response(&Status::new(Reason::Timeout, message))
    })
}

/// As Go writes durations: `1m30s`, `1.5h`, `500ms`.
fn parse_duration(text: &str) -> Result<Duration, &'static str> {
    const INVALID: &str = "invalid duration";
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let (mut rest, mut seconds) = (text, 0.0_f64);
    if rest.is_empty() {
        return Err(INVALID);
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (number, after) = rest.split_at(digits);
        let letters = after.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(after.len());
        let (unit, after) = after.split_at(letters);
        let number: f64 = number.parse().map_err(|_| INVALID)?;
        seconds += number
            * match unit {
                "ns" => 1e-9,
                "us" | "µs" => 1e-6,
                "ms" => 1e-3,
                "s" => 1.0,
                "m" => 60.0,
                "h" => 3600.0,
                "" => return Err("missing unit in duration"),
                _ => return Err(INVALID),
            };
        rest = after;
    }
    Duration::try_from_secs_f64(seconds).map_err(|_| INVALID)
}

#[cfg(test)]
mod tests {
    use http::Method;

    use super::*;

    #[track_caller]
    fn limit_of(path: &str, query: &str) -> Result<Option<u128>, String> {
        let target = Target::parse(&Method::GET, path, query.contains("watch")).unwrap();
        limit(&target, query).map(|limit| limit.map(|limit| limit.as_millis())).map_err(|status| status.message)
    }

    #[test]
    fn a_request_has_a_minute_or_less() {
        let pods = "/api/v1/pods";
        assert_eq!(limit_of(pods, ""), Ok(Some(60_000)));
        assert_eq!(limit_of(pods, "timeout=32s"), Ok(Some(32_000)));
        assert_eq!(limit_of(pods, "timeout=1.5s"), Ok(Some(1_500)));
        assert_eq!(limit_of(pods, "timeout=0m0s"), Ok(Some(60_000)));
        assert_eq!(limit_of(pods, "timeout=10h"), Ok(Some(60_000)));
        assert_eq!(limit_of(pods, "watch=1&timeout=1s"), Ok(None));
        for stream in ["pods/p/log", "pods/p/exec", "pods/p/portforward", "pods/p/proxy/x", "services/s/proxy"] {
            assert_eq!(limit_of(&format!("/api/v1/namespaces/a/{stream}"), "timeout=1s"), Ok(None), "{stream}");
        }
        // What only has the name of a stream.
        assert_eq!(limit_of("/api/v1/namespaces/a/configmaps/c/exec", "timeout=1s"), Ok(Some(1_000)));
    }

    #[test]
    fn a_timeout_that_is_none_is_refused() {
        for (text, fault) in [
            ("5", "missing unit in duration"),
            ("x", "invalid duration"),
            ("5y", "invalid duration"),
            ("-1s", "invalid duration"),
        ] {
            let expected = format!("invalid timeout specified in the request URL - time: {fault} {text:?}");
            assert_eq!(limit_of("/api/v1/pods", &format!("timeout={text}")), Err(expected));
        }
    }
}
