//! Projects to begin with: real files below `templates/`, with `{{name}}` where the project's name goes.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// A project that builds, runs and has its manifest.
#[derive(Debug)]
pub struct Template {
    pub name: &'static str,
    pub description: &'static str,
    files: &'static [(&'static str, &'static str)],
}

#[derive(Debug, thiserror::Error)]
pub enum NewProjectError {
    #[error("there is no template {0:?}; there are {known}", known = names())]
    NoTemplate(String),
    #[error("{0:?} cannot be the name of a project: use up to 63 lower-case letters, digits and -, a letter first")]
    Name(String),
    #[error("{} is there already and not empty", .0.display())]
    NotEmpty(PathBuf),
    #[error("write {}", path.display())]
    Io {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

macro_rules! template {
    ($name:literal, $description:literal, [$($file:literal),+ $(,)?]) => {
        Template {
            name: $name,
            description: $description,
            files: &[$(($file, include_str!(concat!("../templates/", $name, "/", $file)))),+],
        }
    };
}

pub const TEMPLATES: [Template; 7] = [
    template!("http-rust", "an HTTP service in Rust", ["Cargo.toml", ".gitignore", "src/main.rs", "deploy.yaml"]),
    template!(
        "tcp-rust",
        "a TCP service in Rust, on std::net",
        ["Cargo.toml", ".gitignore", "src/main.rs", "deploy.yaml"]
    ),
    template!(
        "worker-rust",
        "a program in Rust that runs once",
        ["Cargo.toml", ".gitignore", "src/main.rs", "deploy.yaml"]
    ),
    template!("http-js", "an HTTP service in JavaScript", ["package.json", ".gitignore", "app.js", "deploy.yaml"]),
    template!("http-python", "an HTTP service in Python", [".gitignore", "app.py", "deploy.yaml"]),
    template!("worker-c", "a program in C that runs once", [".gitignore", "main.c", "deploy.yaml"]),
    template!(
        "static-site",
        "pages, served by a module that holds them",
        ["Cargo.toml", ".gitignore", "src/main.rs", "site/index.html", "site/style.css", "deploy.yaml"]
    ),
];

/// Writes a project into a new directory; answers its files.
pub fn new_project(dir: &Path, name: &str, template: &str) -> Result<Vec<PathBuf>, NewProjectError> {
    let known = TEMPLATES.iter().find(|known| known.name == template);
    let template = known.ok_or_else(|| NewProjectError::NoTemplate(template.to_owned()))?;
    if !is_name(name) {
        return Err(NewProjectError::Name(name.to_owned()));
    }
    if fs::read_dir(dir).is_ok_and(|mut entries| entries.next().is_some()) {
        return Err(NewProjectError::NotEmpty(dir.to_owned()));
    }
    let mut written = Vec::new();
    for (file, text) in template.files {
        let path = file.split('/').fold(dir.to_owned(), |path, part| path.join(part));
        write(&path, &text.replace("{{name}}", name))
            .map_err(|source| NewProjectError::Io { path: path.clone(), source })?;
        written.push(path);
    }
    Ok(written)
}

/// Never over what is there.
fn write(path: &Path, text: &str) -> io::Result<()> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    fs::File::create_new(path)?.write_all(text.as_bytes())
}

/// What a Deployment, a crate and an npm package may all be called.
fn is_name(name: &str) -> bool {
    let plain = |one: char| one.is_ascii_lowercase() || one.is_ascii_digit();
    name.len() <= 63
        && name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.ends_with(plain)
        && name.chars().all(|one| plain(one) || one == '-')
}

fn names() -> String {
    TEMPLATES.iter().map(|template| template.name).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_of_a_template_is_written() {
        let templates = Path::new(env!("CARGO_MANIFEST_DIR")).join("templates");
        for template in &TEMPLATES {
            let dir = tempfile::tempdir().unwrap();
            let project = dir.path().join("shop-2");
            let mut written = new_project(&project, "shop-2", template.name).unwrap();
            written.sort();
            let wanted = files(&templates.join(template.name));
            assert_eq!(written.len(), wanted.len(), "{}: {wanted:?}", template.name);
            for path in written {
                let text = fs::read_to_string(&path).unwrap();
                assert!(!text.contains("{{"), "{}: {text}", path.display());
            }
            let manifest = fs::read_to_string(project.join("deploy.yaml")).unwrap();
            assert!(manifest.contains("image: shop-2:v1"), "{manifest}");
        }
        assert_eq!(fs::read_dir(templates).unwrap().count(), TEMPLATES.len());
    }

    fn files(dir: &Path) -> Vec<PathBuf> {
        let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
        entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
    }

    #[test]
    fn what_is_wrong_is_said() {
        let dir = tempfile::tempdir().unwrap();
        let message = |name: &str, template: &str| new_project(dir.path(), name, template).unwrap_err().to_string();
        assert!(message("a", "cobol").contains("http-rust, tcp-rust"));
        for name in ["", "Shop", "2shop", "shop-", "a_b", &"x".repeat(64)] {
            assert!(message(name, "http-rust").contains("lower-case"), "{name}");
        }
        fs::write(dir.path().join("x"), "").unwrap();
        assert!(message("shop", "http-rust").contains("not empty"));
    }
}
