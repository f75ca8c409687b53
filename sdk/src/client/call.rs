use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Request, header};
use bytes::Bytes;
use serde::Serialize;
use wstd::future::FutureExt;
use wstd::http::Body;

use super::budget::Budget;
use super::retry::{Attempt, Outcome, Policy, pause};
use super::{CallError, Client, Failure, Reply};
use crate::http::Trace;

/// A request that is being made.
#[must_use = "nothing is sent before `send`"]
#[derive(Debug)]
pub struct Call {
    method: Method,
    url: String,
    headers: HeaderMap,
    body: Bytes,
    is_idempotent: bool,
    policy: Policy,
    budget: Arc<Mutex<Budget>>,
    /// What was wrong with what it was made of, to be said when it is sent.
    invalid: Option<String>,
}

impl Call {
    pub(super) fn new(client: &Client, method: Method, url: String) -> Self {
        Self {
            is_idempotent: method.is_idempotent(),
            method,
            url,
            headers: client.headers.clone(),
            body: Bytes::new(),
            policy: client.policy,
            budget: client.budget.clone(),
            invalid: None,
        }
    }

    pub fn header(mut self, name: &str, value: &str) -> Self {
        match (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            (Ok(name), Ok(value)) => drop(self.headers.insert(name, value)),
            (Err(_), _) => self.invalid = Some(format!("{name:?} is no name of a header")),
            // Its value may be a secret.
            (_, Err(_)) => self.invalid = Some(format!("the value of header {name} has characters that none may have")),
        }
        self
    }

    pub fn bearer(self, token: &crate::Secret<String>) -> Self {
        self.header("authorization", &format!("Bearer {}", token.expose()))
    }

    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    pub fn json<T: Serialize + ?Sized>(mut self, value: &T) -> Self {
        match serde_json::to_vec(value) {
            Ok(text) => self.body = text.into(),
            Err(error) => self.invalid = Some(format!("the body is no JSON: {error}")),
        }
        self.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        self
    }

    /// As [`Client::timeout`], for this call.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.policy.timeout = timeout;
        self
    }

    /// It may be repeated though its method does not say so; for instance because the service knows it again by a key.
    pub fn idempotent(mut self) -> Self {
        self.is_idempotent = true;
        self
    }

    /// Sends it, more than once if need be. Any status is an answer; [`Reply::ok`] takes only success for one.
    pub async fn send(mut self) -> Result<Reply, CallError> {
        Trace::continue_in(&mut self.headers);
        self.locked().called();
        let started = Instant::now();
        for number in 1.. {
            let result = self.attempt(started).await;
            let outcome = match &result {
                Ok(reply) => Outcome::Answered { status: reply.status().as_u16(), wait: reply.retry_after() },
                Err(failure) => failure.outcome(),
            };
            let attempt = Attempt {
                number,
                is_idempotent: self.is_idempotent,
                outcome,
                elapsed: started.elapsed(),
                chance: chance(),
            };
            let pause = pause(&self.policy, attempt, &mut self.locked());
            match (pause, result) {
                (Some(pause), result) => {
                    let why = result.map_or_else(|failure| failure.to_string(), |reply| reply.status().to_string());
                    tracing::debug!(request = self.name(), attempt = number, why, "calling again");
                    wstd::task::sleep(pause.into()).await;
                }
                (None, Ok(reply)) => return Ok(reply),
                (None, Err(failure)) => return Err(CallError { request: self.name(), attempts: number, failure }),
            }
        }
        unreachable!("invariant: a policy allows a bounded number of attempts")
    }

    async fn attempt(&self, started: Instant) -> Result<Reply, Failure> {
        if let Some(problem) = &self.invalid {
            return Err(Failure::Invalid(problem.clone()));
        }
        let left = self.policy.timeout.saturating_sub(started.elapsed());
        let limit = left.min(self.policy.attempt_timeout);
        let mut client = wstd::http::Client::new();
        client.set_connect_timeout(limit);
        client.set_first_byte_timeout(limit);
        client.set_between_bytes_timeout(self.policy.attempt_timeout);
        let sent = client.send(self.request()?).timeout(wstd::task::sleep(limit.into())).await;
        match sent {
            Err(_) => Err(Failure::Timeout(limit)),
            Ok(Err(error)) => Err(Failure::of(&error, limit)),
            Ok(Ok(response)) => Ok(Reply::new(self.name(), response)),
        }
    }

    fn request(&self) -> Result<Request<Body>, Failure> {
        let mut request = Request::builder().method(self.method.clone()).uri(&self.url);
        if let Some(headers) = request.headers_mut() {
            headers.clone_from(&self.headers);
            if !self.body.is_empty() {
                headers.insert(header::CONTENT_LENGTH, self.body.len().into());
            }
        }
        request.body(self.body.clone().into()).map_err(|error| Failure::Invalid(format!("{}: {error}", self.url)))
    }

    fn name(&self) -> String {
        format!("{} {}", self.method, self.url)
    }

    fn locked(&self) -> std::sync::MutexGuard<'_, Budget> {
        self.budget.lock().expect("no panic while held")
    }
}

/// A number from 0 to 1.
fn chance() -> f64 {
    let mut byte = [0];
    wstd::rand::get_insecure_random_bytes(&mut byte);
    f64::from(byte[0]) / f64::from(u8::MAX)
}
