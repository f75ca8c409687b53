//! Evictions, and the budgets that refuse them.

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tokio::sync::watch::Receiver;
use wasmk_api::{ResourceName, Snapshot, Transaction};
use wasmk_store::{CommitError, Committed, MemoryStore, Scope, Store, Watch, WatchError};

use crate::support::{Answer, PODS, Server, pod};

const BUDGETS: &str = "/apis/policy/v1/namespaces/default/poddisruptionbudgets";

async fn evict(server: &Server, name: &str) -> Answer {
    let eviction = json!({"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name}});
    server.post(&format!("{PODS}/{name}/eviction"), eviction).await
}

async fn running(server: &Server, name: &str) {
    let mut pod = pod(name);
    pod["metadata"]["labels"] = json!({"app": "a"});
    server.post(PODS, pod).await.expect(201);
    let status = json!({"status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}});
    server.patch(&format!("{PODS}/{name}/status"), "application/merge-patch+json", status).await.expect(200);
}

fn budget(name: &str, min_available: Value) -> Value {
    json!({
        "apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": name},
        "spec": {"minAvailable": min_available, "selector": {"matchLabels": {"app": "a"}}},
    })
}

#[tokio::test]
async fn a_budget_lets_go_what_it_can_spare() {
    let server = Server::start().await;
    for name in ["p", "q", "r"] {
        running(&server, name).await;
    }
    let created = server.post(BUDGETS, budget("b", json!(2))).await;
    assert_eq!(created.warnings(), Vec::<&str>::new());
    created.expect(201);
    evict(&server, "p").await.expect(201);
    let status = server.get(&format!("{BUDGETS}/b")).await.expect(200)["status"].clone();
    assert_eq!((&status["currentHealthy"], &status["disruptionsAllowed"]), (&json!(2), &json!(0)));
    let refused = evict(&server, "q").await.expect(429);
    assert_eq!(refused["reason"], "TooManyRequests");
    assert_eq!(refused["message"], "Cannot evict pod as it would violate the pod's disruption budget.");
    assert_eq!(
        refused["details"]["causes"],
        json!([{"reason": "DisruptionBudget", "message": "The disruption budget b needs 2 healthy pods and has 2 currently"}])
    );
    // A deletion asks nobody.
    server.delete(&format!("{PODS}/q")).await.expect(200);
}

/// Shows what it was told to show until somebody tries to commit, as if another request had been faster.
struct Behind {
    store: MemoryStore,
    shown: Arc<Mutex<Option<Snapshot>>>,
}

#[async_trait::async_trait]
impl Store for Behind {
    fn snapshot(&self) -> Snapshot {
        self.shown.lock().unwrap().clone().unwrap_or_else(|| self.store.snapshot())
    }

    fn snapshot_at(&self, revision: u64, resource: &ResourceName) -> Result<Snapshot, WatchError> {
        self.store.snapshot_at(revision, resource)
    }

    async fn commit(&self, transaction: Transaction) -> Result<Committed, CommitError> {
        self.shown.lock().unwrap().take();
        self.store.commit(transaction).await
    }

    fn watch(&self, after_revision: u64, scope: Scope) -> Result<Watch, WatchError> {
        self.store.watch(after_revision, scope)
    }

    fn revisions(&self) -> Receiver<u64> {
        self.store.revisions()
    }

    fn revisions_of(&self, resource: &ResourceName) -> Receiver<u64> {
        self.store.revisions_of(resource)
    }

    async fn close(&self) {
        self.store.close().await;
    }
}

#[tokio::test]
async fn two_evictions_at_once_cannot_spend_the_same() {
    let shown = Arc::new(Mutex::new(None));
    let server = Server::over(Behind { store: MemoryStore::new(), shown: shown.clone() });
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "default"}});
    server.post("/api/v1/namespaces", namespace).await.expect(201);
    for name in ["p", "q"] {
        running(&server, name).await;
    }
    server.post(BUDGETS, budget("b", json!(1))).await.expect(201);
    let before = server.store.snapshot();
    evict(&server, "p").await.expect(201);
    // This one is planned on what the first one saw.
    *shown.lock().unwrap() = Some(before);
    assert_eq!(evict(&server, "q").await.code, 429);
}

#[tokio::test]
async fn two_budgets_for_one_pod_are_one_too_many() {
    let server = Server::start().await;
    running(&server, "p").await;
    for name in ["a", "b"] {
        server.post(BUDGETS, budget(name, json!(0))).await.expect(201);
    }
    let message = evict(&server, "p").await.expect_failure(500, "InternalError");
    assert_eq!(
        message,
        "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support."
    );
}
