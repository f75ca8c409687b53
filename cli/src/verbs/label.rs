use anyhow::{Result, bail};
use clap::Args;
use http::Method;
use serde_json::{Value, json};

use super::targets;
use crate::args::Global;
use crate::manifest::Files;
use crate::session::{MERGE_PATCH, Session};

#[derive(Args)]
pub(crate) struct Label {
    #[command(flatten)]
    change: Change,
}

#[derive(Args)]
pub(crate) struct Annotate {
    #[command(flatten)]
    change: Change,
}

#[derive(Args)]
struct Change {
    /// Objects, then KEY=VALUE to set and KEY- to remove
    arguments: Vec<String>,
    #[command(flatten)]
    files: Files,
    /// Change a value that is already there
    #[arg(long)]
    overwrite: bool,
    /// Every object of the kind
    #[arg(long)]
    all: bool,
    /// Objects with these labels
    #[arg(short = 'l', long, value_name = "LABELS")]
    selector: Option<String>,
}

impl Label {
    pub(crate) async fn run(self, global: &Global) -> Result<()> {
        self.change.run(global, "labels", "labeled").await
    }
}

impl Annotate {
    pub(crate) async fn run(self, global: &Global) -> Result<()> {
        self.change.run(global, "annotations", "annotated").await
    }
}

impl Change {
    async fn run(self, global: &Global, field: &str, done: &str) -> Result<()> {
        let session = Session::connect(global).await?;
        let is_change = |text: &String| text.contains('=') || text.ends_with('-');
        let (changes, objects): (Vec<String>, Vec<String>) = self.arguments.iter().cloned().partition(is_change);
        if changes.is_empty() {
            bail!("say what to change: KEY=VALUE, or KEY- to remove");
        }
        for target in targets::selected(&session, &objects, &self.files, self.selector.as_deref(), self.all).await? {
            let object = session.get(&target.path()).await?;
            let mut patch = json!({});
            for change in &changes {
                let (key, value) = match change.split_once('=') {
                    Some((key, value)) => (key, json!(value)),
                    None => (change.trim_end_matches('-'), Value::Null),
                };
                let found = &object["metadata"][field][key];
                if found.is_string() && !value.is_null() && *found != value && !self.overwrite {
                    bail!("{}: {key} is already {found}; --overwrite changes it", target.slashed());
                }
                patch[key] = value;
            }
            let body = json!({"metadata": {field: patch}});
            let (_, after) = session.write(Method::PATCH, &target.path(), MERGE_PATCH, &body).await?;
            let is_same = after["metadata"]["resourceVersion"] == object["metadata"]["resourceVersion"];
            println!("{} {}", target.slashed(), if is_same { format!("not {done}") } else { done.to_owned() });
        }
        Ok(())
    }
}
