use std::time::Duration;

use axum::http::{HeaderMap, Response, StatusCode, header};
use bytes::Bytes;
use serde::de::DeserializeOwned;
use wstd::http::Body;

use super::{CallError, Failure};

/// What a service answered. Its body is read on demand.
#[derive(Debug)]
pub struct Reply {
    request: String,
    response: Response<Body>,
}

/// Of the body of an answer that is an error, in its message.
const SHOWN_CHARACTERS_MAX: usize = 200;

impl Reply {
    pub(super) fn new(request: String, response: Response<Body>) -> Self {
        Self { request, response }
    }

    pub fn status(&self) -> StatusCode {
        self.response.status()
    }

    pub fn headers(&self) -> &HeaderMap {
        self.response.headers()
    }

    /// An error unless the status is a success.
    pub async fn ok(mut self) -> Result<Self, CallError> {
        let status = self.status();
        if status.is_success() {
            return Ok(self);
        }
        let body = self.response.body_mut().str_contents().await.unwrap_or_default();
        let body = body.trim().chars().take(SHOWN_CHARACTERS_MAX).collect();
        Err(self.failed(Failure::Status { status, body }))
    }

    /// The body of an answer with success, as JSON.
    pub async fn json<T: DeserializeOwned>(self) -> Result<T, CallError> {
        let mut reply = self.ok().await?;
        let bytes = reply.read().await?;
        serde_json::from_slice(&bytes).map_err(|error| reply.failed(Failure::Unexpected(error)))
    }

    /// The body, whatever the status.
    pub async fn bytes(mut self) -> Result<Bytes, CallError> {
        self.read().await
    }

    /// The body, whatever the status; what is not UTF-8 is replaced.
    pub async fn text(mut self) -> Result<String, CallError> {
        Ok(String::from_utf8_lossy(&self.read().await?).into_owned())
    }

    /// To be handed on as it is: the body streams.
    pub fn into_response(self) -> Response<axum::body::Body> {
        self.response.map(|body| axum::body::Body::new(body.into_boxed_body()))
    }

    /// Seconds; dates are left out, since a guest's clock need not agree.
    pub(super) fn retry_after(&self) -> Option<Duration> {
        let seconds = self.headers().get(header::RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
        Some(Duration::from_secs(seconds))
    }

    async fn read(&mut self) -> Result<Bytes, CallError> {
        let read = self.response.body_mut().bytes_contents().await;
        read.map_err(|error| self.failed(Failure::Broken(format!("{error:#}"))))
    }

    fn failed(&self, failure: Failure) -> CallError {
        CallError { request: self.request.clone(), attempts: 1, failure }
    }
}
