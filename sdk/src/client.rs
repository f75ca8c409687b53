//! Calls to other services by name, with a deadline, and with retries where they do no harm.
//!
//! ```no_run
//! # use serde::{Deserialize, Serialize};
//! # #[derive(Serialize)] struct New { text: String }
//! # #[derive(Deserialize)] struct Entry { id: u64 }
//! # async fn example(new: New) -> Result<(), wasmk_sdk::client::CallError> {
//! use std::time::Duration;
//! use wasmk_sdk::Client;
//!
//! let store = Client::to("guestbook-store"); // http://guestbook-store, a Service of this namespace
//! let entries: Vec<Entry> = store.get("/entries").send().await?.json().await?;
//! let entry: Entry = store.post("/entries").json(&new).timeout(Duration::from_secs(2)).send().await?.json().await?;
//! # Ok(())
//! # }
//! ```
//!
//! **Time.** [`Client::timeout`] (10 s) is for the whole call, its attempts and the pauses between them, until the head of the
//! response; [`Client::attempt_timeout`] (3 s) is for each attempt, and for each pause within the response's body.
//!
//! **Retries.** Up to [`Client::attempts_max`] (3) attempts, 50 ms, 100 ms, … apart, each pause shortened by chance. Repeated is a
//! request that no one has seen (refused, nothing to send it to); and, if its method is idempotent or [`Call::idempotent`] says
//! so, one that broke off, took too long, or was answered with 502, 503 or 504. `Retry-After` is obeyed, if there is time.
//! A budget keeps retries from multiplying a disturbance: a client and its clones have 5 at first, and gain one for ten calls.
//!
//! **Belonging together.** `x-request-id`, `traceparent` and `tracestate` of the request that is being served go along.

mod budget;
mod call;
mod error;
mod response;
mod retry;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::http::{HeaderMap, Method};

use budget::Budget;
pub use call::Call;
pub use error::{CallError, Failure};
pub use response::Reply;
use retry::Policy;

/// Calls one service. Clones share the budget for retries.
#[derive(Clone, Debug)]
pub struct Client {
    base: String,
    policy: Policy,
    headers: HeaderMap,
    budget: Arc<Mutex<Budget>>,
}

impl Client {
    /// To a Service by its name: `store`, `store:8080`, `store.other-namespace`; or to a URL with a scheme.
    pub fn to(service: &str) -> Self {
        let service = service.trim_end_matches('/');
        let base = if service.contains("://") { service.to_owned() } else { format!("http://{service}") };
        Self { base, policy: Policy::default(), headers: HeaderMap::new(), budget: Arc::default() }
    }

    /// For a whole call, up to the head of its response.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.policy.timeout = timeout;
        self
    }

    /// For one attempt.
    pub fn attempt_timeout(mut self, timeout: Duration) -> Self {
        self.policy.attempt_timeout = timeout;
        self
    }

    /// One means that nothing is repeated.
    pub fn attempts_max(mut self, attempts: u32) -> Self {
        self.policy.attempts_max = attempts.max(1);
        self
    }

    /// Headers of every call.
    pub fn headers(mut self, headers: HeaderMap) -> Self {
        self.headers = headers;
        self
    }

    pub fn get(&self, path: &str) -> Call {
        self.call(Method::GET, path)
    }

    pub fn head(&self, path: &str) -> Call {
        self.call(Method::HEAD, path)
    }

    pub fn post(&self, path: &str) -> Call {
        self.call(Method::POST, path)
    }

    pub fn put(&self, path: &str) -> Call {
        self.call(Method::PUT, path)
    }

    pub fn patch(&self, path: &str) -> Call {
        self.call(Method::PATCH, path)
    }

    pub fn delete(&self, path: &str) -> Call {
        self.call(Method::DELETE, path)
    }

    /// `path` begins with a slash, and may have a query.
    pub fn call(&self, method: Method, path: &str) -> Call {
        let slash = if path.starts_with('/') { "" } else { "/" };
        Call::new(self, method, format!("{}{slash}{path}", self.base))
    }
}
