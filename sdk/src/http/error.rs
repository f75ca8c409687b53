use std::fmt::{self, Debug, Display, Formatter};

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

/// An error that is a response: a status, what the client may read, and a cause that only the log sees.
///
/// Any error becomes one with `?`: status 500 and no detail, except for a failed call of [`Client`](crate::Client), which is a 502 or
/// a 504. The body is a problem document (RFC 9457): `{"title":"Not Found","status":404,"detail":"there is no order 7"}`.
pub struct Error {
    status: StatusCode,
    detail: Option<String>,
    source: Option<anyhow::Error>,
}

impl Error {
    /// `detail` is for the client.
    pub fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self { status, detail: Some(detail.into()), source: None }
    }

    /// With a cause for the log.
    pub fn because(mut self, source: impl Into<anyhow::Error>) -> Self {
        self.source = Some(source.into());
        self
    }

    pub fn status(&self) -> StatusCode {
        self.status
    }
}

/// Gives what can fail a status and a text for the client.
pub trait OrStatus<T> {
    fn or_status(self, status: StatusCode, detail: impl Into<String>) -> Result<T, Error>;
}

impl<T, E: Into<anyhow::Error>> OrStatus<T> for Result<T, E> {
    fn or_status(self, status: StatusCode, detail: impl Into<String>) -> Result<T, Error> {
        self.map_err(|error| Error::new(status, detail).because(error))
    }
}

impl<T> OrStatus<T> for Option<T> {
    fn or_status(self, status: StatusCode, detail: impl Into<String>) -> Result<T, Error> {
        self.ok_or_else(|| Error::new(status, detail))
    }
}

impl<E: Into<anyhow::Error>> From<E> for Error {
    fn from(source: E) -> Self {
        let source = source.into();
        let call = source.downcast_ref::<crate::client::CallError>();
        let status = call.map_or(StatusCode::INTERNAL_SERVER_ERROR, crate::client::CallError::status);
        Self { status, detail: None, source: Some(source) }
    }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        if let Some(source) = &self.source {
            let (status, error) = (self.status.as_u16(), format!("{source:#}"));
            match self.status.is_server_error() {
                true => tracing::error!(status, error, "{}", self.title()),
                false => tracing::debug!(status, error, "{}", self.title()),
            }
        }
        let mut problem = json!({ "title": self.title(), "status": self.status.as_u16() });
        if let Some(detail) = self.detail {
            problem["detail"] = detail.into();
        }
        let mut response = (self.status, Json(problem)).into_response();
        let kind = HeaderValue::from_static("application/problem+json");
        response.headers_mut().insert(header::CONTENT_TYPE, kind);
        response
    }
}

impl Error {
    fn title(&self) -> &'static str {
        self.status.canonical_reason().unwrap_or("Error")
    }
}

/// With the cause: for logs, not for clients.
impl Display for Error {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let detail = self.detail.as_deref();
        match (&self.source, detail) {
            (Some(source), Some(detail)) => write!(f, "{detail}: {source:#}"),
            (Some(source), None) => write!(f, "{source:#}"),
            (None, detail) => f.write_str(detail.unwrap_or(self.title())),
        }
    }
}

impl Debug for Error {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{} {self}", self.status)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::tests::shown;
    use expect_test::expect;

    #[test]
    fn an_error_that_was_not_foreseen_tells_the_client_nothing() {
        let error = Error::from(std::io::Error::other("password=hunter2"));
        assert_eq!(error.to_string(), "password=hunter2");
        expect![[r#"
            500 application/problem+json
            {"status":500,"title":"Internal Server Error"}"#]]
        .assert_eq(&shown(error.into_response()));
    }

    #[test]
    fn a_status_comes_with_a_detail_for_the_client() {
        let missing: Option<u8> = None;
        let error = missing.or_status(StatusCode::NOT_FOUND, "there is no order 7").unwrap_err();
        expect![[r#"
            404 application/problem+json
            {"detail":"there is no order 7","status":404,"title":"Not Found"}"#]]
        .assert_eq(&shown(error.into_response()));
        let error = "x".parse::<u8>().or_status(StatusCode::BAD_REQUEST, "no number").unwrap_err();
        assert_eq!(format!("{error:?}"), "400 Bad Request no number: invalid digit found in string");
    }
}
