//! Containers as users of Docker know them, made of what Kubernetes has: no YAML, a name, a state.
//!
//! A container is one Pod, and the Pod is the only record of it: created but not started is a scheduling gate, stopped is
//! a deadline that has passed, removed is deleted. A published port is a Service of type LoadBalancer, which every node
//! opens under exactly that number; it is owned by the Pod and lives as long as the container runs.
//! `docs/decisions/0110-containers-are-pods.md` says why.

mod api;
mod env;
mod flags;
mod foreground;
mod manifest;
mod mount;
mod publish;
mod size;
mod state;

pub(super) use api::{Containers, Grace};
pub(super) use flags::ContainerFlags;
pub(super) use foreground::follow;
pub(super) use publish::published;
pub(super) use state::{State, ago};

/// On Pod and Service: the container's name.
pub(super) const NAME_LABEL: &str = "wasmk.dev/container";
/// On the Pod: `8080:80,8443:443`.
const PUBLISH: &str = "wasmk.dev/publish";
/// On the Pod: how long it may take to end once its deadline has passed. Agents read it.
const STOP_GRACE: &str = "wasmk.dev/stop-grace-seconds";
/// On the Pod: the control plane deletes it when it has ended.
const REMOVE_WHEN_ENDED: &str = "wasmk.dev/remove-when-ended";
/// The scheduling gate of a container that was created and not started.
const CREATED_GATE: &str = "wasmk.dev/created";

pub(super) fn name(pod: &serde_json::Value) -> &str {
    pod["metadata"]["name"].as_str().unwrap_or_default()
}
