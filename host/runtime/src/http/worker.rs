//! The task that owns one instance and gives it requests, one after another.

use super::HttpGuest;
use super::job::{Job, Reply};
use crate::fault::{Ending, Fault, FaultKind, ending};
use crate::guest::Guest;
use crate::meter::Metered;
use crate::program::Instance;
use crate::sandbox::{Live, Sandbox};
use crate::{BoxError, CallError};
use http::Request;
use http_body_util::BodyExt;
use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};
use wasmtime::Store;
use wasmtime_wasi_http::handler::Proxy;
use wasmtime_wasi_http::p2::bindings::http::types::Scheme;
use wasmtime_wasi_http::{WasiBody, WasiHttpView, p2, p3};

/// A worker whose instance waits for another request.
#[derive(Clone)]
pub(super) struct Idle(mpsc::Sender<Job>);

/// Why a request's instance was stopped from outside.
enum Stop {
    Killed,
    ClientLeft,
    /// The response is long read, the guest still computes.
    Lingering,
}

/// Gives a job to the warmest instance that waits, or to a new one.
pub(super) fn assign(guest: &Arc<HttpGuest>, mut job: Job) {
    while let Some(Idle(sender)) = pop_idle(guest) {
        match sender.try_send(job) {
            Ok(()) => return,
            // It gave up waiting a moment ago.
            Err(mpsc::error::TrySendError::Full(back) | mpsc::error::TrySendError::Closed(back)) => job = back,
        }
    }
    let worker = run(guest.clone(), job);
    guest.workers.spawn_on(worker, &guest.sandbox.shared.guests);
}

fn pop_idle(guest: &HttpGuest) -> Option<Idle> {
    guest.idle.lock().unwrap().pop()
}

/// A request's slot is given back only when its instance is gone or waits, so that there are never more instances than
/// slots: the memory limit was divided by them.
async fn run(guest: Arc<HttpGuest>, first: Job) {
    let limits = guest.sandbox.spec.requests;
    let (sender, mut inbox) = mpsc::channel(1);
    let mut live = None;
    let mut job = first;
    for served in 1.. {
        let Job { request, reply, departure, slot } = job;
        let fit = serve_job(&guest, &mut live, request, &reply, departure).await;
        if !fit || served >= limits.per_instance_max || guest.draining.load(Relaxed) {
            retire(live, slot).await;
            return;
        }
        guest.idle.lock().unwrap().push(Idle(sender.clone()));
        drop(slot);
        match next_job(&guest, &sender, &mut inbox, limits.idle_timeout).await {
            Some(next) => job = next,
            None => break,
        }
    }
}

/// The instance first, then its slot; what it said last may have to wait for a reader.
async fn retire(live: Option<Live>, slot: OwnedSemaphorePermit) {
    let output = live.map(|live| live.output);
    drop(slot);
    if let Some(output) = output {
        output.close().await;
    }
}

/// Waits for another request, on the list of those who do.
async fn next_job(
    guest: &HttpGuest,
    sender: &mpsc::Sender<Job>,
    inbox: &mut mpsc::Receiver<Job>,
    timeout: Duration,
) -> Option<Job> {
    tokio::select! {
        biased;
        () = guest.kill.cancelled() => None,
        waited = tokio::time::timeout(timeout, inbox.recv()) => match waited {
            Ok(job) => job,
            Err(_) => {
                guest.idle.lock().unwrap().retain(|idle| !idle.0.same_channel(sender));
                // Someone may have taken us off the list just before.
                inbox.close();
                inbox.recv().await
            }
        },
    }
}

/// True if the instance is fit for another request; if not, it may be gone already.
async fn serve_job(
    guest: &HttpGuest,
    live: &mut Option<Live>,
    request: Request<WasiBody>,
    reply: &Reply,
    departure: oneshot::Receiver<()>,
) -> bool {
    let timeout = guest.sandbox.spec.requests.timeout;
    let cpu = guest.sandbox.cpu.clone();
    // Each arm may be dropped at any time: that drops the instance, which is what it is for.
    let result = tokio::select! {
        biased;
        () = guest.kill.cancelled() => Err(Stop::Killed),
        stop = departed(departure, timeout) => Err(stop),
        result = Metered::new(cpu, serve(&guest.sandbox, live, request, reply)) => Ok(result),
    };
    match result {
        Ok(Ok(())) => return true,
        Ok(Err(error)) => fail(guest, live.take(), reply, &error).await,
        Err(Stop::Killed) => drop(live.take()), // a log that nobody reads must not hold up the end
        Err(Stop::ClientLeft) => {}
        Err(Stop::Lingering) => {
            let message = format!("the guest went on for {} s after its response", timeout.as_secs_f64());
            guest.report(Fault::timeout(message)).await;
        }
    }
    false
}

