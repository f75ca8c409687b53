use anyhow::{Context, Result};
use clap::Args;
use http::Method;
use serde_json::Value;

use super::targets;
use crate::args::Global;
use crate::manifest::Files;
use crate::session::{JSON_PATCH, MERGE_PATCH, STRATEGIC_PATCH, Session};

#[derive(Args)]
pub(crate) struct Patch {
    /// `deploy/NAME`, `pod NAME`
    targets: Vec<String>,
    #[command(flatten)]
    files: Files,
    /// The patch, as JSON or YAML
    #[arg(short, long)]
    patch: String,
    /// How the patch is meant
    #[arg(long = "type", value_name = "strategic|merge|json", default_value = "strategic")]
    kind: PatchType,
    /// Patch a subresource, such as status
    #[arg(long, value_name = "NAME")]
    subresource: Option<String>,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum PatchType {
    Strategic,
    Merge,
    Json,
}

impl Patch {
    pub(crate) async fn run(self, global: &Global) -> Result<()> {
        let session = Session::connect(global).await?;
        let body: Value = serde_yaml::from_str(&self.patch).context("read --patch")?;
        let content_type = match self.kind {
            PatchType::Strategic => STRATEGIC_PATCH,
            PatchType::Merge => MERGE_PATCH,
            PatchType::Json => JSON_PATCH,
        };
        for target in targets::named_only(&session, &self.targets, &self.files).await? {
            let before = session.get(&target.path()).await?;
            let path = match &self.subresource {
                Some(subresource) => format!("{}/{subresource}", target.path()),
                None => target.path(),
            };
            let (_, after) = session.write(Method::PATCH, &path, content_type, &body).await?;
            let is_same = before["metadata"]["resourceVersion"] == after["metadata"]["resourceVersion"];
            println!("{} patched{}", target.slashed(), if is_same { " (no change)" } else { "" });
        }
        Ok(())
    }
}
