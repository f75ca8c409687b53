//! The node's sign of life.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use kube::Api;
use kube::api::{Patch, PatchParams, PostParams};
use serde_json::json;
use tokio::time::MissedTickBehavior;

use crate::parts::Parts;
use crate::retry::is_not_found;

const NAMESPACE: &str = "kube-node-lease";

/// Renews the Lease for ever; each renewal is given up when the next is due twice over.
pub(super) async fn keep(parts: Arc<Parts>) {
    let every = parts.config.lease_interval;
    let mut ticks = tokio::time::interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        match tokio::time::timeout(every * 2, renew(&parts)).await {
            Ok(Ok(())) => (),
            Ok(Err(error)) => tracing::debug!(%error, "the lease was not renewed"),
            Err(_) => tracing::debug!("the lease was not renewed in time"),
        }
    }
}

async fn renew(parts: &Parts) -> kube::Result<()> {
    let config = &parts.config;
    let api = Api::<Lease>::namespaced(parts.client.clone(), NAMESPACE);
    let spec = LeaseSpec {
        holder_identity: Some(config.node_name.clone()),
        lease_duration_seconds: Some(seconds(config.lease_duration)),
        renew_time: Some(MicroTime(config.clock.now())),
        ..LeaseSpec::default()
    };
    let patch = Patch::Merge(json!({"spec": spec}));
    match api.patch(&config.node_name, &PatchParams::default(), &patch).await {
        Err(error) if is_not_found(&error) => {
            let metadata = ObjectMeta {
                name: Some(config.node_name.clone()),
                namespace: Some(NAMESPACE.into()),
                ..ObjectMeta::default()
            };
            let lease = Lease { metadata, spec: Some(spec) };
            api.create(&PostParams::default(), &lease).await.map(drop)
        }
        renewed => renewed.map(drop),
    }
}

fn seconds(duration: Duration) -> i32 {
    duration.as_secs().max(1).try_into().unwrap_or(i32::MAX)
}