async fn departed(departure: oneshot::Receiver<()>, timeout: Duration) -> Stop {
    match departure.await {
        Ok(()) => {
            tokio::time::sleep(timeout).await;
            Stop::Lingering
        }
        Err(_) => Stop::ClientLeft,
    }
}

/// Answers the client, unless it has its answer, then tells log and owner. The instance goes first: whoever hears of
/// the fault may send the next request at once.
async fn fail(guest: &HttpGuest, live: Option<Live>, reply: &Reply, error: &wasmtime::Error) {
    let fault = match ending(error) {
        Ending::Fault(fault) => fault,
        Ending::Exited(code) => Fault {
            kind: FaultKind::Trap,
            message: format!("the guest exited with code {code} instead of returning from its handler"),
            backtrace: Vec::new(),
            time: std::time::SystemTime::now(),
        },
    };
    let output = live.map(|live| live.output);
    let message = fault.message.clone();
    reply.send(Err(match fault.kind {
        FaultKind::OutOfMemory => CallError::OutOfMemory { message },
        FaultKind::Trap | FaultKind::Timeout => CallError::Trapped { message },
    }));
    if let Some(output) = output {
        output.close().await; // what it said before comes before its backtrace
    }
    guest.report(fault).await;
}

async fn serve(
    sandbox: &Sandbox,
    live: &mut Option<Live>,
    request: Request<WasiBody>,
    reply: &Reply,
) -> wasmtime::Result<()> {
    let live = match live {
        Some(live) => live,
        None => live.insert(sandbox.instantiate().await?),
    };
    match &live.instance {
        Instance::Http(Proxy::P2(proxy)) => serve_p2(&mut live.store, proxy, request, reply).await?,
        Instance::Http(Proxy::P3(service)) => serve_p3(&mut live.store, service, request, reply).await?,
        Instance::CommandP2(_) | Instance::CommandP3(_) => {
            unreachable!("invariant: only HTTP handlers get requests")
        }
    }
    if reply.is_sent() { Ok(()) } else { Err(wasmtime::Error::msg("the guest returned without a response")) }
}

async fn serve_p2(
    store: &mut Store<Guest>,
    proxy: &p2::bindings::Proxy,
    request: Request<WasiBody>,
    reply: &Reply,
) -> wasmtime::Result<()> {
    let reply = reply.clone();
    let request = store.data_mut().http().new_incoming_request(Scheme::Http, request)?;
    let out = store.data_mut().http().new_response_outparam_from_callback(move |result| {
        reply.send(match result {
            Ok(response) => {
                Ok(response.map(|body| body.map_err(|code| BoxError::from(code.to_string())).boxed_unsync()))
            }
            Err(code) => Err(CallError::Guest(code.to_string())),
        });
    })?;
    proxy.wasi_http_incoming_handler().call_handle(store, request, out).await
}

async fn serve_p3(
    store: &mut Store<Guest>,
    service: &p3::bindings::Service,
    request: Request<WasiBody>,
    reply: &Reply,
) -> wasmtime::Result<()> {
    let (request, transmission) = p3::Request::from_http(store.data_mut().http().hooks, request);
    store
        .run_concurrent(async |accessor| {
            let response = match service.handle(accessor, request).await? {
                Ok(response) => response,
                Err(code) => {
                    reply.send(Err(CallError::Guest(code.to_string())));
                    return Ok(());
                }
            };
            let response = accessor.with(|mut store| response.into_http(&mut store, transmission))?;
            reply.send(Ok(response.map(|body| body.map_err(BoxError::from).boxed_unsync())));
            // Tasks of the guest produce the body: go on until nothing is left to do.
            poll_fn(|cx| accessor.poll_no_interesting_tasks(cx)).await;
            Ok(())
        })
        .await?
}
