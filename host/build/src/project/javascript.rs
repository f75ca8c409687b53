//! JavaScript and TypeScript by componentize-js, which puts an engine and the script into one component.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde_json::Value;

use super::error::BuildError;
use super::tool::{self, Tool};
use super::{BuiltModule, HTTP_WORLD, interfaces, output, ready_made};

const NODE: Tool = Tool {
    program: "node",
    what: "a JavaScript project",
    install: "get Node.js 20 or newer from https://nodejs.org, or run `apt-get install nodejs npm`",
};
const NPM: Tool = Tool {
    program: if cfg!(windows) { "npm.cmd" } else { "npm" },
    what: "a JavaScript project",
    install: "it comes with Node.js (https://nodejs.org); on Debian run `apt-get install npm`",
};
const COMPONENTIZE: Tool = Tool {
    program: "@bytecodealliance/componentize-js",
    what: "a JavaScript project",
    install: "run `npm install --save-dev @bytecodealliance/componentize-js` in it",
};
const ESBUILD: Tool = Tool {
    program: "esbuild",
    what: "a project of TypeScript or of several files",
    install: "run `npm install --save-dev esbuild` in it",
};

/// Where a project begins that does not say so.
const ENTRIES: [&str; 10] = [
    "src/index.ts",
    "src/index.js",
    "src/app.ts",
    "src/app.js",
    "index.ts",
    "index.js",
    "index.mjs",
    "app.ts",
    "app.js",
    "app.mjs",
];
const SCRIPT: &str = include_str!("componentize.mjs");

/// `npm ci` (or `install`) where packages are missing, `npm run build` where there is such a script, esbuild where there are
/// several files or types, then componentize-js.
pub(super) fn build(project: &Path, say: &dyn Fn(&str)) -> Result<BuiltModule, BuildError> {
    let package = Package::read(project)?;
    install(project, &package, say)?;
    if package.has_script("build") {
        NPM.run(NPM.command(project).args(["run", "build"]), say)?;
    }
    let entry = package.entry(project)?;
    if has_extension(&entry, &["wasm"]) {
        return ready_made(&entry);
    }
    let output = output(project)?;
    let source = bundle(project, &entry, &output, say)?;
    componentize(project, &package, &source, &output, say)
}

struct Package(Value);

impl Package {
    fn read(project: &Path) -> Result<Self, BuildError> {
        let path = project.join("package.json");
        let text = std::fs::read_to_string(&path).map_err(|source| BuildError::Io { path: path.clone(), source })?;
        serde_json::from_str(&text).map(Self).map_err(|error| BuildError::Metadata { path, why: error.to_string() })
    }

    fn has_script(&self, name: &str) -> bool {
        self.0["scripts"][name].is_string()
    }

    /// Without any there is nothing to install.
    fn has_dependencies(&self) -> bool {
        ["dependencies", "devDependencies"]
            .iter()
            .any(|kind| self.0[*kind].as_object().is_some_and(|packages| !packages.is_empty()))
    }

    /// The world of the project's own `wit` directory.
    fn world(&self) -> Option<&str> {
        self.0["wasmk"]["world"].as_str()
    }

    fn entry(&self, project: &Path) -> Result<PathBuf, BuildError> {
        let named = [&self.0["wasmk"]["entry"], &self.0["main"]].into_iter().find_map(Value::as_str);
        if let Some(named) = named {
            let path = project.join(named);
            let why = || format!("the file {named}, which it names as its entry, is not there");
            return match path.is_file() {
                true => Ok(path),
                false => Err(BuildError::NoEntry { path: project.join("package.json"), why: why() }),
            };
        }
        let known = ENTRIES.iter().map(|name| project.join(name)).find(|path| path.is_file());
        let why = || "it names no \"main\", and there is no index.js, app.js or src/index.ts".to_owned();
        known.ok_or_else(|| BuildError::NoEntry { path: project.join("package.json"), why: why() })
    }
}

/// Installs the packages, unless that was done since they last changed.
fn install(project: &Path, package: &Package, say: &dyn Fn(&str)) -> Result<(), BuildError> {
    tool::find(NODE.program).ok_or_else(|| NODE.missing())?;
    let changed = |name: &str| modified(&project.join(name));
    let installed = changed("node_modules/.package-lock.json");
    let locked = project.join("package-lock.json").is_file();
    let is_current =
        installed.is_some() && installed >= changed("package.json") && installed >= changed("package-lock.json");
    if is_current || !package.has_dependencies() {
        return Ok(());
    }
    let verb = if locked { "ci" } else { "install" };
    NPM.run(NPM.command(project).args([verb, "--no-audit", "--no-fund"]), say)
}

