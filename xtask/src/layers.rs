//! The layers of ARCHITECTURE.md as a check: which crate may depend on which, and who stays free of I/O.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::shell::{cargo, command, output};

/// Each of our crates and those of ours that it may depend on. A crate that is missing here is an error too.
const ALLOWED: &[(&str, &[&str])] = &[
    ("wasmk-api", &[]),
    ("wasmk-spdy", &[]),
    ("wasmk-store", &["wasmk-api"]),
    ("wasmk-placement", &["wasmk-api"]),
    ("wasmk-controllers", &["wasmk-api"]),
    ("wasmk-apiserver", &["wasmk-api", "wasmk-spdy", "wasmk-store"]),
    ("wasmk-scheduler", &["wasmk-api", "wasmk-store", "wasmk-placement", "wasmk-controllers", "wasmk-apiserver"]),
    ("wasmk-runtime", &[]),
    ("wasmk-images", &[]),
    ("wasmk-build", &[]),
    ("wasmk-network", &["wasmk-api"]),
    ("wasmk-agent", &["wasmk-api"]),
    ("wasmk-tools", &[]),
    (
        "wasmk-host",
        &["wasmk-api", "wasmk-runtime", "wasmk-images", "wasmk-build", "wasmk-network", "wasmk-agent", "wasmk-tools"],
    ),
    ("wasmk", &["wasmk-api", "wasmk-scheduler", "wasmk-host", "wasmk-spdy"]),
    ("wasmk-e2e", &[]),
    ("wasmk-clients", &["wasmk-e2e"]),
    ("wasmk-bench", &["wasmk-e2e"]),
    ("xtask", &[]),
];

/// Crates that decide and never act: nothing of these may be below them, directly or not.
const PURE: &[&str] = &["wasmk-api", "wasmk-placement", "wasmk-controllers"];
const IMPURE: &[&str] = &["tokio", "hyper", "wasmtime", "reqwest", "axum"];

/// Fails with every edge that points up.
pub(crate) fn check() -> Result<()> {
    // Only what this machine builds, so that other systems' packages need not be downloaded.
    let version = output(&mut command("rustc", &["-vV"]))?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: ")).context("rustc -vV names no host")?;
    let arguments = ["metadata", "--format-version", "1", "--locked", "--filter-platform", host];
    let metadata: Value = serde_json::from_str(&output(&mut cargo(&arguments))?)?;
    let faults = faults(&Graph::read(&metadata)?);
    if faults.is_empty() { Ok(()) } else { bail!("layers (see ARCHITECTURE.md):\n  {}", faults.join("\n  ")) }
}

/// Names of packages with the names of their normal dependencies.
struct Graph {
    ours: BTreeSet<String>,
    edges: BTreeMap<String, BTreeSet<String>>,
}

impl Graph {
    fn read(metadata: &Value) -> Result<Self> {
        let names: BTreeMap<&str, &str> = array(&metadata["packages"])
            .filter_map(|package| Some((package["id"].as_str()?, package["name"].as_str()?)))
            .collect();
        let name = |id: &Value| names.get(id.as_str()?).map(|name| (*name).to_owned());
        let ours = array(&metadata["workspace_members"]).filter_map(name).collect();
        let mut edges = BTreeMap::<String, BTreeSet<String>>::new();
        for node in array(&metadata["resolve"]["nodes"]) {
            let from = name(&node["id"]).context("a node without a package")?;
            let is_normal = |dependency: &&Value| array(&dependency["dep_kinds"]).any(|kind| kind["kind"].is_null());
            let to = array(&node["deps"]).filter(is_normal).filter_map(|dependency| name(&dependency["pkg"]));
            edges.entry(from).or_default().extend(to);
        }
        Ok(Self { ours, edges })
    }

    fn below(&self, name: &str) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        let mut open = vec![name.to_owned()];
        while let Some(name) = open.pop() {
            for next in self.edges.get(&name).into_iter().flatten() {
                if found.insert(next.clone()) {
                    open.push(next.clone());
                }
            }
        }
        found
    }
}

fn faults(graph: &Graph) -> Vec<String> {
    let mut faults = Vec::new();
    for from in &graph.ours {
        let Some((_, allowed)) = ALLOWED.iter().find(|(name, _)| name == from) else {
            faults.push(format!("{from} has no layer; add it to xtask/src/layers.rs"));
            continue;
        };
        let edges = graph.edges.get(from).into_iter().flatten();
        let upward = edges.filter(|to| graph.ours.contains(*to) && !allowed.contains(&to.as_str()));
        faults.extend(upward.map(|to| format!("{from} must not depend on {to}")));
    }
    for pure in PURE {
        let below = graph.below(pure);
        faults.extend(
            IMPURE
                .iter()
                .filter(|impure| below.contains(**impure))
                .map(|impure| format!("{pure} must stay free of {impure}")),
        );
    }
    faults
}

fn array(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_workspace_keeps_its_layers() {
        check().unwrap();
    }

    #[test]
    fn an_upward_edge_and_impurity_are_found() {
        let set = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<String>>();
        let edges =
            [("wasmk-api", set(&["serde"])), ("serde", set(&["tokio"])), ("wasmk-store", set(&["wasmk-scheduler"]))];
        let edges = edges.into_iter().map(|(name, to)| (name.to_owned(), to)).collect();
        let graph = Graph { ours: set(&["wasmk-api", "wasmk-store", "wasmk-scheduler"]), edges };
        let faults = faults(&graph);
        assert!(faults.contains(&"wasmk-store must not depend on wasmk-scheduler".to_owned()), "{faults:?}");
        assert!(faults.contains(&"wasmk-api must stay free of tokio".to_owned()), "{faults:?}");
    }
}
