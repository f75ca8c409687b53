//! Guests that are called per request. While no request runs there is no instance at all.

mod job;
mod streamed;
mod worker;

use crate::command::exit_reason;
use crate::container::ExitReason;
use crate::fault::Fault;
use crate::meter::Metered;
use crate::outgoing::to_wasi_body;
use crate::sandbox::Sandbox;
use crate::{Body, spec::RequestLimits};
use http::uri::{Authority, Scheme};
use http::{Request, Response, StatusCode, Uri};
use job::{Job, Reply};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use streamed::Streamed;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;
use worker::Idle;

/// Calls a container that exports a `wasi:http` handler.
pub struct HttpGuest {
    sandbox: Arc<Sandbox>,
    kill: CancellationToken,
    draining: AtomicBool,
    /// Requests that run or wait.
    queue: Arc<Semaphore>,
    /// Requests that run.
    slots: Arc<Semaphore>,
    in_flight: TaskTracker,
    workers: TaskTracker,
    /// Instances that wait for another request, the warmest last.
    idle: Mutex<Vec<Idle>>,
}

/// Why a call has no response.
#[derive(Clone, Debug, thiserror::Error)]
pub enum CallError {
    #[error("too many requests are waiting for this container")]
    Overloaded,
    #[error("no response within {} s", .0.as_secs_f64())]
    Timeout(Duration),
    #[error("the guest trapped: {message}")]
    Trapped { message: String },
    #[error("{message}")]
    OutOfMemory { message: String },
    #[error("the guest answered with an error: {0}")]
    Guest(String),
    #[error("the container is stopping or gone")]
    Stopped,
    #[error("bad request: {0}")]
    BadRequest(String),
}

