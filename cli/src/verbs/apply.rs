use anyhow::{Context, Result, bail};
use clap::Args;
use http::Method;
use serde_json::Value;

use super::get::is_not_found;
use super::targets::query;
use crate::args::Global;
use crate::discovery::Resource;
use crate::manifest::{self, Files, Manifest};
use crate::output::{Output, print_object};
use crate::session::{APPLY_PATCH, JSON, Session};

/// The owner of what `wasmk apply` sets, in `metadata.managedFields`.
pub(crate) const FIELD_MANAGER: &str = "wasmk";

#[derive(Args)]
pub(crate) struct Apply {
    #[command(flatten)]
    files: Files,
    /// Let the server check and answer, but store nothing
    #[arg(long, value_name = "server|none", default_value = "none", num_args = 0..=1, default_missing_value = "server")]
    dry_run: DryRun,
    /// Refuse to take over fields that another manager set
    #[arg(long)]
    no_force: bool,
    /// Print the objects as json, yaml, name or jsonpath=TEMPLATE
    #[arg(short, long)]
    output: Option<Output>,
}

#[derive(Args)]
pub(crate) struct Create {
    #[command(flatten)]
    files: Files,
    /// Let the server check and answer, but store nothing
    #[arg(long, value_name = "server|none", default_value = "none", num_args = 0..=1, default_missing_value = "server")]
    dry_run: DryRun,
    /// Print the objects as json, yaml, name or jsonpath=TEMPLATE
    #[arg(short, long)]
    output: Option<Output>,
    /// `namespace NAME`, instead of files
    what: Vec<String>,
}

#[derive(Clone, Copy, PartialEq, clap::ValueEnum)]
pub(crate) enum DryRun {
    None,
    Server,
}

impl DryRun {
    fn parameter(self) -> Option<&'static str> {
        (self == Self::Server).then_some("All")
    }

    fn suffix(self) -> &'static str {
        if self == Self::Server { " (server dry run)" } else { "" }
    }
}

impl Apply {
    pub(crate) async fn run(self, global: &Global) -> Result<()> {
        let session = Session::connect(global).await?;
        let manifests = manifest::read(&self.files)?;
        let mut failures = 0;
        for manifest in &manifests {
            if let Err(error) = self.apply(&session, manifest).await {
                failures += 1;
                eprintln!("{}: {}", manifest.origin, crate::session::explain(&error));
            }
        }
        if failures > 0 { bail!("{failures} of {} objects were not applied", manifests.len()) } else { Ok(()) }
    }

    async fn apply(&self, session: &Session, manifest: &Manifest) -> Result<()> {
        let (resource, namespace) = place(session, manifest).await?;
        let path = resource.object(&namespace, manifest.name()?);
        let before = match session.get(&path).await {
            Ok(object) => Some(object),
            Err(error) if is_not_found(&error) => None,
            Err(error) => return Err(error),
        };
        let force = (!self.no_force).then_some("true");
        let parameters = [
            ("fieldManager", Some(FIELD_MANAGER)),
            ("force", force),
            ("fieldValidation", Some("Strict")),
            ("dryRun", self.dry_run.parameter()),
        ];
        let (_, after) = session
            .write(Method::PATCH, &format!("{path}{}", query(&parameters)), APPLY_PATCH, &manifest.value)
            .await?;
        let version = |object: &Value| object["metadata"]["resourceVersion"].clone();
        let outcome = match &before {
            None => "created",
            Some(before) if version(before) == version(&after) => "unchanged",
            Some(_) => "configured",
        };
        report(&resource, &after, &self.output, &format!("{outcome}{}", self.dry_run.suffix()))
    }
}

impl Create {
    pub(crate) async fn run(self, global: &Global) -> Result<()> {
        let session = Session::connect(global).await?;
        for manifest in self.manifests()? {
            let (resource, namespace) = place(&session, &manifest).await?;
            let parameters = [
                ("fieldManager", Some(FIELD_MANAGER)),
                ("fieldValidation", Some("Strict")),
                ("dryRun", self.dry_run.parameter()),
            ];
            let path = format!("{}{}", resource.collection(Some(&namespace)), query(&parameters));
            let (_, created) = session
                .write(Method::POST, &path, JSON, &manifest.value)
                .await
                .with_context(|| manifest.origin.clone())?;
            report(&resource, &created, &self.output, &format!("created{}", self.dry_run.suffix()))?;
        }
        Ok(())
    }

    fn manifests(&self) -> Result<Vec<Manifest>> {
        match self.what.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
            [] => manifest::read(&self.files),
            ["namespace" | "ns", name] => {
                let value = serde_json::json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
                Ok(vec![Manifest { value, origin: format!("namespace {name}") }])
            }
            _ => bail!("use `create -f FILE` or `create namespace NAME`"),
        }
    }
}

/// The resource of a manifest and the namespace that it goes to.
async fn place(session: &Session, manifest: &Manifest) -> Result<(Resource, String)> {
    let resource = session.discovery().await?.by_kind(manifest.api_version()?, manifest.kind()?)?.clone();
    let namespace = manifest.namespace().unwrap_or(&session.namespace).to_owned();
    Ok((resource, namespace))
}

fn report(resource: &Resource, object: &Value, output: &Option<Output>, outcome: &str) -> Result<()> {
    let name = |object: &Value| format!("{resource}/{}", object["metadata"]["name"].as_str().unwrap_or_default());
    match output {
        Some(output) => print_object(object, output, name),
        None => {
            println!("{} {outcome}", name(object));
            Ok(())
        }
    }
}
