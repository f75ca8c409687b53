use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};
use http::Method;
use serde_json::{Value, json};

use super::targets::{self, Named};
use crate::args::Global;
use crate::manifest::Files;
use crate::session::{STRATEGIC_PATCH, Session};

#[derive(Args)]
pub(crate) struct Set {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Change the image of containers: `set image deploy/hello hello=hello:v2`, `*=IMAGE` for all
    Image(Change),
    /// Change environment variables: `set env deploy/hello KEY=VALUE OTHER-`
    Env(Change),
}

#[derive(Args)]
struct Change {
    /// `deploy/NAME`, then the changes
    arguments: Vec<String>,
    #[command(flatten)]
    files: Files,
    /// Only in this container (env)
    #[arg(short, long, value_name = "NAME")]
    container: Option<String>,
}

impl Set {
    pub(crate) async fn run(self, global: &Global) -> Result<()> {
        let session = Session::connect(global).await?;
        let (change, what) = match &self.what {
            What::Image(change) => (change, "image"),
            What::Env(change) => (change, "env"),
        };
        let is_change = |text: &String| text.contains('=') || (what == "env" && text.ends_with('-'));
        let (changes, objects): (Vec<String>, Vec<String>) = change.arguments.iter().cloned().partition(is_change);
        if changes.is_empty() {
            bail!(
                "say what to change: `wasmk set {what} deploy/NAME {}`",
                if what == "image" { "CONTAINER=IMAGE" } else { "KEY=VALUE" }
            );
        }
        for target in targets::named_only(&session, &objects, &change.files).await? {
            let object = session.get(&target.path()).await?;
            let containers = containers(&target, &object, &self.what, &changes)?;
            let is_pod = target.resource.kind == "Pod";
            let patch = match is_pod {
                true => json!({"spec": containers}),
                false => json!({"spec": {"template": {"spec": containers}}}),
            };
            let (_, after) = session.write(Method::PATCH, &target.path(), STRATEGIC_PATCH, &patch).await?;
            if after["metadata"]["resourceVersion"] != object["metadata"]["resourceVersion"] {
                println!("{} {what} updated", target.slashed());
            }
        }
        Ok(())
    }
}

/// `{containers: […], initContainers: […]}` with only what changes, for a strategic merge by name.
fn containers(target: &Named, object: &Value, what: &What, changes: &[String]) -> Result<Value> {
    let spec = if target.resource.kind == "Pod" { &object["spec"] } else { &object["spec"]["template"]["spec"] };
    if !spec["containers"].is_array() {
        bail!("{} has no containers", target.slashed());
    }
    let mut patch = json!({});
    let mut unused: Vec<&String> = changes.iter().collect();
    for list in ["initContainers", "containers"] {
        let mut changed = Vec::new();
        for container in spec[list].as_array().into_iter().flatten() {
            let name = container["name"].as_str().unwrap_or_default();
            let one = match what {
                What::Image(_) => image(name, changes, &mut unused)?,
                What::Env(change) if change.container.as_deref().is_none_or(|wanted| wanted == name) => {
                    unused.clear();
                    (list == "containers").then(|| env(changes)).transpose()?
                }
                What::Env(_) => None,
            };
            if let Some(mut one) = one {
                one["name"] = json!(name);
                changed.push(one);
            }
        }
        if !changed.is_empty() {
            patch[list] = Value::Array(changed);
        }
    }
    if let Some(change) = unused.first() {
        let names: Vec<&str> =
            spec["containers"].as_array().into_iter().flatten().filter_map(|one| one["name"].as_str()).collect();
        bail!("{}: no container for {change}; it has {}", target.slashed(), names.join(", "));
    }
    Ok(patch)
}

fn image<'a>(name: &str, changes: &'a [String], unused: &mut Vec<&'a String>) -> Result<Option<Value>> {
    let mut image = None;
    for change in changes {
        let (container, wanted) = change.split_once('=').context("changes are written CONTAINER=IMAGE")?;
        if container == name || container == "*" {
            unused.retain(|other| *other != change);
            image = Some(json!({"image": wanted}));
        }
    }
    Ok(image)
}

fn env(changes: &[String]) -> Result<Value> {
    let entries = changes.iter().map(|change| match change.split_once('=') {
        Some((key, value)) => Ok(json!({"name": key, "value": value})),
        None => Ok(json!({"name": change.trim_end_matches('-'), "$patch": "delete"})),
    });
    Ok(json!({"env": entries.collect::<Result<Vec<Value>>>()?}))
}