impl CallError {
    /// What an HTTP client should see.
    pub fn status(&self) -> StatusCode {
        match self {
            CallError::Overloaded | CallError::Stopped => StatusCode::SERVICE_UNAVAILABLE,
            CallError::Timeout(_) => StatusCode::GATEWAY_TIMEOUT,
            CallError::Guest(_) => StatusCode::BAD_GATEWAY,
            CallError::BadRequest(_) => StatusCode::BAD_REQUEST,
            CallError::Trapped { .. } | CallError::OutOfMemory { .. } => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// True if the guest never saw the request, so that another replica may be tried.
    pub fn is_unseen(&self) -> bool {
        matches!(self, CallError::Overloaded | CallError::Stopped)
    }
}

impl HttpGuest {
    pub(crate) fn new(sandbox: Arc<Sandbox>, kill: CancellationToken) -> Arc<Self> {
        let limits = &sandbox.spec.requests;
        let running = concurrency(limits, sandbox.memory.bytes_max(), sandbox.program.initial_memory_bytes());
        Arc::new(HttpGuest {
            kill,
            draining: AtomicBool::new(false),
            queue: Arc::new(Semaphore::new(running + limits.queued_max)),
            slots: Arc::new(Semaphore::new(running)),
            in_flight: TaskTracker::new(),
            workers: TaskTracker::new(),
            idle: Mutex::default(),
            sandbox,
        })
    }

    /// Hands one request to an instance. Both bodies stream; dropping the future or the response's body drops the instance.
    pub async fn call(self: &Arc<Self>, request: Request<Body>) -> Result<Response<Body>, CallError> {
        let visit = self.enter()?;
        let request = with_authority(request)?.map(to_wasi_body);
        let head_only = request.method() == http::Method::HEAD;
        let timeout = self.sandbox.spec.requests.timeout;
        let deadline = Instant::now() + timeout;
        let slot = match tokio::time::timeout_at(deadline, self.slots.clone().acquire_owned()).await {
            Ok(slot) => slot.expect("invariant: the semaphore is never closed"),
            Err(_) => return Err(CallError::Overloaded),
        };
        let (reply, answer) = oneshot::channel();
        let (finished, departure) = oneshot::channel();
        worker::assign(self, Job { request, reply: Reply::new(reply), departure, slot });
        match tokio::time::timeout_at(deadline, answer).await {
            Ok(Ok(result)) => Ok(Streamed::wrap(result?, head_only, finished, visit)),
            Ok(Err(_)) => Err(CallError::Stopped),
            Err(_) => Err(self.timed_out(timeout)),
        }
    }

    /// Requests being served or queued, until the last byte of their responses.
    pub fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    /// Refuses new requests and waits for those in flight.
    pub(crate) async fn drain(&self) {
        self.draining.store(true, Relaxed);
        self.in_flight.close();
        self.in_flight.wait().await;
    }

    /// The container's main task: makes sure that the guest can be instantiated, and ends only if it cannot.
    pub(crate) async fn serve(&self) -> ExitReason {
        match Metered::new(self.sandbox.cpu.clone(), self.sandbox.instantiate()).await {
            Ok(live) => drop(live),
            Err(error) => return exit_reason(&self.sandbox, &error, "").await,
        }
        std::future::pending().await
    }

    /// Waits until no instance is left; only after the kill token was cancelled.
    pub(crate) async fn gone(&self) {
        self.workers.close();
        self.workers.wait().await;
    }

    fn enter(&self) -> Result<Visit, CallError> {
        if self.kill.is_cancelled() || self.draining.load(Relaxed) {
            return Err(CallError::Stopped);
        }
        let place = self.queue.clone().try_acquire_owned().map_err(|_| CallError::Overloaded)?;
        Ok(Visit { _in_flight: self.in_flight.token(), _place: place })
    }

    fn timed_out(self: &Arc<Self>, timeout: Duration) -> CallError {
        let error = CallError::Timeout(timeout);
        let (guest, fault) = (self.clone(), Fault::timeout(error.to_string()));
        self.workers.spawn_on(async move { guest.report(fault).await }, &self.sandbox.shared.guests);
        error
    }

    /// Tells the log and the container's owner of a request that went wrong.
    async fn report(&self, fault: Fault) {
        self.sandbox.log_fault(&fault).await;
        (self.sandbox.spec.on_fault)(fault);
    }
}

/// A request's place in the container, from its arrival to its last byte.
struct Visit {
    _in_flight: TaskTrackerToken,
    _place: OwnedSemaphorePermit,
}

/// As many at once as asked for, and as fit into the memory limit.
fn concurrency(limits: &RequestLimits, memory_bytes_max: u64, instance_bytes: u64) -> usize {
    let fitting = memory_bytes_max / instance_bytes.max(1);
    usize::try_from(fitting).unwrap_or(usize::MAX).min(limits.concurrent_max).clamp(1, Semaphore::MAX_PERMITS / 2)
}

/// Guests expect to know the authority: taken from `Host` where the URI has none, as in HTTP/1.
fn with_authority(mut request: Request<Body>) -> Result<Request<Body>, CallError> {
    if request.uri().authority().is_some() {
        return Ok(request);
    }
    let host = request.headers().get(http::header::HOST).map_or(&b"localhost"[..], |host| host.as_bytes());
    let authority = Authority::try_from(host).map_err(|error| CallError::BadRequest(format!("Host: {error}")))?;
    let mut parts = std::mem::take(request.uri_mut()).into_parts();
    parts.scheme = Some(Scheme::HTTP);
    parts.authority = Some(authority);
    *request.uri_mut() = Uri::from_parts(parts).map_err(|error| CallError::BadRequest(error.to_string()))?;
    Ok(request)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::{BodyExt, Empty};

    fn uri(target: &str, host: Option<&str>) -> Result<String, String> {
        let mut request = Request::builder().uri(target);
        if let Some(host) = host {
            request = request.header("host", host);
        }
        let body = Empty::new().map_err(|never| match never {}).boxed_unsync();
        with_authority(request.body(body).unwrap())
            .map(|request| request.uri().to_string())
            .map_err(|error| error.to_string())
    }

    #[test]
    fn the_authority_comes_from_the_host_header_unless_the_uri_has_one() {
        assert_eq!(uri("/a?b", Some("shop:8080")), Ok("http://shop:8080/a?b".into()));
        assert_eq!(uri("/a", None), Ok("http://localhost/a".into()));
        assert_eq!(uri("https://x/a", Some("y")), Ok("https://x/a".into()));
        assert!(uri("/", Some("not a host")).unwrap_err().starts_with("bad request: Host:"));
    }

    #[test]
    fn concurrency_fits_the_memory_limit_but_is_never_zero() {
        let limits = RequestLimits { concurrent_max: 100, ..RequestLimits::default() };
        assert_eq!(concurrency(&limits, u64::MAX, 1 << 20), 100);
        assert_eq!(concurrency(&limits, 16 << 20, 1 << 20), 16);
        assert_eq!(concurrency(&limits, 1 << 10, 1 << 20), 1);
        assert_eq!(concurrency(&limits, u64::MAX, 0), 100);
    }
}
