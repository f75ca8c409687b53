mod archive;
mod copy;
mod error;
mod expand;
mod files;
mod ignore;
mod layer;
mod parse;
mod stage;
mod words;

#[cfg(any(test, fuzzing))]
pub mod fuzzing;

use std::cell::RefCell;
use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::{BaseImage, BaseImages, BuiltImage, HistoryEntry, Layer, Platform};
use error::{Fault, io_error};
use files::{Disk, Files, Node, Tree};
use ignore::Ignore;
use stage::{Done, Outcome, Request, World};

pub use error::{DockerfileError, Remark};
pub use layer::NewLayer;

/// What to build, and how.
#[derive(Clone, Debug)]
pub struct DockerfileBuild {
    /// The directory that `COPY` reads from.
    pub context: PathBuf,
    pub file: PathBuf,
    pub build_args: Vec<(String, String)>,
    /// The stage to stop at.
    pub target: Option<String>,
    pub platform: Platform,
    /// Of the files in new layers, in seconds since 1970.
    pub mtime: u64,
}

/// The names that are looked for, best first. A `Wasmfile` may lie beside a `Dockerfile` that is for other images.
const NAMES: [&str; 2] = ["Wasmfile", "Dockerfile"];

/// The Dockerfile of a directory, if there is one.
pub fn find_dockerfile(context: &Path) -> Option<PathBuf> {
    NAMES.iter().map(|name| context.join(name)).find(|path| path.is_file())
}

/// Builds an image; blocks. `say` is told of each step before it is done.
pub fn build_dockerfile(
    build: &DockerfileBuild,
    images: &dyn BaseImages,
    say: &dyn Fn(&str),
) -> Result<BuiltImage, DockerfileError> {
    let scratch = tempfile::Builder::new().prefix("wasmk-build-").tempdir();
    let scratch = scratch.map_err(io_error("make a directory below", &std::env::temp_dir()))?;
    if !build.context.is_dir() {
        return Err(io_error("read", &build.context)(std::io::ErrorKind::NotADirectory.into()));
    }
    let text = fs::read_to_string(&build.file).map_err(io_error("read", &build.file))?;
    let name = build.file.to_string_lossy().into_owned();
    let invalid = |fault: Fault| DockerfileError::Invalid(fault.of(&name));
    let file = parse::parse(&text).map_err(invalid)?;
    let context = Disk::new(&build.context, read_ignore(build)?, scratch.path());
    let world = Machine { context, images, known: RefCell::default(), scratch: scratch.path().to_owned() };
    let request = Request {
        build_args: build.build_args.clone(),
        target: build.target.clone(),
        platform: build.platform.clone(),
    };
    let Outcome { stage, mut warnings } = stage::evaluate(&file, &request, &world, say).map_err(invalid)?;
    let last = file.stages.last().map_or(1, |stage| stage.line);
    let module = module(&stage).map_err(|message| warnings.push(Fault::new(last, message))).ok();
    let (layers, history) = write_layers(&stage, build.mtime, scratch.path())?;
    Ok(BuiltImage {
        layers,
        history,
        module,
        settings: stage.settings,
        platform: build.platform.clone(),
        warnings: warnings.into_iter().map(|fault| fault.of(&name)).collect(),
        _scratch: scratch,
    })
}

/// `FILE.dockerignore` beside the file, else the context's.
fn read_ignore(build: &DockerfileBuild) -> Result<Ignore, DockerfileError> {
    let mut own = build.file.clone().into_os_string();
    own.push(".dockerignore");
    for path in [PathBuf::from(own), build.context.join(".dockerignore")] {
        match fs::read_to_string(&path) {
            Ok(text) => {
                return Ignore::parse(&text).map_err(|(line, message)| DockerfileError::Ignore { path, line, message });
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(io_error("read", &path)(error)),
        }
    }
    Ok(Ignore::default())
}

/// The wasm file that runs; the error says why there is none, which is no fault of an image that others start from.
fn module(stage: &Done) -> Result<PathBuf, String> {
    let settings = &stage.settings;
    let filled = |words: &Option<Vec<String>>| words.as_ref().and_then(|words| words.first().cloned());
    let named = filled(&settings.entrypoint)
        .or_else(|| filled(&settings.cmd))
        .ok_or("the image has no ENTRYPOINT, so it cannot be run; add for instance ENTRYPOINT [\"/app.wasm\"]")?;
    let path = copy::absolute(&named, settings.working_dir.as_deref().unwrap_or_default());
    let place = files::follow(&stage.tree, &path)?;
    match place.map(|place| stage.tree.node(&place)).transpose()?.flatten() {
        Some(Node::File { source, .. }) => Ok(source),
        _ => Err(format!("the image has no file /{path}, which its ENTRYPOINT names")),
    }
}

fn write_layers(stage: &Done, mtime: u64, scratch: &Path) -> Result<(Vec<Layer>, Vec<HistoryEntry>), DockerfileError> {
    let mut layers: Vec<Layer> = stage.base.layers.iter().cloned().map(Layer::Base).collect();
    let mut history = stage.base.history.clone();
    for step in &stage.steps {
        let empty_layer = step.entries.is_empty();
        history.push(HistoryEntry { created_by: step.text.clone(), empty_layer });
        if !empty_layer {
            layers.push(Layer::New(layer::write(&step.entries, mtime, scratch)?));
        }
    }
    Ok((layers, history))
}

/// Where the wasm file of an image lies that has no other files.
const MODULE: &str = "app.wasm";

/// The files and images of this machine.
struct Machine<'a> {
    context: Disk,
    images: &'a dyn BaseImages,
    known: RefCell<HashMap<String, (BaseImage, Tree)>>,
    scratch: PathBuf,
}

impl World for Machine<'_> {
    fn context(&self) -> &dyn Files {
        &self.context
    }

    fn image(&self, name: &str) -> Result<(BaseImage, Tree), String> {
        if let Some(known) = self.known.borrow().get(name) {
            return Ok(known.clone());
        }
        let base = self.images.base(name)?;
        let mut tree = Tree::default();
        if let Some(module) = &base.module {
            let size = fs::metadata(module).map_err(|error| format!("read {}: {error}", module.display()))?.len();
            tree.insert(MODULE, Node::File { source: module.clone(), size, mode: 0o644 });
            return Ok((base, tree));
        }
        let disk = Disk::new(&base.root, Ignore::default(), &self.scratch);
        for (path, node) in files::walk(&disk, "")? {
            tree.insert(&path, node);
        }
        self.known.borrow_mut().insert(name.to_owned(), (base.clone(), tree.clone()));
        Ok((base, tree))
    }
}
