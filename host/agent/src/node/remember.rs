use std::path::{Path, PathBuf};

use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};

use crate::files;

/// What the node was given by the control plane, for starts without it: `<data>/node.json`.
#[derive(Clone, Default, PartialEq, Debug, Serialize, Deserialize)]
pub(crate) struct Remembered {
    pub(crate) pod_cidr: Option<Ipv4Net>,
}

impl Remembered {
    /// A file that is not there or torn is as good as an empty one.
    pub(crate) fn load(data_dir: &Path) -> Self {
        let bytes = std::fs::read(path(data_dir)).unwrap_or_default();
        serde_json::from_slice(&bytes).unwrap_or_default()
    }

    /// Blocks, for a few bytes, once in a node's life.
    pub(crate) fn store(&self, data_dir: &Path) {
        let bytes = serde_json::to_vec(self).expect("it is plain data");
        if let Err(error) = files::write_private(&path(data_dir), &bytes) {
            tracing::warn!(%error, "the node's address range was not written to disk");
        }
    }
}

fn path(data_dir: &Path) -> PathBuf {
    data_dir.join("node.json")
}
