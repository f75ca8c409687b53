use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

/// A wasm file, and for which system it was made.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BuiltModule {
    pub wasm: PathBuf,
    /// `wasip1` or `wasip2`, as an image's configuration says it.
    pub os: String,
}

#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    #[error("{0} does not exist")]
    Missing(PathBuf),
    #[error("{0} is no Cargo project and no .wasm file: it has no Cargo.toml")]
    Unknown(PathBuf),
    #[error("{} is no wasm binary", .0.display())]
    NotWasm(PathBuf),
    #[error("cargo is not installed: get Rust from https://rustup.rs")]
    NoCargo(#[source] std::io::Error),
    #[error("install the target {target}: run `rustup target add {target}`")]
    NoTarget { target: String },
    #[error("{0} failed; its own messages are above")]
    Failed(String),
    #[error("read {path}: {why}")]
    Metadata { path: PathBuf, why: String },
    #[error(
        "{path} builds no program for {target}: it needs a binary (src/main.rs), or a library of crate type cdylib"
    )]
    NoProgram { path: PathBuf, target: String },
    #[error("{path} builds several programs ({names}); name one as package.metadata.wasmk.bin in its Cargo.toml")]
    SeveralPrograms { path: PathBuf, names: String },
}

/// Compiles what is at `path`: a Cargo project (for wasm32-wasip2, or what `package.metadata.wasmk.target` says), or takes a
/// `.wasm` file as it is. The tools' own output goes to stderr. Blocks.
pub fn build(path: &Path) -> Result<BuiltModule, BuildError> {
    if !path.exists() {
        return Err(BuildError::Missing(path.to_owned()));
    }
    if path.is_file() {
        return ready_made(path);
    }
    let manifest = path.join("Cargo.toml");
    if !manifest.is_file() {
        return Err(BuildError::Unknown(path.to_owned()));
    }
    let manifest = manifest.canonicalize().unwrap_or(manifest);
    let settings = Settings::read(&manifest)?;
    ensure_target(path, &settings.target)?;
    let programs = compile(&manifest, &settings)?;
    let os = settings.target.trim_start_matches("wasm32-").to_owned();
    let nothing = || BuildError::NoProgram { path: path.to_owned(), target: settings.target.clone() };
    match (settings.bin.as_deref(), programs.as_slice()) {
        (_, []) => Err(nothing()),
        (None, [(_, wasm)]) => Ok(BuiltModule { wasm: wasm.clone(), os }),
        (Some(bin), programs) => {
            let (_, wasm) = programs.iter().find(|(name, _)| name == bin).ok_or_else(nothing)?;
            Ok(BuiltModule { wasm: wasm.clone(), os })
        }
        (None, several) => {
            let names: Vec<&str> = several.iter().map(|(name, _)| name.as_str()).collect();
            Err(BuildError::SeveralPrograms { path: path.to_owned(), names: names.join(", ") })
        }
    }
}

/// A file that is taken as it is, if it begins as a wasm binary does.
fn ready_made(path: &Path) -> Result<BuiltModule, BuildError> {
    let mut magic = [0; 4];
    let read = std::fs::File::open(path).and_then(|mut file| std::io::Read::read_exact(&mut file, &mut magic));
    if read.is_err() || magic != *b"\0asm" {
        return Err(BuildError::NotWasm(path.to_owned()));
    }
    Ok(BuiltModule { wasm: path.to_owned(), os: os_of(path) })
}

/// `[package.metadata.wasmk]` of a project.
struct Settings {
    package: String,
    target: String,
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
        let output = command.output().map_err(BuildError::NoCargo)?;
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
            target: own["target"].as_str().unwrap_or("wasm32-wasip2").to_owned(),
            bin: own["bin"].as_str().map(str::to_owned),
        })
    }
}

/// Runs the compiler; answers the programs that it made, by name.
fn compile(manifest: &Path, settings: &Settings) -> Result<Vec<(String, PathBuf)>, BuildError> {
    let mut command = cargo(manifest);
    command.args(["build", "--release", "--message-format=json-render-diagnostics", "--package", &settings.package]);
    command.args(["--target", &settings.target, "--manifest-path"]).arg(manifest);
    let mut child = command.stdout(Stdio::piped()).spawn().map_err(BuildError::NoCargo)?;
    let messages = BufReader::new(child.stdout.take().expect("stdout is piped")).lines();
    let programs = messages
        .map_while(Result::ok)
        .filter_map(|line| program(&serde_json::from_str(&line).ok()?, manifest))
        .collect();
    let status = child.wait().map_err(BuildError::NoCargo)?;
    if status.success() {
        Ok(programs)
    } else {
        Err(BuildError::Failed(format!("cargo build for {}", settings.target)))
    }
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
    let output =
        tool("rustc").args(["--print", "target-libdir", "--target", target]).output().map_err(BuildError::NoCargo)?;
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

/// A component is WASI 0.2 or later, a module WASI 0.1: the two differ in the eighth byte.
fn os_of(wasm: &Path) -> String {
    let mut header = [0; 8];
    let is_component =
        std::fs::File::open(wasm).and_then(|mut file| std::io::Read::read_exact(&mut file, &mut header)).is_ok()
            && header[6] == 1;
    if is_component { "wasip2" } else { "wasip1" }.to_owned()
}
