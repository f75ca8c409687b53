//! Wasm files of a container's file system, made ready to run.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::sync::{Arc, Mutex};

use sha2::{Digest, Sha256};
use tempfile::NamedTempFile;
use wasmk_runtime::{PrepareError, Program, Runtime};
use wasmk_tools::{GuestPath, Kind, Tree};

use super::Surroundings;

const MAGIC: [u8; 4] = *b"\0asm";
/// Of a file that is to run; the largest guests we know (Python) have about 50 MiB.
const FILE_BYTES_MAX: u64 = 256 << 20;
/// Programs kept ready after they ran, with their native code on disk: guests could write ever new ones.
const PROGRAMS_KEPT_MAX: usize = 16;

/// What a command's name leads to.
pub(super) enum Found {
    Wasm(WasmFile),
    /// A file that cannot be run, and why.
    Other(String),
    Nothing,
}

/// A copy of the node's own: the container may change its files at any time.
pub(super) struct WasmFile {
    copy: NamedTempFile,
    digest: String,
}

/// Looks where a shell would, and below the root. Blocks.
pub(super) fn find(tree: &Tree, around: &Surroundings, command: &str) -> io::Result<Found> {
    let mut other = Found::Nothing;
    for path in candidates(around, command) {
        if !tree.details(&path).is_ok_and(|details| details.kind == Kind::File) {
            continue;
        }
        match read(tree, &path)? {
            Some(file) => return Ok(Found::Wasm(file)),
            // By a bare name only programs are meant.
            None if command.contains('/') => other = Found::Other(format!("{path} is not WebAssembly")),
            None => {}
        }
    }
    Ok(other)
}

fn candidates(around: &Surroundings, command: &str) -> Vec<GuestPath> {
    let here = around.working_dir();
    let directories = match command.contains('/') {
        true => vec![here],
        false => {
            let path = around.env.iter().find(|(name, _)| name == "PATH").map(|(_, value)| value.as_str());
            let listed = path.unwrap_or_default().split(':').filter(|dir| !dir.is_empty()).map(|dir| here.join(dir));
            listed.chain([here.clone(), GuestPath::root()]).collect()
        }
    };
    let with_suffix = format!("{command}.wasm");
    directories.iter().flat_map(|dir| [dir.join(command), dir.join(&with_suffix)]).collect()
}

/// `None` if the file does not begin as wasm does.
fn read(tree: &Tree, path: &GuestPath) -> io::Result<Option<WasmFile>> {
    let mut source = tree.read(path)?.take(FILE_BYTES_MAX + 1);
    let mut buffer = vec![0; 64 << 10];
    let (mut copy, mut hasher, mut bytes) = (NamedTempFile::new()?, Sha256::new(), 0);
    loop {
        let read = source.read(&mut buffer)?;
        let chunk = &buffer[..read];
        if bytes == 0 && !chunk.starts_with(&MAGIC) {
            return Ok(None);
        }
        if read == 0 {
            return Ok(Some(WasmFile { copy, digest: format!("sha256:{}", hex::encode(hasher.finalize())) }));
        }
        bytes += read as u64;
        if bytes > FILE_BYTES_MAX {
            return Err(io::Error::other(format!("{path} has more than {FILE_BYTES_MAX} bytes")));
        }
        hasher.update(chunk);
        copy.write_all(chunk)?;
    }
}

/// Programs of containers' files, compiled once and kept while they are in use.
pub(super) struct Modules {
    runtime: Arc<Runtime>,
    /// The latest last.
    kept: Mutex<VecDeque<Program>>,
}

impl Modules {
    pub(super) fn new(runtime: Arc<Runtime>) -> Self {
        Self { runtime, kept: Mutex::default() }
    }

    pub(super) async fn prepare(&self, file: WasmFile) -> Result<Program, PrepareError> {
        let program = self.runtime.prepare(file.copy.path(), &file.digest).await?;
        let mut kept = self.kept.lock().expect("no panic while held");
        kept.retain(|known| known.digest() != program.digest());
        kept.push_back(program.clone());
        if kept.len() > PROGRAMS_KEPT_MAX
            && let Some(oldest) = kept.pop_front()
        {
            oldest.remove_cached();
        }
        Ok(program)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn around(working_dir: Option<&str>, path: Option<&str>) -> Surroundings {
        Surroundings {
            own_name: "app".into(),
            own_file: None,
            env: path.map(|path| ("PATH".into(), path.into())).into_iter().collect(),
            working_dir: working_dir.map(str::to_owned),
            mounts: Vec::new(),
        }
    }

    #[test]
    fn programs_are_looked_for_along_the_path_here_and_at_the_root() {
        let list = |around: &Surroundings, command: &str| {
            candidates(around, command).iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
        };
        let plain = around(Some("/work"), None);
        assert_eq!(list(&plain, "tool"), "/work/tool /work/tool.wasm /tool /tool.wasm");
        assert_eq!(list(&plain, "./tool"), "/work/tool /work/tool.wasm");
        assert_eq!(list(&plain, "/bin/tool"), "/bin/tool /bin/tool.wasm");
        let with_path = around(None, Some("/usr/bin::bin"));
        assert_eq!(list(&with_path, "a"), "/usr/bin/a /usr/bin/a.wasm /bin/a /bin/a.wasm /a /a.wasm /a /a.wasm");
    }

    #[test]
    fn only_wasm_is_found_by_a_bare_name_and_a_path_says_what_is_wrong() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("text"), "#!/bin/sh").unwrap();
        std::fs::write(dir.path().join("tool.wasm"), b"\0asm\x01\0\0\0").unwrap();
        std::fs::create_dir(dir.path().join("tar")).unwrap();
        let tree = Tree::open([wasmk_tools::Mount { host: dir.path(), guest: "/", read_only: true }]).unwrap();
        let look = |command| match find(&tree, &around(None, None), command).unwrap() {
            Found::Wasm(file) => file.digest,
            Found::Other(why) => why,
            Found::Nothing => "nothing".to_owned(),
        };
        assert!(look("tool").starts_with("sha256:93a44bbb96c751218e4c00d479e4c14358122a389acca16205b1e4d0dc5f9476"));
        assert_eq!(look("tool"), look("/tool.wasm"));
        assert_eq!(look("text"), "nothing");
        assert_eq!(look("/text"), "/text is not WebAssembly");
        assert_eq!(look("tar"), "nothing");
    }
}
