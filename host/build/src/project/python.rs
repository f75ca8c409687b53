//! Python by componentize-py, which puts CPython and the app into one component.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::error::BuildError;
use super::tool::{self, Tool};
use super::{BuiltModule, interfaces, output, ready_made};

const COMPONENTIZE: Tool = Tool {
    program: "componentize-py",
    what: "a Python project",
    install: "run `pip install componentize-py`, or in the project `python3 -m venv .venv && .venv/bin/pip install componentize-py`",
};
const PIP: Tool = Tool {
    program: "python3",
    what: "a Python project with packages",
    install: "run `apt-get install python3-pip`, or get Python from https://python.org",
};
/// CPython has environment and files by itself; only what it answers needs interfaces.
const WORLD: &str = "wasi:http/proxy@0.2.10";
/// Modules that an app may be.
const MODULES: [&str; 4] = ["app", "main", "src/app", "src/main"];

/// `pip install` of what `requirements.txt` names, then componentize-py.
pub(super) fn build(project: &Path, say: &dyn Fn(&str)) -> Result<BuiltModule, BuildError> {
    let module = MODULES.iter().find(|module| project.join(format!("{module}.py")).is_file());
    let why = || "it has no app.py or main.py, with the class that answers requests".to_owned();
    let module = module.ok_or_else(|| BuildError::NoEntry { path: project.to_owned(), why: why() })?;
    let (source, module) = match module.strip_prefix("src/") {
        Some(module) => (project.join("src"), module),
        None => (project.to_owned(), *module),
    };
    let output = output(project)?;
    let wit = interfaces(project, &output)?;
    let packages = install(project, &output, say)?;
    let program = componentize(project).ok_or_else(|| COMPONENTIZE.missing())?;
    let wasm = output.join("app.wasm");
    let mut command = tool::command(program, project);
    command.arg("--wit-path").arg(&wit);
    if wit.starts_with(&output) {
        command.args(["--world", WORLD]);
    }
    command.args(["componentize", module, "--python-path"]).arg(&source);
    if let Some(packages) = packages {
        command.arg("--python-path").arg(packages);
    }
    COMPONENTIZE.run(command.arg("--output").arg(&wasm), say)?;
    ready_made(&wasm)
}

/// The project's own, else the one in `PATH`.
fn componentize(project: &Path) -> Option<PathBuf> {
    let in_environment = |dir: PathBuf| {
        let bin = if cfg!(windows) { "Scripts" } else { "bin" };
        dir.join(bin).join(format!("{}{}", COMPONENTIZE.program, std::env::consts::EXE_SUFFIX))
    };
    let active = std::env::var_os("VIRTUAL_ENV").map(PathBuf::from);
    let environments = [Some(project.join(".venv")), active].into_iter().flatten().map(in_environment);
    environments.into_iter().find(|path| path.is_file()).or_else(|| tool::find(COMPONENTIZE.program))
}

/// Packages go beside what is built, not into the machine's Python: they are for another system.
fn install(project: &Path, output: &Path, say: &dyn Fn(&str)) -> Result<Option<PathBuf>, BuildError> {
    let wanted = project.join("requirements.txt");
    let modified = |path: &Path| -> Option<SystemTime> { path.metadata().ok()?.modified().ok() };
    if !wanted.is_file() {
        return Ok(None);
    }
    let (packages, done) = (output.join("packages"), output.join("packages/.done"));
    if modified(&done).is_some_and(|done| Some(done) >= modified(&wanted)) {
        return Ok(Some(packages));
    }
    let mut command = PIP.command(project);
    command.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--upgrade", "--requirement"]);
    // Only what is Python alone can run there.
    command.arg(&wanted).args(["--only-binary", ":all:", "--platform", "any", "--target"]).arg(&packages);
    PIP.run(&mut command, say)?;
    let mark = std::fs::create_dir_all(&packages).and_then(|()| std::fs::write(&done, ""));
    mark.map_err(|source| BuildError::Io { path: done, source })?;
    Ok(Some(packages))
}
