mod objects;
mod priorities;
mod roles;

use std::sync::Arc;

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};
use wasmk_api::Snapshot;
use wasmk_api::write::Settings;
use wasmk_controllers::Write;
use wasmk_store::{CommitError, Store};

pub(crate) use objects::ApiAddress;
use objects::plan_system_objects;

use crate::ServerError;
use crate::pace::Pace;
use crate::prepare::prepare;

/// Keeps the cluster's own objects there: its namespaces, and the Service by which guests reach the API.
#[derive(Clone)]
pub(crate) struct SystemTask {
    store: Arc<dyn Store>,
    api: ApiAddress,
    settings: Settings,
}

impl SystemTask {
    pub(crate) fn new(store: Arc<dyn Store>, api: ApiAddress, settings: Settings) -> Self {
        Self { store, api, settings }
    }

    /// At the start: what the cluster cannot do without, and what it should have, though users may change or remove it
    /// while the server runs.
    pub(crate) async fn begin(&self) -> Result<(), ServerError> {
        self.ensure().await?;
        self.settle(|snapshot| [roles::plan_roles(snapshot), priorities::plan_priorities(snapshot)].concat()).await
    }

    /// Returns when everything is as it should be.
    async fn ensure(&self) -> Result<(), ServerError> {
        self.settle(|snapshot| plan_system_objects(snapshot, &self.api)).await
    }

    async fn settle(&self, plan: impl Fn(&Snapshot) -> Vec<Write>) -> Result<(), ServerError> {
        loop {
            let snapshot = self.store.snapshot();
            let writes = plan(&snapshot);
            if writes.is_empty() {
                return Ok(());
            }
            let prepared = prepare(&snapshot, writes, &self.settings, Timestamp::now());
            let transaction = prepared.map_err(ServerError::SystemObjectsRefused)?;
            match self.store.commit(transaction).await {
                Ok(committed) => info!(revision = committed.revision, "wrote the cluster's own objects"),
                Err(CommitError::Conflict(_)) => {}
                Err(error) => return Err(ServerError::SystemObjects(error)),
            }
        }
    }

    pub(crate) async fn run(self, shutdown: CancellationToken) {
        let mut changes = ["namespaces", "services", "endpointslices.discovery.k8s.io"]
            .map(|resource| self.store.revisions_of(&resource.into()));
        let mut pace = Pace::default();
        loop {
            let begun = tokio::time::Instant::now();
            changes.iter_mut().for_each(|changes| drop(changes.borrow_and_update()));
            match self.ensure().await {
                Ok(()) => {
                    pace.succeeded();
                    pace.idle();
                }
                Err(ServerError::SystemObjects(CommitError::Closed)) => return,
                Err(error) => {
                    warn!(%error, "the cluster's own objects are not as they should be");
                    pace.failed();
                }
            }
            let [namespaces, services, endpoints] = &mut changes;
            // Cancel-safe: nothing is taken from anywhere.
            let open = tokio::select! {
                () = shutdown.cancelled() => return,
                changed = namespaces.changed() => changed.is_ok(),
                changed = services.changed() => changed.is_ok(),
                changed = endpoints.changed() => changed.is_ok(),
            };
            if !open {
                return;
            }
            tokio::time::sleep(pace.pause(begun.elapsed())).await;
        }
    }
}
