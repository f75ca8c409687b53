use std::io;
use std::path::PathBuf;

#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    #[error("{} does not exist", .0.display())]
    Missing(PathBuf),
    #[error(
        "nothing to build in {}: it has no Wasmfile, Dockerfile, Cargo.toml, package.json, pyproject.toml, app.py, go.mod or C \
         source, and is no .wasm file", .0.display()
    )]
    Unknown(PathBuf),
    #[error("{} is no wasm binary", .0.display())]
    NotWasm(PathBuf),
    /// A program or package that the language needs.
    #[error("{tool} is not installed, which {what} needs: {install}")]
    NoTool { tool: String, what: &'static str, install: String },
    #[error("install the target {target}: run `rustup target add {target}`")]
    NoTarget { target: String },
    #[error("{0} failed; its own messages are above")]
    Failed(String),
    #[error("run {program}")]
    Run {
        program: String,
        #[source]
        source: io::Error,
    },
    #[error("read {}: {why}", path.display())]
    Metadata { path: PathBuf, why: String },
    #[error("{}", path.display())]
    Io {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error(
        "{} builds no program for {target}: it needs a binary (src/main.rs), or a library of crate type cdylib", path.display()
    )]
    NoProgram { path: PathBuf, target: String },
    #[error(
        "{} builds several programs ({names}); name one as package.metadata.wasmk.bin in its Cargo.toml", path.display()
    )]
    SeveralPrograms { path: PathBuf, names: String },
    /// Of a language whose projects do not say where they begin.
    #[error("{}: {why}", path.display())]
    NoEntry { path: PathBuf, why: String },
}
