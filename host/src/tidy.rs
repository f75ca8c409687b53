use std::collections::HashSet;
use std::path::Path;
use std::time::{Duration, SystemTime};

use k8s_openapi::api::core::v1::Pod;
use kube::{Api, Client};
use tokio_util::sync::CancellationToken;
use wasmk_images::{Digest, ImageStore, disk_space};

/// As often as given-up uploads and replaced images are worth a look.
const EVERY: Duration = Duration::from_secs(3600);
/// A push sends its blobs before the manifest.
const GRACE: Duration = Duration::from_secs(3600);

/// Collects the garbage of a registry until `stop`, at the start and every hour: uploads that were given up, and images
/// that lost their names, unless a pod of the cluster runs them. Tagged images stay, however full the disk is.
pub async fn tidy_registry(dir: &Path, store: ImageStore, client: Client, stop: CancellationToken) {
    let mut ticks = tokio::time::interval(EVERY);
    while stop.run_until_cancelled(ticks.tick()).await.is_some() {
        // Who cannot say what runs removes nothing.
        let used = match used(&client).await {
            Ok(used) => used,
            Err(error) => {
                tracing::warn!(%error, "list the images in use");
                continue;
            }
        };
        let own = store.clone();
        let collect = move || own.collect_garbage(|digest| used.contains(digest), SystemTime::now(), GRACE);
        match tokio::task::spawn_blocking(collect).await {
            Ok(Ok(collected)) => tracing::info!(bytes = collected.bytes, "collected garbage of the registry"),
            Ok(Err(error)) => tracing::warn!(%error, "collect garbage of the registry"),
            Err(_) => {}
        }
        if disk_space(dir).is_some_and(|space| space.bytes_to_free() > 0) {
            tracing::warn!(dir = %dir.display(), "the registry's disk is nearly full: remove images by `wasmk rmi`");
        }
    }
}

async fn used(client: &Client) -> kube::Result<HashSet<Digest>> {
    let pods = Api::<Pod>::all(client.clone()).list(&kube::api::ListParams::default()).await?;
    Ok(pods.iter().flat_map(digests).collect())
}

fn digests(pod: &Pod) -> Vec<Digest> {
    let Some(status) = &pod.status else { return Vec::new() };
    let lists = [&status.container_statuses, &status.init_container_statuses];
    let ids = lists.into_iter().flatten().flatten().map(|container| container.image_id.as_str());
    ids.filter_map(|id| id.rsplit_once('@')?.1.parse().ok()).collect()
}
