use std::io::Write;
use std::process::Command;

use anyhow::{Context, Result, bail};
use clap::Args;
use http::Method;

use super::targets::{self, Named};
use crate::args::Global;
use crate::manifest::{self, Files};
use crate::output::{to_yaml, without_managed_fields};
use crate::session::{JSON, Session, explain};

#[derive(Args)]
pub(crate) struct Edit {
    /// `deploy/NAME`, `svc NAME`
    targets: Vec<String>,
    #[command(flatten)]
    files: Files,
}

impl Edit {
    pub(crate) async fn run(self, global: &Global) -> Result<()> {
        let session = Session::connect(global).await?;
        for target in targets::named_only(&session, &self.targets, &self.files).await? {
            let before = without_managed_fields(session.get(&target.path()).await?);
            let mut text = to_yaml(&before)?;
            let mut note = "Save to apply, leave unchanged to cancel.".to_owned();
            loop {
                let comment: String = note.lines().map(|line| format!("# {line}\n")).collect();
                let edited: String = edit(&format!("{comment}{text}"))?
                    .lines()
                    .filter(|line| !line.starts_with("# "))
                    .map(|line| format!("{line}\n"))
                    .collect();
                if edited.trim().is_empty() || edited == text {
                    // The same text again would be refused again.
                    match note.starts_with("Save") {
                        true => println!("{}: no change", target.slashed()),
                        false => bail!("{}: not changed: {note}", target.slashed()),
                    }
                    break;
                }
                text = edited;
                match put(&session, &target, &text).await {
                    Ok(()) => {
                        println!("{} edited", target.slashed());
                        break;
                    }
                    Err(error) => note = explain(&error),
                }
            }
        }
        Ok(())
    }
}

async fn put(session: &Session, target: &Named, text: &str) -> Result<()> {
    let mut objects = manifest::parse("the edited text", text)?;
    let (Some(object), true) = (objects.pop(), objects.is_empty()) else { bail!("one object only, please") };
    session.write(Method::PUT, &format!("{}?fieldValidation=Strict", target.path()), JSON, &object.value).await?;
    Ok(())
}

/// Lets the user's editor change `text`.
fn edit(text: &str) -> Result<String> {
    let default = if cfg!(windows) { "notepad" } else { "vi" };
    let editor = ["KUBE_EDITOR", "VISUAL", "EDITOR"]
        .iter()
        .find_map(|name| std::env::var(name).ok())
        .unwrap_or_else(|| default.to_owned());
    let mut file = tempfile::Builder::new().prefix("wasmk-edit-").suffix(".yaml").tempfile()?;
    file.write_all(text.as_bytes())?;
    let mut words = editor.split_whitespace();
    let program = words.next().context("EDITOR is empty")?;
    let status = Command::new(program).args(words).arg(file.path()).status();
    let status = status.with_context(|| format!("start the editor {editor}; set EDITOR to another"))?;
    if !status.success() {
        bail!("the editor {editor} ended with {status}");
    }
    Ok(std::fs::read_to_string(file.path())?)
}