fn modified(path: &Path) -> Option<SystemTime> {
    path.metadata().ok()?.modified().ok()
}

/// The engine reads one file of JavaScript.
fn bundle(project: &Path, entry: &Path, output: &Path, say: &dyn Fn(&str)) -> Result<PathBuf, BuildError> {
    let program = project.join("node_modules/esbuild/bin/esbuild");
    if !program.is_file() {
        let is_typed = has_extension(entry, &["ts", "mts", "tsx", "jsx"]);
        return if is_typed || imports_others(entry)? { Err(ESBUILD.missing()) } else { Ok(entry.to_owned()) };
    }
    let bundled = output.join("bundle.mjs");
    let mut command = tool::command(NODE.program, project);
    command.arg(program).arg(entry).args([
        "--bundle",
        "--format=esm",
        "--platform=neutral",
        "--main-fields=module,main",
    ]);
    // What the interfaces describe comes from the host.
    command.args(["--external:wasi:*", "--log-level=warning"]).arg(format!("--outfile={}", bundled.display()));
    NODE.run(&mut command, say)?;
    Ok(bundled)
}

/// Whether a script imports other files or packages, and not only what the host gives.
fn imports_others(entry: &Path) -> Result<bool, BuildError> {
    let text = std::fs::read_to_string(entry).map_err(|source| BuildError::Io { path: entry.to_owned(), source })?;
    let imports = text.lines().map(str::trim).filter(|line| line.starts_with("import ") || line.starts_with("} from "));
    let sources = imports.filter_map(|line| line.rsplit(['"', '\'']).nth(1));
    Ok(sources.into_iter().any(|source| !source.contains(':')))
}

fn componentize(
    project: &Path,
    package: &Package,
    source: &Path,
    output: &Path,
    say: &dyn Fn(&str),
) -> Result<BuiltModule, BuildError> {
    if !project.join("node_modules").join(COMPONENTIZE.program).is_dir() {
        return Err(COMPONENTIZE.missing());
    }
    let wit = interfaces(project, output)?;
    let world = package.world().or_else(|| wit.starts_with(output).then_some(HTTP_WORLD)).unwrap_or_default();
    let wasm = output.join("app.wasm");
    let mut command = NODE.command(project);
    command.args(["--input-type=module", "--eval", SCRIPT, "--"]).args([source, &wit, &wasm]).arg(world);
    say(&format!("componentize-js {}", source.strip_prefix(project).unwrap_or(source).display()));
    NODE.run(&mut command, &|_| {})?;
    ready_made(&wasm)
}

fn has_extension(path: &Path, extensions: &[&str]) -> bool {
    path.extension().is_some_and(|own| extensions.iter().any(|known| own == *known))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(package: &str, files: &[&str], expected: &str) {
        let dir = tempfile::tempdir().unwrap();
        for file in files {
            let path = dir.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        let package = Package(serde_json::from_str(package).unwrap());
        let found = match package.entry(dir.path()) {
            Ok(path) => path.strip_prefix(dir.path()).unwrap().display().to_string(),
            Err(BuildError::NoEntry { why, .. }) => why,
            Err(other) => other.to_string(),
        };
        assert_eq!(found, expected);
    }

    #[test]
    fn a_project_begins_where_it_says_or_where_most_do() {
        check(r#"{"main": "server.js"}"#, &["server.js", "index.js"], "server.js");
        check(r#"{"main": "a.js", "wasmk": {"entry": "b.js"}}"#, &["a.js", "b.js"], "b.js");
        check("{}", &["app.js", "src/index.ts"], "src/index.ts");
        check("{}", &[], "it names no \"main\", and there is no index.js, app.js or src/index.ts");
        check(r#"{"main": "dist/x.js"}"#, &[], "the file dist/x.js, which it names as its entry, is not there");
    }

    #[test]
    fn imports_of_the_host_need_no_bundler() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("app.js");
        let imports = |text: &str| {
            std::fs::write(&file, text).unwrap();
            imports_others(&file).unwrap()
        };
        assert!(!imports("import { getEnvironment } from \"wasi:cli/environment@0.2.10\";\nlet a = './b';"));
        assert!(imports("import x from './other.js';"));
        assert!(imports("import {\n  a,\n} from 'package';"));
    }
}
