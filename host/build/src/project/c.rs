//! C and C++ by clang with wasi-libc.

use std::path::{Path, PathBuf};

use super::error::BuildError;
use super::tool::{self, Tool};
use super::{BuiltModule, output, ready_made};

const CLANG: Tool = Tool {
    program: "clang",
    what: "a C project",
    install: "run `apt-get install clang lld wasi-libc libclang-rt-dev-wasm32`, or set WASI_SDK_PATH to a wasi-sdk \
              (https://github.com/WebAssembly/wasi-sdk)",
};
const CLANGXX: Tool = Tool {
    program: "clang++",
    what: "a C++ project",
    install: "run `apt-get install clang lld wasi-libc libclang-rt-dev-wasm32 libc++-dev-wasm32`, or set WASI_SDK_PATH to a \
              wasi-sdk (https://github.com/WebAssembly/wasi-sdk)",
};
const LINKER: Tool = Tool { program: "wasm-ld", what: "a C project", install: "run `apt-get install lld`" };
/// Where Debian's wasi-libc has its headers.
const DEBIAN: &str = "/usr/include/wasm32-wasi/stdio.h";
const PLUS_PLUS: [&str; 3] = ["cc", "cpp", "cxx"];

/// All sources of the directory and of its `src` become one program for WASI 0.1, with the flags that
/// `compile_flags.txt` has, one a line.
pub(super) fn build(project: &Path, say: &dyn Fn(&str)) -> Result<BuiltModule, BuildError> {
    let sources = sources(project);
    let is_plus_plus = sources.iter().any(|source| has_extension(source, &PLUS_PLUS));
    let tool = if is_plus_plus { CLANGXX } else { CLANG };
    let wasm = output(project)?.join("app.wasm");
    let mut command = compiler(&tool, project)?;
    command.args(["--target=wasm32-wasi", "-O2"]);
    if is_plus_plus {
        command.arg("-fno-exceptions");
    }
    if project.join("include").is_dir() {
        command.arg("-Iinclude");
    }
    command.args(flags(project)?);
    // Relative, as one would type them, and as messages show them.
    command.args(sources.iter().map(|source| source.strip_prefix(project).unwrap_or(source)));
    tool.run(command.arg("-o").arg(&wasm), say)?;
    ready_made(&wasm)
}

/// Sorted, so that the same files give the same program.
pub(super) fn sources(project: &Path) -> Vec<PathBuf> {
    let files =
        |dir: PathBuf| std::fs::read_dir(dir).into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path()));
    let is_source = |path: &PathBuf| path.is_file() && (has_extension(path, &["c"]) || has_extension(path, &PLUS_PLUS));
    let mut sources: Vec<PathBuf> =
        files(project.to_owned()).chain(files(project.join("src"))).filter(is_source).collect();
    sources.sort();
    sources
}

/// Of a wasi-sdk that the environment names, else the system's, which must have wasi-libc.
fn compiler(tool: &Tool, project: &Path) -> Result<std::process::Command, BuildError> {
    if let Some(sdk) = std::env::var_os("WASI_SDK_PATH").filter(|path| !path.is_empty()) {
        let program = Path::new(&sdk).join("bin").join(format!("{}{}", tool.program, std::env::consts::EXE_SUFFIX));
        return if program.is_file() { Ok(tool::command(program, project)) } else { Err(tool.missing()) };
    }
    if tool::find(tool.program).is_none() || !Path::new(DEBIAN).exists() {
        return Err(tool.missing());
    }
    if tool::find(LINKER.program).is_none() {
        return Err(LINKER.missing());
    }
    Ok(tool.command(project))
}

/// As clang's own tools read the file.
fn flags(project: &Path) -> Result<Vec<String>, BuildError> {
    let path = project.join("compile_flags.txt");
    match std::fs::read_to_string(&path) {
        Ok(text) => Ok(text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(source) => Err(BuildError::Io { path, source }),
    }
}

fn has_extension(path: &Path, extensions: &[&str]) -> bool {
    path.extension().is_some_and(|own| extensions.iter().any(|known| own == *known))
}
