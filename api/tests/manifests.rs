//! The manifests that README, docs and tests share are what the API takes without a word.

use std::path::{Path, PathBuf};

use serde_json::Value;
use wasmk_api::write::{self, Context, Effect, FieldValidation, Part, Settings};
use wasmk_api::{Key, Op, Precondition, Snapshot, Transaction, kind};

/// Every document is committed, strictly validated and without warnings; then nothing is left to write when it comes
/// again, as stored or as the file has it.
#[test]
fn manifests_are_accepted_and_then_settled() {
    let files = manifests();
    assert!(files.len() >= 4, "{files:?}");
    for file in files {
        let mut snapshot = default_namespace();
        for document in documents(&file) {
            snapshot = accept(&file, snapshot, document);
        }
    }
}

fn accept(file: &Path, snapshot: Snapshot, document: Value) -> Snapshot {
    let text = |field: &str| document[field].as_str().unwrap_or_default();
    let kind = kind::by_api_version(text("apiVersion"), text("kind"))
        .unwrap_or_else(|| panic!("{}: no kind {}", file.display(), text("kind")));
    let place = format!("{}: {} {}", file.display(), text("kind"), document["metadata"]["name"]);
    let namespace = match (kind.namespaced, document["metadata"]["namespace"].as_str()) {
        (false, _) => "",
        (true, given) => given.unwrap_or("default"),
    };
    let settings = Settings::default();
    let context = Context {
        now: "2026-11-20T12:00:00Z".parse().unwrap(),
        uid: &|| "uid".to_owned(),
        name_suffix: &|| "abcde".to_owned(),
        field_manager: Some("test"),
        validation: FieldValidation::Strict,
        snapshot: &snapshot,
        settings: &settings,
    };
    let prepared =
        write::create(kind, namespace, document.clone(), &context).unwrap_or_else(|status| panic!("{place}: {status}"));
    assert!(prepared.warnings.is_empty(), "{place}: {:?}", prepared.warnings);
    let key = prepared.key(kind);
    let ops = prepared.into_ops(kind, Precondition::Absent);
    let (next, _) = snapshot.apply(&Transaction { ops }).unwrap_or_else(|conflict| panic!("{place}: {conflict}"));
    let stored = next.get(&key).expect("committed").clone();
    let context = Context { snapshot: &next, ..context };
    // A pod as it was written lacks what only its creation filled in, such as its account; Kubernetes refuses it, too.
    let as_written = (kind.kind != "Pod").then_some(document);
    for again in std::iter::once(stored.value().clone()).chain(as_written) {
        let prepared = write::update(kind, &stored, again, Part::Main, &context).unwrap();
        assert_eq!(prepared.effect, Effect::Unchanged, "{place}: {:#}", prepared.value);
    }
    next
}

fn default_namespace() -> Snapshot {
    let key = Key::new("namespaces", "", "default");
    let put = Op::Put {
        key: key.clone(),
        value: serde_json::json!({"metadata": {"name": "default"}}),
        precondition: Precondition::Absent,
    };
    Snapshot::default().apply(&Transaction { ops: vec![put] }).unwrap().0
}

fn manifests() -> Vec<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../manifests");
    let entries = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> =
        entries.filter(|path| path.extension().is_some_and(|extension| extension == "yaml")).collect();
    files.sort();
    files
}

fn documents(file: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(file).unwrap();
    let parts = text.split("\n---").map(|part| serde_yaml::from_str::<Value>(part).unwrap());
    parts.filter(|document| !document.is_null()).collect()
}
