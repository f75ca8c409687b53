//! Objects from files: YAML or JSON, several documents a file, directories, stdin. A mistake is shown with its file,
//! line and column.

use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use clap::Args;
use serde_json::Value;

/// `-f`, as every verb that reads files takes it.
#[derive(Args, Clone, Default)]
pub(crate) struct Files {
    /// File, directory or `-` for stdin; may be given several times
    #[arg(short, long = "filename", value_name = "FILE")]
    pub(crate) filenames: Vec<PathBuf>,
    /// Go into directories below the given ones
    #[arg(short = 'R', long)]
    pub(crate) recursive: bool,
}

/// One object of a file.
pub(crate) struct Manifest {
    pub(crate) value: Value,
    /// For messages: `hello.yaml`, or `hello.yaml (document 2)`.
    pub(crate) origin: String,
}

impl Manifest {
    pub(crate) fn api_version(&self) -> Result<&str> {
        self.required("apiVersion", &self.value["apiVersion"])
    }

    pub(crate) fn kind(&self) -> Result<&str> {
        self.required("kind", &self.value["kind"])
    }

    pub(crate) fn name(&self) -> Result<&str> {
        self.required("metadata.name", &self.value["metadata"]["name"])
    }

    pub(crate) fn namespace(&self) -> Option<&str> {
        self.value["metadata"]["namespace"].as_str()
    }

    fn required<'a>(&self, field: &str, value: &'a Value) -> Result<&'a str> {
        value
            .as_str()
            .filter(|text| !text.is_empty())
            .ok_or_else(|| anyhow!("{}: {field} is missing or not a string", self.origin))
    }
}

/// Every object of the files, in their order.
pub(crate) fn read(files: &Files) -> Result<Vec<Manifest>> {
    if files.filenames.is_empty() {
        bail!("say which objects: -f FILE, -f DIRECTORY or -f - for stdin");
    }
    let mut manifests = Vec::new();
    for path in &files.filenames {
        for (origin, text) in texts(path, files.recursive)? {
            manifests.extend(parse(&origin, &text)?);
        }
    }
    if manifests.is_empty() {
        bail!(
            "no objects in {}",
            files.filenames.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ")
        );
    }
    Ok(manifests)
}

fn texts(path: &Path, recursive: bool) -> Result<Vec<(String, String)>> {
    if path == Path::new("-") {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).context("read stdin")?;
        return Ok(vec![("stdin".to_owned(), text)]);
    }
    if !path.is_dir() {
        let text = std::fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
        return Ok(vec![(path.display().to_string(), text)]);
    }
    let mut entries: Vec<PathBuf> = std::fs::read_dir(path)?.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
    entries.sort();
    let is_manifest =
        |path: &PathBuf| path.extension().is_some_and(|end| end == "yaml" || end == "yml" || end == "json");
    let wanted = entries.iter().filter(|entry| if entry.is_dir() { recursive } else { is_manifest(entry) });
    let nested: Vec<_> = wanted.map(|entry| texts(entry, recursive)).collect::<Result<_>>()?;
    Ok(nested.into_iter().flatten().collect())
}

/// The objects of one text; a `List` counts as its items.
pub(crate) fn parse(origin: &str, text: &str) -> Result<Vec<Manifest>> {
    // `0644` means 420, as it does to kubectl: file modes are written that way.
    let options = serde_yaml::options! { legacy_octal_numbers: true };
    let documents: Vec<Value> =
        serde_yaml::from_multiple_with_options(text, options).map_err(|error| located(origin, &error))?;
    let documents: Vec<Value> = documents.into_iter().filter(|document| !document.is_null()).collect();
    let count = documents.len();
    let mut manifests = Vec::new();
    for (index, document) in documents.into_iter().enumerate() {
        let origin = if count > 1 { format!("{origin} (document {})", index + 1) } else { origin.to_owned() };
        if !document.is_object() {
            bail!("{origin}: an object starts with `apiVersion:` and `kind:`, this is {}", shape(&document));
        }
        let is_list =
            document["kind"].as_str().is_some_and(|kind| kind.ends_with("List")) && document["items"].is_array();
        match is_list {
            true => manifests.extend(
                document["items"]
                    .as_array()
                    .into_iter()
                    .flatten()
                    .map(|item| Manifest { value: item.clone(), origin: origin.clone() }),
            ),
            false => manifests.push(Manifest { value: document, origin }),
        }
    }
    Ok(manifests)
}

fn located(origin: &str, error: &serde_yaml::Error) -> anyhow::Error {
    let place = match error.location() {
        Some(location) => format!("{origin}:{}:{}", location.line(), location.column()),
        None => origin.to_owned(),
    };
    anyhow!("{place}: this is not valid YAML\n{}", error.render())
}

fn shape(value: &Value) -> &'static str {
    match value {
        Value::Array(_) => "a list",
        Value::String(_) => "a string",
        Value::Number(_) => "a number",
        Value::Bool(_) => "a boolean",
        Value::Object(_) | Value::Null => "something else",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_may_hold_several_documents_and_lists() {
        let text = "kind: A\n---\n---\nkind: BList\nitems: [{kind: B}, {kind: C}]\n";
        let kinds: Vec<_> = parse("x.yaml", text).unwrap().iter().map(|one| one.kind().unwrap().to_owned()).collect();
        assert_eq!(kinds, ["A", "B", "C"]);
    }

    #[test]
    fn a_mistake_is_shown_with_file_line_and_column() {
        let error = parse("x.yaml", "kind: Pod\nmetadata:\n  name: [a\n").err().unwrap().to_string();
        assert!(error.starts_with("x.yaml:"), "{error}");
        let duplicate = parse("x.yaml", "kind: Pod\nkind: Pod\n").err().unwrap().to_string();
        assert!(duplicate.starts_with("x.yaml:2:1"), "{duplicate}");
    }

    #[test]
    fn file_modes_are_octal() {
        let manifests = parse("x.yaml", "kind: Pod\nmode: 0644\n").unwrap();
        assert_eq!(manifests[0].value["mode"], 420);
    }
}
