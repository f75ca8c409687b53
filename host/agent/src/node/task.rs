use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt, pin_mut};
use k8s_openapi::api::core::v1::Node;
use kube::Api;
use kube::api::{Patch, PatchParams, PostParams};
use kube::runtime::{WatchStreamExt, watcher};
use serde_json::json;
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;

use super::remember::Remembered;
use super::system::SystemInfo;
use super::{lease, status};
use crate::Images;
use crate::parts::Parts;
use crate::retry::{SERVER, ServerBackoff, is_conflict};

/// How often images and the rest are looked at (the kubelet's `nodeStatusUpdateFrequency`).
const LOOK_EVERY: Duration = Duration::from_secs(10);
/// Between two reports, whatever others do to the Node.
const REPORT_GAP: Duration = Duration::from_millis(500);

/// Keeps the Node object true: registers it, heartbeats, and learns the node's address range from it.
pub(crate) struct NodeTask {
    parts: Arc<Parts>,
    images: Arc<dyn Images>,
    registered: watch::Sender<bool>,
    stopping: watch::Receiver<Option<Duration>>,
    system: SystemInfo,
    /// As the watch shows it.
    node: Option<Node>,
    /// When the status was last sent.
    sent_at: Option<tokio::time::Instant>,
    failures: u32,
    /// There was something to report, too soon after the last.
    held: bool,
}

impl NodeTask {
    pub(crate) fn new(
        parts: Arc<Parts>,
        images: Arc<dyn Images>,
        registered: watch::Sender<bool>,
        stopping: watch::Receiver<Option<Duration>>,
    ) -> Self {
        let system = SystemInfo::detect();
        Self { parts, images, registered, stopping, system, node: None, sent_at: None, failures: 0, held: false }
    }

    pub(crate) async fn run(mut self) {
        let mut stopping = self.stopping.clone();
        // Neither half holds anything that a stop could tear.
        tokio::select! {
            () = self.keep() => (),
            _ = stopping.wait_for(Option::is_some) => (),
        }
    }

    async fn keep(&mut self) {
        self.register().await;
        self.registered.send_replace(true);
        let _lease = AbortOnDropHandle::new(tokio::spawn(lease::keep(self.parts.clone())));
        let name = &self.parts.config.node_name;
        let config = watcher::Config::default().fields(&format!("metadata.name={name}"));
        let events = watcher(Api::<Node>::all(self.parts.client.clone()), config).backoff(ServerBackoff::default());
        pin_mut!(events);
        let mut listed = false;
        loop {
            let wait = match (self.held, self.failures) {
                (true, _) => REPORT_GAP,
                (false, 0) => LOOK_EVERY,
                (false, failures) => SERVER.delay(failures),
            };
            // Both are cancel-safe: the stream keeps its place, the timer is made anew.
            tokio::select! {
                Some(event) = events.next() => match event {
                    Ok(watcher::Event::Init) => listed = false,
                    Ok(watcher::Event::InitApply(node) | watcher::Event::Apply(node)) => {
                        listed = true;
                        self.take(node);
                    }
                    // Somebody deleted it, but here we are.
                    Ok(watcher::Event::InitDone) if listed => (),
                    Ok(watcher::Event::InitDone | watcher::Event::Delete(_)) => {
                        self.node = None;
                        self.register().await;
                    }
                    Err(error) => {
                        tracing::debug!(%error, "the watch of the node is interrupted");
                        continue;
                    }
                },
                () = tokio::time::sleep(wait) => (),
            }
            self.report().await;
        }
    }

    /// Until the server has the node.
    async fn register(&mut self) {
        for attempt in 1.. {
            match self.try_register().await {
                Ok(node) => return self.take(node),
                Err(error) => {
                    tracing::debug!(%error, "the node is not registered yet");
                    tokio::time::sleep(SERVER.delay(attempt)).await;
                }
            }
        }
    }

    async fn try_register(&self) -> kube::Result<Node> {
        let (api, config) = (self.api(), &self.parts.config);
        if api.get_opt(&config.node_name).await?.is_none() {
            let status = status::status(config, &self.system, self.images.list().await, None, config.clock.now());
            match api.create(&PostParams::default(), &status::node(config, status)).await {
                // Another request of ours came first.
                Err(error) if is_conflict(&error) => (),
                created => drop(created?),
            }
        }
        let patch = Patch::Merge(json!({"metadata": {"labels": status::labels(config)}}));
        api.patch(&config.node_name, &PatchParams::default(), &patch).await
    }

    fn take(&mut self, node: Node) {
        let cidr = node.spec.as_ref().and_then(|spec| spec.pod_cidr.as_ref()).and_then(|cidr| cidr.parse().ok());
        if let Some(cidr) = cidr
            && *self.parts.addresses.subscribe().borrow() != Some(cidr)
        {
            tracing::info!(%cidr, "the node's pods have addresses in this range");
            Remembered { pod_cidr: Some(cidr) }.store(&self.parts.config.data_dir);
            self.parts.addresses.set_cidr(cidr);
        }
        self.node = Some(node);
    }

    /// Sends the status if it changed, or was not sent for long.
    async fn report(&mut self) {
        self.held = false;
        let config = &self.parts.config;
        let Some(node) = &self.node else { return };
        let theirs = node.status.as_ref();
        let ours = status::status(config, &self.system, self.images.list().await, theirs, config.clock.now());
        let is_old = self.sent_at.is_none_or(|at| at.elapsed() >= config.node_status_interval);
        if !is_old && !status::differs(&ours, theirs) {
            return;
        }
        self.held = self.sent_at.is_some_and(|at| at.elapsed() < REPORT_GAP);
        if self.held {
            return;
        }
        let patch = Patch::Merge(json!({"status": ours}));
        match self.api().patch_status(&config.node_name, &PatchParams::default(), &patch).await {
            Ok(node) => {
                self.sent_at = Some(tokio::time::Instant::now());
                self.failures = 0;
                self.take(node);
            }
            Err(error) => {
                tracing::debug!(%error, "the node's status was not taken");
                self.failures += 1;
            }
        }
    }

    fn api(&self) -> Api<Node> {
        Api::all(self.parts.client.clone())
    }
}
