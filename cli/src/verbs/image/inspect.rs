use anyhow::{Result, bail};
use clap::Args;
use serde_json::{Value, json};
use wasmk_host::ImageDetails;

use super::{Local, missing, show};
use crate::output::template::GoTemplate;
use crate::output::{human, print_aligned, print_json};

#[derive(Args)]
pub(crate) struct Inspect {
    /// Images, by name or ID
    #[arg(value_name = "IMAGE", required = true)]
    images: Vec<String>,
    /// A template such as {{.Config.Entrypoint}}, or `json`
    #[arg(short, long, value_name = "FORMAT")]
    format: Option<String>,
}

#[derive(Args)]
pub(crate) struct History {
    /// An image, by name or ID
    #[arg(value_name = "IMAGE")]
    image: String,
    /// Do not shorten
    #[arg(long)]
    no_trunc: bool,
    /// Print layers' IDs alone
    #[arg(short, long)]
    quiet: bool,
    /// `table`, `json` (an object a line), or a template such as {{.CreatedBy}}
    #[arg(long, value_name = "FORMAT", default_value = "table", hide_default_value = true)]
    format: String,
}

impl Inspect {
    pub(crate) fn run(self) -> Result<()> {
        let local = Local::open()?;
        let (mut found, mut absent) = (Vec::new(), Vec::new());
        for name in &self.images {
            match local.store.find_any(name) {
                Some(digest) => found.push(description(&local.store.details(&digest)?)),
                None => absent.push(missing(name)),
            }
        }
        match self.format.as_deref() {
            None => print_json(&Value::from(found))?,
            Some("json") => println!("{}", Value::from(found)),
            Some(template) => {
                let template: GoTemplate = template.parse()?;
                for image in &found {
                    println!("{}", template.render(image)?);
                }
            }
        }
        if absent.is_empty() { Ok(()) } else { bail!("{}", absent.join("\n")) }
    }
}

/// With the names that Docker has for these things.
fn description(image: &ImageDetails) -> Value {
    let layers: Vec<&str> = image.layers.iter().map(|layer| layer.diff_id.as_str()).collect();
    let kind = if image.is_artifact { "artifact" } else { "layers" };
    json!({
        "Id": image.digest.as_str(),
        "RepoTags": image.tags,
        "RepoDigests": image.by_digest,
        "Created": image.created,
        "Author": image.author.as_deref().unwrap_or_default(),
        "Architecture": image.architecture,
        "Os": image.os,
        "Size": image.size_bytes,
        "Config": image.config,
        "RootFS": {"Type": kind, "Layers": layers},
    })
}

impl History {
    pub(crate) fn run(self) -> Result<()> {
        let local = Local::open()?;
        let image = local.store.details(&local.find(&self.image)?)?;
        let steps = self.steps(&image);
        if self.quiet {
            steps.iter().for_each(|step| println!("{}", step["ID"].as_str().unwrap_or_default()));
            return Ok(());
        }
        match self.format.as_str() {
            "table" => {
                let columns = ["ID", "CreatedSince", "CreatedBy", "Size", "Comment"];
                let headings = ["IMAGE", "CREATED", "CREATED BY", "SIZE", "COMMENT"];
                let mut lines = vec![headings.map(str::to_owned).to_vec()];
                let cell = |step: &Value, column: &str| step[column].as_str().unwrap_or_default().to_owned();
                lines.extend(steps.iter().map(|step| columns.map(|column| cell(step, column)).to_vec()));
                print_aligned(&lines, &mut Vec::new());
            }
            "json" => steps.iter().for_each(|step| println!("{step}")),
            template => {
                let template: GoTemplate = template.parse()?;
                for step in &steps {
                    println!("{}", template.render(step)?);
                }
            }
        }
        Ok(())
    }

    /// The latest first. An image that does not say how it was made has its layers.
    fn steps(&self, image: &ImageDetails) -> Vec<Value> {
        let mut sizes = image.layers.iter().map(|layer| layer.size_bytes);
        let mut steps = Vec::new();
        for step in &image.history {
            let size = if step.empty_layer { 0 } else { sizes.next().unwrap_or_default() };
            steps.push((step.created.as_deref(), step.created_by.clone(), size, step.comment.clone()));
        }
        if steps.is_empty() {
            let made = |layer: &wasmk_host::LayerDetails| {
                (image.created.as_deref(), layer.media_type.clone(), layer.size_bytes, String::new())
            };
            steps.extend(image.layers.iter().map(made));
        }
        let count = steps.len();
        let described = steps.into_iter().enumerate().map(|(index, (created, by, size, comment))| {
            let id = if index + 1 == count { show::id(&image.digest, self.no_trunc) } else { "<missing>".to_owned() };
            json!({
                "ID": id,
                "CreatedAt": created.unwrap_or("N/A"),
                "CreatedSince": show::since(created),
                "CreatedBy": if self.no_trunc { by } else { shortened(&by) },
                "Size": human::size(size),
                "Comment": comment,
            })
        });
        described.rev().collect()
    }
}

fn shortened(text: &str) -> String {
    const LENGTH_MAX: usize = 45;
    if text.chars().count() <= LENGTH_MAX {
        return text.to_owned();
    }
    text.chars().take(LENGTH_MAX - 1).chain(['…']).collect()
}
