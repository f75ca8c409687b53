use std::time::Duration;

use futures::StreamExt;
use futures::future::{BoxFuture, FutureExt};
use futures::stream::FuturesUnordered;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, copy_bidirectional};
use tracing::debug;
use wasmk_spdy::{Role, Session, Stream, session};

use super::Pod;
use super::pairs::{Label, Pair, Pairs};

/// As the kubelet waits for the second stream of a pair.
const PAIR_TIMEOUT: Duration = Duration::from_secs(30);

pub(super) async fn run(connection: impl AsyncRead + AsyncWrite, pod: Pod) {
    let (mut session, driver) = session(connection, Role::Server);
    // The session lasts as long as its client; connections to the pod end with it.
    tokio::select! {
        ended = driver => debug!(?ended, "the client is gone"),
        () = serve(&mut session, pod) => {}
    }
}

/// What has ended.
enum Done {
    Connection,
    /// The wait for the second stream of this request.
    Wait(String),
}

async fn serve(session: &mut Session, pod: Pod) {
    let mut pairs = Pairs::new();
    // As many as a session's streams, which are bounded.
    let mut running = FuturesUnordered::<BoxFuture<Done>>::new();
    loop {
        // Both arms are cancel-safe: a stream not taken stays in the session's queue.
        let incoming = tokio::select! {
            incoming = session.accept() => incoming,
            Some(done) = running.next() => {
                if let Done::Wait(request) = done {
                    pairs.expire(&request);
                }
                continue;
            }
        };
        let Some(incoming) = incoming else { return };
        let label = Label::read(|name| incoming.headers().get(name), incoming.id());
        // A stream that fits nothing is refused by being dropped.
        let Some(label) = label else { continue };
        let request = label.request.clone();
        match pairs.add(label, incoming.accept()) {
            Some(pair) => running.push(forward(pod.clone(), pair).map(|()| Done::Connection).boxed()),
            None => running.push(tokio::time::sleep(PAIR_TIMEOUT).map(|()| Done::Wait(request)).boxed()),
        }
    }
}

/// One connection, to its end on both sides.
async fn forward(pod: Pod, pair: Pair<Stream>) {
    let Pair { port, mut data, mut error } = pair;
    match pod.connect(port).await {
        Ok(mut connection) => {
            if let Err(error) = copy_bidirectional(&mut data, &mut connection).await {
                debug!(%error, port, "a forwarded connection broke off");
            }
        }
        Err(status) => {
            let _ = error.write_all(pod.failure(port, &status).as_bytes()).await;
        }
    }
    let _ = data.shutdown().await;
    let _ = error.shutdown().await;
}
