//! What the replicas write, as they come and go.

use std::collections::HashSet;
use std::sync::Arc;

use anyhow::{Context, Result};
use futures::StreamExt;
use serde_json::Value;
use tokio_util::task::AbortOnDropHandle;

use crate::session::{JSON, Session};
use crate::verbs::pods::{list, name, selector_of};
use crate::verbs::targets::query;

/// Follows the logs of one workload's pods until it is dropped.
pub(super) struct Output {
    session: Arc<Session>,
    selector: Option<String>,
    _task: Option<AbortOnDropHandle<()>>,
}

impl Output {
    pub(super) fn new(session: Arc<Session>) -> Self {
        Self { session, selector: None, _task: None }
    }

    /// From now on, and for pods that are still to come; those that are followed already are left to it.
    pub(super) fn follow(&mut self, workload: &Value) -> Result<()> {
        let selector = selector_of(workload).context("the Deployment has no selector")?;
        if self.selector.as_ref() != Some(&selector) {
            self._task = Some(AbortOnDropHandle::new(tokio::spawn(run(self.session.clone(), selector.clone()))));
            self.selector = Some(selector);
        }
        Ok(())
    }
}

/// The path of a workload's pods.
pub(super) fn pods(session: &Session, workload: &Value) -> String {
    collection(session, selector_of(workload).as_deref(), &[])
}

fn collection(session: &Session, selector: Option<&str>, more: &[(&str, Option<&str>)]) -> String {
    let parameters: Vec<_> = [("labelSelector", selector)].into_iter().chain(more.iter().copied()).collect();
    format!("/api/v1/namespaces/{}/pods{}", session.namespace, query(&parameters))
}

async fn run(session: Arc<Session>, selector: String) {
    let mut followed = HashSet::new();
    let mut logs: tokio::task::JoinSet<()> = tokio::task::JoinSet::new();
    loop {
        // A watch that ended, or that the server ended, begins anew with what there is.
        let Ok(pods) = list(&session, &collection(&session, Some(&selector), &[])).await else {
            tokio::time::sleep(RETRY).await;
            continue;
        };
        for pod in &pods {
            begin(&session, pod, &mut followed, &mut logs);
        }
        let Ok(mut events) =
            session.stream(&collection(&session, Some(&selector), &[("watch", Some("true"))]), JSON).await
        else {
            tokio::time::sleep(RETRY).await;
            continue;
        };
        while let Some(Ok(event)) = events.next().await {
            begin(&session, &event["object"], &mut followed, &mut logs);
        }
    }
}

const RETRY: std::time::Duration = std::time::Duration::from_secs(1);

/// Each run of a container is followed once.
fn begin(
    session: &Arc<Session>,
    pod: &Value,
    followed: &mut HashSet<(String, i64)>,
    logs: &mut tokio::task::JoinSet<()>,
) {
    while logs.try_join_next().is_some() {}
    let status = &pod["status"]["containerStatuses"][0];
    let uid = pod["metadata"]["uid"].as_str().unwrap_or_default().to_owned();
    let has_begun = status["state"]["running"].is_object() || status["state"]["terminated"].is_object();
    if has_begun && followed.insert((uid, status["restartCount"].as_i64().unwrap_or(0))) {
        let (session, pod) = (session.clone(), name(pod).to_owned());
        let container = status["name"].as_str().unwrap_or_default().to_owned();
        logs.spawn(async move { copy(&session, &pod, &container).await });
    }
}

async fn copy(session: &Session, pod: &str, container: &str) {
    let parameters = query(&[("follow", Some("true")), ("container", Some(container))]);
    let path = format!("/api/v1/namespaces/{}/pods/{pod}/log{parameters}", session.namespace);
    let Ok(lines) = session.lines(&path, "*/*").await else { return };
    let mut lines = Box::pin(lines);
    while let Some(Ok(line)) = lines.next().await {
        println!("[{pod}] {line}");
    }
}
