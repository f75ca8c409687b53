use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::Args;
use clap::builder::PossibleValuesParser;
use wasmk_host::{TEMPLATES, new_project};

#[derive(Args)]
pub(crate) struct New {
    /// Directory to write; its last part is the project's name
    path: PathBuf,
    /// What to begin with
    #[arg(short, long, value_parser = PossibleValuesParser::new(TEMPLATES.iter().map(|template| template.name)))]
    template: String,
}

impl New {
    pub(crate) fn run(self) -> Result<()> {
        let path = std::path::absolute(&self.path)?;
        let name = path.file_name().and_then(|name| name.to_str()).context("the path names no project")?;
        let written = new_project(&path, name, &self.template)?;
        for file in &written {
            println!("{}", self.path.join(file.strip_prefix(&path).unwrap_or(file)).display());
        }
        say_what_next(&self.path, name, &self.template);
        Ok(())
    }
}

fn say_what_next(path: &Path, name: &str, template: &str) {
    eprintln!("\nNext:\n  cd {}", path.display());
    if template == "http-python" {
        eprintln!("  python3 -m venv .venv && .venv/bin/pip install componentize-py");
    }
    eprintln!("  wasmk build -t {name}:v1\n  wasmk apply -f deploy.yaml");
    match template {
        "worker-rust" | "worker-c" => eprintln!("  wasmk logs {name}"),
        "tcp-rust" => eprintln!("  wasmk port-forward svc/{name} 7000   # then: nc 127.0.0.1 7000"),
        _ => eprintln!("  wasmk port-forward svc/{name} 8080:80   # then: curl http://127.0.0.1:8080/"),
    }
}
