//! What a build makes and what it starts from.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use crate::NewLayer;
use crate::dockerfile::Remark;

/// How a container of an image is run, as the image says it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// In the order in which they were set.
    pub env: Vec<(String, String)>,
    pub entrypoint: Option<Vec<String>>,
    pub cmd: Option<Vec<String>>,
    pub working_dir: Option<String>,
    pub labels: BTreeMap<String, String>,
    /// `80/tcp`
    pub exposed_ports: BTreeSet<String>,
    pub user: Option<String>,
    pub author: Option<String>,
}

/// One line of an image's history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistoryEntry {
    pub created_by: String,
    pub empty_layer: bool,
}

/// An image that others start from, on this machine.
#[derive(Clone, Debug, Default)]
pub struct BaseImage {
    pub settings: Settings,
    pub layers: Vec<BaseLayer>,
    pub history: Vec<HistoryEntry>,
    /// Where its files are.
    pub root: PathBuf,
    /// Of an image that is one wasm file, without layers of files.
    pub module: Option<PathBuf>,
}

/// A layer as the base's manifest has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BaseLayer {
    pub media_type: String,
    pub digest: String,
    pub size: u64,
    /// `sha256:…` of its tar.
    pub diff_id: String,
}

/// Where `FROM` and `COPY --from` find images.
pub trait BaseImages {
    /// The image of that name, fetched if need be. The error is for the user to read.
    fn base(&self, name: &str) -> Result<BaseImage, String>;
}

/// A Docker-style image, not stored anywhere yet.
#[derive(Debug)]
pub struct BuiltImage {
    pub settings: Settings,
    pub layers: Vec<Layer>,
    pub history: Vec<HistoryEntry>,
    pub platform: Platform,
    /// The wasm file that the entry point names, where there is one.
    pub module: Option<PathBuf>,
    pub warnings: Vec<Remark>,
    /// Holds the new layers.
    pub(crate) _scratch: tempfile::TempDir,
}

#[derive(Clone, Debug)]
pub enum Layer {
    Base(BaseLayer),
    New(NewLayer),
}

/// `wasi/wasm`, as Docker calls it; `wasip1/wasm` and `wasip2/wasm` say more.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Platform {
    pub os: String,
    pub architecture: String,
}

#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0:?} is no platform of wasm images: use wasi/wasm, wasip1/wasm or wasip2/wasm")]
pub struct InvalidPlatform(String);

impl Default for Platform {
    fn default() -> Self {
        Self { os: "wasi".to_owned(), architecture: "wasm".to_owned() }
    }
}

impl std::str::FromStr for Platform {
    type Err = InvalidPlatform;

    fn from_str(text: &str) -> Result<Self, InvalidPlatform> {
        match text.split_once('/') {
            Some((os @ ("wasi" | "wasip1" | "wasip2"), "wasm")) => {
                Ok(Self { os: os.to_owned(), architecture: "wasm".to_owned() })
            }
            _ => Err(InvalidPlatform(text.to_owned())),
        }
    }
}
