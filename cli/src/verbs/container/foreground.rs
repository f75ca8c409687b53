//! A container in the foreground: its output here, our input and signals there, its exit code ours.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use futures::StreamExt;
use futures::future::BoxFuture;
use serde_json::Value;
use tokio::io::{AsyncWrite, AsyncWriteExt};

use super::api::{Containers, Grace};
use super::name;
use super::state::State;
use crate::verbs::process::Interrupts;
use crate::verbs::remote::{Remote, Wanted};
use crate::verbs::targets::query;

/// After the end of a container its last lines are given this long.
const LAST_LINES_LIMIT: Duration = Duration::from_secs(5);
/// What Docker gives a container that is told to stop.
const GRACE: Grace = Grace(10);

/// Streams the container of a Pod until its first end; answers what to exit with. A first signal stops the
/// container, a second one leaves it to itself.
pub(crate) async fn follow(containers: &Arc<Containers>, pod: Value, stdin: bool, tty: bool) -> Result<u8> {
    let mut interrupts = Interrupts::new()?;
    let ended = first_end(containers, pod.clone());
    let output = output(containers, &pod, stdin, tty);
    tokio::pin!(ended, output);
    let (mut code, mut has_output, mut signal) = (None, true, None);
    while code.is_none() || has_output {
        let patience = async move {
            match code {
                Some(_) => tokio::time::sleep(LAST_LINES_LIMIT).await,
                None => std::future::pending().await,
            }
        };
        // Each arm is polled again in the next round, or done; the timer begins anew with each event.
        tokio::select! {
            end = &mut ended, if code.is_none() => code = Some(end?),
            () = &mut output, if has_output => has_output = false,
            () = patience => break,
            number = interrupts.next() => {
                if signal.replace(number).is_some() {
                    break;
                }
                let (containers, name) = (containers.clone(), name(&pod).to_owned());
                tokio::spawn(async move {
                    if let Err(error) = containers.stop(&name, GRACE).await {
                        eprintln!("{}", crate::session::explain(&error));
                    }
                });
            }
        }
    }
    let code = signal.map_or(code.unwrap_or_default(), |number| 128 + i64::from(number));
    Ok(u8::try_from(code & 0xff).unwrap_or(1))
}

/// The exit code of the first run that ends from here on.
async fn first_end(containers: &Containers, mut pod: Value) -> Result<i64> {
    let restarts = |pod: &Value| pod["status"]["containerStatuses"][0]["restartCount"].as_i64().unwrap_or(0);
    let before = restarts(&pod);
    loop {
        match State::of(&pod) {
            State::Exited { code, .. } | State::Restarting { code, .. } => return Ok(code),
            _ if restarts(&pod) > before => {
                let last = &pod["status"]["containerStatuses"][0]["lastState"]["terminated"];
                return Ok(last["exitCode"].as_i64().unwrap_or(0));
            }
            _ => {}
        }
        pod = match containers.next(&pod).await? {
            Some(next) => next,
            // Whoever removed it killed it.
            None => return Ok(137),
        };
    }
}

/// To the end of what the container writes. Its log loses nothing, but comes in lines; a terminal wants every byte at
/// once.
async fn output(containers: &Containers, pod: &Value, stdin: bool, tty: bool) {
    if tty && let Some(attached) = attach(containers, pod, stdin, true, false).await {
        return attached.await;
    }
    let logs = async {
        tokio::join!(
            log(containers, pod, "Stdout", tokio::io::stdout()),
            log(containers, pod, "Stderr", tokio::io::stderr())
        );
    };
    let input = async {
        if stdin && let Some(attached) = attach(containers, pod, true, false, true).await {
            attached.await;
        }
    };
    // Input that is still to come is no reason to go on.
    let input = async {
        input.await;
        std::future::pending::<()>().await
    };
    tokio::select! {
        () = logs => {}
        () = input => {}
    }
}

/// `None` when there is nothing to attach to any more.
async fn attach(
    containers: &Containers,
    pod: &Value,
    stdin: bool,
    tty: bool,
    is_silent: bool,
) -> Option<BoxFuture<'static, ()>> {
    let wanted = Wanted { pod: name(pod), container: name(pod), command: None, stdin, tty };
    let remote = Remote::open(&containers.session, &wanted).await.ok()?;
    Some(Box::pin(async move {
        // How it ended is read from the Pod.
        let _ = match is_silent {
            true => remote.run(tokio::io::stdin(), tokio::io::sink(), tokio::io::sink()).await,
            false => remote.run(tokio::io::stdin(), tokio::io::stdout(), tokio::io::stderr()).await,
        };
    }))
}

async fn log(containers: &Containers, pod: &Value, stream: &str, mut output: impl AsyncWrite + Unpin) {
    let path = format!("/api/v1/namespaces/{}/pods/{}/log", containers.session.namespace, name(pod));
    let path = format!("{path}{}", query(&[("follow", Some("true")), ("stream", Some(stream))]));
    let mut pieces = match containers.session.bytes(&path).await {
        Ok(pieces) => Box::pin(pieces),
        Err(error) => return eprintln!("{}", crate::session::explain(&error)),
    };
    while let Some(Ok(piece)) = pieces.next().await {
        if output.write_all(&piece).await.is_err() || output.flush().await.is_err() {
            return;
        }
    }
}
