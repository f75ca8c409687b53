use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use super::BuiltModule;
use super::error::BuildError;
use super::tool::Tool;

/// Builds for wasm32-wasip2, or what `package.metadata.wasmk.target` says; where nobody says and the toolchain has no
/// wasm32-wasip2, for wasm32-wasip1.
pub(super) fn build(project: &Path, say: &dyn Fn(&str)) -> Result<BuiltModule, BuildError> {
    let manifest = project.join("Cargo.toml");
    let settings = Settings::read(&manifest)?;
    let target = choose_target(project, settings.target.as_deref(), say)?;
    say(&format!("cargo build --release --target {target}"));
    let programs = compile(&manifest, &settings, &target)?;
    let os = target.trim_start_matches("wasm32-").to_owned();
    let nothing = || BuildError::NoProgram { path: project.to_owned(), target: target.clone() };
    match (settings.bin.as_deref(), programs.as_slice()) {
        (_, []) => Err(nothing()),
        (None, [(_, wasm)]) => Ok(BuiltModule { wasm: wasm.clone(), os }),
        (Some(bin), programs) => {
            let (_, wasm) = programs.iter().find(|(name, _)| name == bin).ok_or_else(nothing)?;
            Ok(BuiltModule { wasm: wasm.clone(), os })
        }
        (None, several) => {
            let names: Vec<&str> = several.iter().map(|(name, _)| name.as_str()).collect();
            Err(BuildError::SeveralPrograms { path: project.to_owned(), names: names.join(", ") })
        }
    }
}

fn choose_target(project: &Path, wanted: Option<&str>, say: &dyn Fn(&str)) -> Result<String, BuildError> {
    let target = wanted.unwrap_or(TARGETS[0]);
    match (ensure_target(project, target), wanted) {
        (Ok(()), _) => Ok(target.to_owned()),
        (Err(BuildError::NoTarget { .. }), None) if ensure_target(project, TARGETS[1]).is_ok() => {
            say(&format!("this toolchain has no {target}; building for {}", TARGETS[1]));
            Ok(TARGETS[1].to_owned())
        }
        (Err(error), _) => Err(error),
    }
}

/// Best first.
const TARGETS: [&str; 2] = ["wasm32-wasip2", "wasm32-wasip1"];

const CARGO: Tool = Tool { program: "cargo", what: "a Cargo project", install: "get Rust from https://rustup.rs" };

/// Why a program could not be started.
fn not_run(source: std::io::Error) -> BuildError {
    match source.kind() {
        std::io::ErrorKind::NotFound => CARGO.missing(),
        _ => BuildError::Run { program: CARGO.program.to_owned(), source },
    }
}

/// `[package.metadata.wasmk]` of a project.
struct Settings {
    package: String,
    target: Option<String>,
    bin: Option<String>,
}

impl Settings {
    fn read(manifest: &Path) -> Result<Self, BuildError> {
        let failed = |why: String| BuildError::Metadata { path: manifest.to_owned(), why };
        let mut command = cargo(manifest);
        command
            .args(["metadata", "--format-version", "1", "--no-deps", "--manifest-path"])
            .arg(manifest)
            .stderr(Stdio::inherit());
        let output = command.output().map_err(not_run)?;
        if !output.status.success() {
            return Err(BuildError::Failed("cargo metadata".to_owned()));
        }
        let metadata: Value = serde_json::from_slice(&output.stdout).map_err(|error| failed(error.to_string()))?;
        let wanted = manifest.canonicalize().map_err(|error| failed(error.to_string()))?;
        let is_this = |package: &&Value| {
            package["manifest_path"]
                .as_str()
                .is_some_and(|path| Path::new(path).canonicalize().is_ok_and(|path| path == wanted))
        };
        let package = metadata["packages"].as_array().into_iter().flatten().find(is_this);
        let package = package.ok_or_else(|| {
            failed("it is a workspace without a package of its own; name the directory of one".to_owned())
        })?;
        let own = &package["metadata"]["wasmk"];
        Ok(Self {
            package: package["name"].as_str().unwrap_or_default().to_owned(),
            target: own["target"].as_str().map(str::to_owned),
            bin: own["bin"].as_str().map(str::to_owned),
        })
    }
}

/// Runs the compiler; answers the programs that it made, by name.
fn compile(manifest: &Path, settings: &Settings, target: &str) -> Result<Vec<(String, PathBuf)>, BuildError> {
    let mut command = cargo(manifest);
    command.args(["build", "--release", "--message-format=json-render-diagnostics", "--package", &settings.package]);
    command.args(["--target", target, "--manifest-path"]).arg(manifest);
    let mut child = command.stdout(Stdio::piped()).spawn().map_err(not_run)?;
    let messages = BufReader::new(child.stdout.take().expect("stdout is piped")).lines();
    let programs = messages
        .map_while(Result::ok)
        .filter_map(|line| program(&serde_json::from_str(&line).ok()?, manifest))
        .collect();
    let status = child.wait().map_err(not_run)?;
    if status.success() { Ok(programs) } else { Err(BuildError::Failed(format!("cargo build for {target}"))) }
}

/// A module of the package itself; libraries that it depends on may make some too.
fn program(message: &Value, manifest: &Path) -> Option<(String, PathBuf)> {
    let is_own = message["manifest_path"].as_str().is_some_and(|path| Path::new(path) == manifest);
    let is_artifact = message["reason"] == "compiler-artifact" && is_own;
    let wasm =
        message["filenames"].as_array()?.iter().filter_map(Value::as_str).find(|name| name.ends_with(".wasm"))?;
    is_artifact.then(|| (message["target"]["name"].as_str().unwrap_or_default().to_owned(), PathBuf::from(wasm)))
}

/// Adds a target of rustup's toolchain when it is not there.
fn ensure_target(project: &Path, target: &str) -> Result<(), BuildError> {
    let missing = || BuildError::NoTarget { target: target.to_owned() };
    // In the project, whose rust-toolchain.toml may ask for another toolchain.
    let tool = |name: &str| {
        let mut command = Command::new(name);
        command.current_dir(project).stdin(Stdio::null());
        command
    };
    let output = tool("rustc").args(["--print", "target-libdir", "--target", target]).output().map_err(not_run)?;
    let libraries = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    if output.status.success() && Path::new(&libraries).is_dir() {
        return Ok(());
    }
    let added = tool("rustup").args(["target", "add", target]).stdout(Stdio::null()).status();
    if added.is_ok_and(|status| status.success()) { Ok(()) } else { Err(missing()) }
}

/// In the project, so that its `rust-toolchain.toml` and `.cargo/config.toml` count.
fn cargo(manifest: &Path) -> Command {
    let mut command = Command::new("cargo");
    command.current_dir(manifest.parent().unwrap_or(Path::new(".")));
    // Settings of a cargo that runs us are not for the guest's build.
    for name in ["CARGO_TARGET_DIR", "RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "RUSTC", "CARGO_BUILD_TARGET"] {
        command.env_remove(name);
    }
    command.stdin(Stdio::null());
    command
}
