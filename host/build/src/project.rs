//! Projects by their language: each is compiled by its own tools, which are named when they are missing.

mod c;
mod cargo;
mod error;
mod go;
mod javascript;
mod python;
mod tool;

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

pub use error::BuildError;

/// A wasm file, and for which system it was made.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BuiltModule {
    pub wasm: PathBuf,
    /// `wasip1` or `wasip2`, as an image's configuration says it.
    pub os: String,
}

/// What a directory holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Language {
    Cargo,
    JavaScript,
    Python,
    Go,
    C,
}

/// Where the languages without a target directory of their own put what they make, below the project.
const OUTPUT: &str = ".wasmk";

/// Compiles what is at `path`: a project, or a `.wasm` file, which is taken as it is. The tools' own output goes to stderr; `say` is told
/// of each that is run. Blocks.
pub fn build_project(path: &Path, say: &dyn Fn(&str)) -> Result<BuiltModule, BuildError> {
    if !path.exists() {
        return Err(BuildError::Missing(path.to_owned()));
    }
    if path.is_file() {
        return ready_made(path);
    }
    let project = path.canonicalize().map_err(|source| BuildError::Io { path: path.to_owned(), source })?;
    match language(&project).ok_or_else(|| BuildError::Unknown(path.to_owned()))? {
        Language::Cargo => cargo::build(&project, say),
        Language::JavaScript => javascript::build(&project, say),
        Language::Python => python::build(&project, say),
        Language::Go => go::build(&project, say),
        Language::C => c::build(&project, say),
    }
}

/// Shown by a file that projects of the language have; a project of several is of the first.
fn language(project: &Path) -> Option<Language> {
    const SIGNS: [(&str, Language); 7] = [
        ("Cargo.toml", Language::Cargo),
        ("package.json", Language::JavaScript),
        ("pyproject.toml", Language::Python),
        ("requirements.txt", Language::Python),
        ("app.py", Language::Python),
        ("main.py", Language::Python),
        ("go.mod", Language::Go),
    ];
    let sign = SIGNS.iter().find(|(name, _)| project.join(name).is_file()).map(|(_, language)| *language);
    sign.or_else(|| (!c::sources(project).is_empty()).then_some(Language::C))
}

/// A file that is taken as it is, if it begins as a wasm binary does.
fn ready_made(path: &Path) -> Result<BuiltModule, BuildError> {
    let mut header = [0; 8];
    let read = File::open(path).and_then(|mut file| file.read_exact(&mut header));
    if read.is_err() || !header.starts_with(b"\0asm") {
        return Err(BuildError::NotWasm(path.to_owned()));
    }
    // A component is WASI 0.2 or later, a module WASI 0.1: the two differ in the eighth byte.
    let os = if header[6] == 1 { "wasip2" } else { "wasip1" };
    Ok(BuiltModule { wasm: path.to_owned(), os: os.to_owned() })
}

/// The directory that a project's wasm file goes to.
fn output(project: &Path) -> Result<PathBuf, BuildError> {
    let dir = project.join(OUTPUT);
    let make = || {
        std::fs::create_dir_all(&dir)?;
        // What is made is nobody's source.
        std::fs::write(dir.join(".gitignore"), "*\n")
    };
    make().map_err(|source| BuildError::Io { path: dir.clone(), source })?;
    Ok(dir)
}

/// Where the interfaces of a guest are described: the project's own `wit` directory, else those of a `wasi:http` service.
fn interfaces(project: &Path, output: &Path) -> Result<PathBuf, BuildError> {
    let own = project.join("wit");
    if own.is_dir() {
        return Ok(own);
    }
    let dir = output.join("wit");
    let write = || {
        std::fs::create_dir_all(dir.join("deps"))?;
        WIT.iter().try_for_each(|(name, text)| std::fs::write(dir.join(name), text))
    };
    write().map_err(|source| BuildError::Io { path: dir.clone(), source })?;
    Ok(dir)
}

/// The world of [`WIT`].
const HTTP_WORLD: &str = "wasmk:guest/http";

/// The interfaces of WASI 0.2.10, which the engines of JavaScript and Python are built for.
const WIT: [(&str, &str); 8] = [
    ("world.wit", include_str!("../wit/world.wit")),
    ("deps/cli.wit", include_str!("../wit/deps/cli.wit")),
    ("deps/clocks.wit", include_str!("../wit/deps/clocks.wit")),
    ("deps/filesystem.wit", include_str!("../wit/deps/filesystem.wit")),
    ("deps/http.wit", include_str!("../wit/deps/http.wit")),
    ("deps/io.wit", include_str!("../wit/deps/io.wit")),
    ("deps/random.wit", include_str!("../wit/deps/random.wit")),
    ("deps/sockets.wit", include_str!("../wit/deps/sockets.wit")),
];
