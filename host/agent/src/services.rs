//! All Services, for the variables that containers are given.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::{StreamExt, pin_mut};
use k8s_openapi::api::core::v1::Service;
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, ResourceExt};
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;

use crate::env::{Env, service_variables};
use crate::retry::ServerBackoff;

/// After that a container starts without: names work all the same.
const SYNC_TIMEOUT: Duration = Duration::from_secs(2);

type ByNamespace = HashMap<String, HashMap<String, Service>>;

pub(crate) struct Services {
    known: Arc<Mutex<ByNamespace>>,
    /// Listed, or known to be out of reach.
    settled: watch::Receiver<bool>,
    _task: AbortOnDropHandle<()>,
}

impl Services {
    pub(crate) fn spawn(client: kube::Client) -> Self {
        let known = Arc::<Mutex<ByNamespace>>::default();
        let (sender, settled) = watch::channel(false);
        let task = tokio::spawn(follow(client, known.clone(), sender));
        Self { known, settled, _task: AbortOnDropHandle::new(task) }
    }

    pub(crate) async fn variables(&self, namespace: &str, links: bool) -> Env {
        let _ = tokio::time::timeout(SYNC_TIMEOUT, self.settled.clone().wait_for(|settled| *settled)).await;
        let known = self.known.lock().expect("no panic while held");
        let of = |namespace: &str| known.get(namespace).into_iter().flat_map(HashMap::values);
        // The API's own Service is in `default`; should that be the pod's namespace, twice does no harm.
        service_variables(of(namespace).chain(of("default")), namespace, links)
    }
}

async fn follow(client: kube::Client, known: Arc<Mutex<ByNamespace>>, settled: watch::Sender<bool>) {
    let events = watcher(Api::<Service>::all(client), watcher::Config::default()).backoff(ServerBackoff::default());
    pin_mut!(events);
    let mut listed = ByNamespace::new();
    let add = |map: &mut ByNamespace, service: Service| {
        map.entry(service.namespace().unwrap_or_default()).or_default().insert(service.name_any(), service);
    };
    while let Some(event) = events.next().await {
        let mut known = known.lock().expect("no panic while held");
        match event {
            Ok(watcher::Event::Init) => listed.clear(),
            Ok(watcher::Event::InitApply(service)) => add(&mut listed, service),
            Ok(watcher::Event::InitDone) => {
                *known = std::mem::take(&mut listed);
                settled.send_replace(true);
            }
            Ok(watcher::Event::Apply(service)) => add(&mut known, service),
            Ok(watcher::Event::Delete(service)) => {
                if let Some(namespace) = known.get_mut(&service.namespace().unwrap_or_default()) {
                    namespace.remove(&service.name_any());
                }
            }
            Err(error) => {
                tracing::debug!(%error, "watch of services is interrupted");
                settled.send_replace(true);
            }
        }
    }
}
