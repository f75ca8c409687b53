//! Events about pods and the node: repeated ones are counted, floods are dropped, none holds anything up.

mod correlate;

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Event, EventSource, ObjectReference};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use kube::Api;
use kube::api::{Patch, PatchParams, PostParams};
use serde_json::json;
use tokio::sync::mpsc;

use crate::Clock;
use crate::retry::{SERVER, is_not_found, is_refused};
use correlate::{Correlator, Verdict};

/// Events that wait for the server; when it is away longer, news is dropped.
const WAITING_MAX: usize = 1024;
const ATTEMPTS_MAX: u32 = 4;
const COMPONENT: &str = "wasmk-agent";

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Severity {
    Normal,
    Warning,
}

/// What happened to what.
#[derive(Clone, Debug)]
pub(crate) struct News {
    pub(crate) regarding: ObjectReference,
    pub(crate) severity: Severity,
    /// One of Kubernetes' words, such as `BackOff`.
    pub(crate) reason: &'static str,
    pub(crate) message: String,
}

#[derive(Clone)]
pub(crate) struct Recorder {
    sender: mpsc::Sender<(Timestamp, News)>,
    clock: Clock,
}

impl Recorder {
    /// Also the task that sends; it ends when every recorder is gone.
    pub(crate) fn spawn(client: kube::Client, node: Arc<str>, clock: Clock) -> Self {
        let (sender, receiver) = mpsc::channel(WAITING_MAX);
        tokio::spawn(EventTask { client, node, correlator: Correlator::default(), receiver }.run());
        Self { sender, clock }
    }

    /// Never waits.
    pub(crate) fn record(&self, news: News) {
        let _ = self.sender.try_send((self.clock.now(), news));
    }
}

struct EventTask {
    client: kube::Client,
    node: Arc<str>,
    correlator: Correlator,
    receiver: mpsc::Receiver<(Timestamp, News)>,
}

impl EventTask {
    async fn run(mut self) {
        while let Some((now, news)) = self.receiver.recv().await {
            match self.correlator.judge(&news, now) {
                Verdict::New { name } => self.create(&name, &news, now).await,
                Verdict::Again { name, count } => {
                    if !self.count(&name, &news, now, count).await {
                        // The first one has expired.
                        self.correlator.forget(&news);
                        if let Verdict::New { name } = self.correlator.judge(&news, now) {
                            self.create(&name, &news, now).await;
                        }
                    }
                }
                Verdict::Drop => (),
            }
        }
    }

    async fn create(&self, name: &str, news: &News, now: Timestamp) {
        let event = self.event(name, news, now);
        for attempt in 1..=ATTEMPTS_MAX {
            match self.api(news).create(&PostParams::default(), &event).await {
                Ok(_) => return,
                Err(error) if is_refused(&error) || attempt == ATTEMPTS_MAX => {
                    tracing::debug!(reason = news.reason, %error, "an event was lost");
                    return;
                }
                Err(_) => wait(attempt).await,
            }
        }
    }

    /// Whether the event is still there.
    async fn count(&self, name: &str, news: &News, now: Timestamp, count: i32) -> bool {
        let patch = json!({"count": count, "lastTimestamp": Time(now)});
        match self.api(news).patch(name, &PatchParams::default(), &Patch::Merge(patch)).await {
            Err(error) if is_not_found(&error) => false,
            // Any other failure: the next repetition brings the count.
            _ => true,
        }
    }

    fn api(&self, news: &News) -> Api<Event> {
        Api::namespaced(self.client.clone(), namespace(news))
    }

    fn event(&self, name: &str, news: &News, now: Timestamp) -> Event {
        Event {
            metadata: ObjectMeta {
                name: Some(name.to_owned()),
                namespace: Some(namespace(news).to_owned()),
                ..ObjectMeta::default()
            },
            involved_object: news.regarding.clone(),
            reason: Some(news.reason.to_owned()),
            message: Some(news.message.clone()),
            type_: Some(news.severity.as_str().to_owned()),
            count: Some(1),
            first_timestamp: Some(Time(now)),
            last_timestamp: Some(Time(now)),
            source: Some(EventSource { component: Some(COMPONENT.into()), host: Some(self.node.to_string()) }),
            reporting_component: Some(COMPONENT.into()),
            reporting_instance: Some(self.node.to_string()),
            ..Event::default()
        }
    }
}

impl Severity {
    fn as_str(self) -> &'static str {
        match self {
            Self::Normal => "Normal",
            Self::Warning => "Warning",
        }
    }
}

/// Events of things without a namespace are in `default`.
fn namespace(news: &News) -> &str {
    news.regarding.namespace.as_deref().unwrap_or("default")
}

async fn wait(attempt: u32) {
    let delay: Duration = SERVER.delay(attempt);
    tokio::time::sleep(delay).await;
}
