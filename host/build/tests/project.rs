//! Builds with the real cargo, of crates that depend on nothing.

use std::fs;
use std::path::Path;

use wasmk_build::{BuildError, build_project};

fn build(path: &Path) -> Result<wasmk_build::BuiltModule, BuildError> {
    build_project(path, &|_| {})
}

fn project(manifest: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("Cargo.toml"), manifest).unwrap();
    fs::create_dir(dir.path().join("src")).unwrap();
    fs::write(dir.path().join("src/main.rs"), "fn main() { println!(\"hello\"); }").unwrap();
    dir
}

fn manifest(more: &str) -> String {
    // A workspace of its own, wherever the directory lies.
    format!("[package]\nname = \"tiny\"\nversion = \"0.1.0\"\nedition = \"2024\"\n[workspace]\n{more}")
}

fn is_component(wasm: &Path) -> bool {
    let content = fs::read(wasm).unwrap();
    assert!(content.starts_with(b"\0asm"));
    content[6] == 1
}

#[test]
fn a_project_becomes_a_component_unless_it_asks_for_a_module() {
    let dir = project(&manifest(""));
    let built = build(dir.path()).unwrap();
    assert_eq!(built.os, "wasip2");
    assert!(is_component(&built.wasm));
    fs::write(dir.path().join("Cargo.toml"), manifest("[package.metadata.wasmk]\ntarget = \"wasm32-wasip1\"\n"))
        .unwrap();
    let built = build(dir.path()).unwrap();
    assert_eq!(built.os, "wasip1");
    assert!(!is_component(&built.wasm));
    // The file itself can be had without a project.
    assert_eq!(build(&built.wasm).unwrap(), built);
}

#[test]
fn what_cannot_be_built_says_why() {
    let message = |path: &Path| build(path).unwrap_err().to_string();
    let dir = project("[workspace]\nmembers = []\n");
    assert!(message(dir.path()).contains("workspace"), "{}", message(dir.path()));
    let empty = tempfile::tempdir().unwrap();
    assert!(message(empty.path()).contains("no Wasmfile, Dockerfile, Cargo.toml"));
    let missing = empty.path().join("nowhere");
    assert!(matches!(build(&missing), Err(BuildError::Missing(path)) if path == missing));
    let text = empty.path().join("app.wasm");
    fs::write(&text, "text").unwrap();
    assert!(matches!(build(&text), Err(BuildError::NotWasm(_))));
    let broken = project(&manifest(""));
    fs::write(broken.path().join("src/main.rs"), "fn main() { nonsense }").unwrap();
    assert!(matches!(build(broken.path()), Err(BuildError::Failed(_))));
}
