//! Logs of containers: CRI files below `<data>/logs`, rotated by size, read and followed as `kubectl logs` asks.
//!
//! A container's lines come through a bounded channel into one task, which appends them in batches; when the disk is
//! slow the channel fills and the guest waits. No file stays open between batches: thousands of silent containers
//! cost no descriptor.

mod file;
mod line;
mod live;
mod read;
mod sink;
mod tail;

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

pub use line::{LogLine, Stream};
pub use read::{LogOptions, LogStream};
pub use sink::LogSink;

use crate::PodUid;
use file::LogFile;
pub(crate) use live::LiveLog;

/// How much of a container's output is kept.
#[derive(Clone, Copy, Debug)]
pub struct LogConfig {
    /// A file that would grow past this is rotated (the kubelet's `containerLogMaxSize`).
    pub file_bytes_max: u64,
    /// Files of one run of a container, the current one included (the kubelet's `containerLogMaxFiles`).
    pub files_max: usize,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self { file_bytes_max: 10 << 20, files_max: 5 }
    }
}

/// Why there are no logs to read. The text is for the user.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    #[error("{0}")]
    NotFound(String),
    /// The container exists but has not run yet.
    #[error("{0}")]
    Waiting(String),
    #[error("read the log of container {container:?}")]
    Io {
        container: String,
        #[source]
        source: io::Error,
    },
}

/// All logs of the node.
pub(crate) struct Logs {
    root: PathBuf,
    config: LogConfig,
    /// Of containers that run now.
    live: Mutex<HashMap<(PodUid, String), Arc<LiveLog>>>,
}

/// Which pod's logs; also the name of their directory.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LogOwner<'a> {
    pub(crate) namespace: &'a str,
    pub(crate) name: &'a str,
    pub(crate) uid: &'a PodUid,
}

impl Logs {
    pub(crate) fn new(root: PathBuf, config: LogConfig) -> Self {
        Self { root, config, live: Mutex::default() }
    }

    /// Starts the log of one run; those of runs before the previous one are removed.
    pub(crate) fn start(
        &self,
        owner: LogOwner<'_>,
        container: &str,
        restart: u32,
    ) -> io::Result<(LogSink, Arc<LiveLog>)> {
        let dir = self.container_dir(owner, container);
        std::fs::create_dir_all(&dir)?;
        remove_runs_before(&dir, restart.saturating_sub(1));
        let file = LogFile::open(&dir, restart, self.config)?;
        let live = Arc::new(LiveLog::new(restart, file.segment()));
        let key = (owner.uid.clone(), container.to_owned());
        self.live.lock().expect("no panic while held").insert(key, live.clone());
        Ok((LogSink::new(file, live.clone()), live))
    }

    /// The output of the current run, or of the one before.
    pub(crate) fn read(
        &self,
        owner: LogOwner<'_>,
        container: &str,
        options: LogOptions,
    ) -> Result<LogStream, LogError> {
        let dir = self.container_dir(owner, container);
        let newest = newest_run(&dir).map_err(|source| LogError::Io { container: container.to_owned(), source })?;
        let Some(newest) = newest else {
            return Err(LogError::Waiting(format!(
                "container {container:?} in pod {:?} has not started yet",
                owner.name
            )));
        };
        let run = match (options.previous, newest) {
            (false, newest) => newest,
            (true, newest) if newest > 0 && LogFile::exists(&dir, newest - 1) => newest - 1,
            (true, _) => {
                let text = format!("previous terminated container {container:?} in pod {:?} not found", owner.name);
                return Err(LogError::NotFound(text));
            }
        };
        let key = (owner.uid.clone(), container.to_owned());
        let live =
            self.live.lock().expect("no panic while held").get(&key).filter(|live| live.restart() == run).cloned();
        Ok(read::stream(dir, run, live, options))
    }

    /// The last output of a run, for the termination message.
    pub(crate) fn tail(&self, owner: LogOwner<'_>, container: &str, restart: u32, bytes_max: usize) -> String {
        tail::text(&self.container_dir(owner, container), restart, bytes_max)
    }

    pub(crate) fn remove(&self, owner: LogOwner<'_>) {
        self.live.lock().expect("no panic while held").retain(|(uid, _), _| uid != owner.uid);
        remove_dir(&self.pod_dir(owner));
    }

    /// Removes the logs of pods that nobody knows any more.
    pub(crate) fn remove_orphans(&self, is_known: impl Fn(&PodUid) -> bool) {
        let Ok(entries) = std::fs::read_dir(&self.root) else { return };
        for entry in entries.flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let known = name.rsplit_once('_').is_some_and(|(_, uid)| is_known(&PodUid(uid.to_owned())));
            if !known {
                remove_dir(&entry.path());
            }
        }
    }

    fn pod_dir(&self, owner: LogOwner<'_>) -> PathBuf {
        self.root.join(format!("{}_{}_{}", owner.namespace, owner.name, owner.uid))
    }

    fn container_dir(&self, owner: LogOwner<'_>, container: &str) -> PathBuf {
        self.pod_dir(owner).join(container)
    }
}

fn remove_dir(path: &Path) {
    match std::fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            tracing::warn!(path = %path.display(), %error, "logs were not removed");
        }
        _ => (),
    }
}

/// `None` when nothing has run yet.
fn newest_run(dir: &Path) -> io::Result<Option<u32>> {
    match std::fs::metadata(dir) {
        Ok(_) => Ok(runs(dir).map(|(run, _)| run).max()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn remove_runs_before(dir: &Path, first_kept: u32) {
    for (_, path) in runs(dir).filter(|(run, _)| *run < first_kept) {
        let _ = std::fs::remove_file(path);
    }
}

/// Every file of a container, with the run it belongs to.
fn runs(dir: &Path) -> impl Iterator<Item = (u32, PathBuf)> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    entries.filter_map(|entry| {
        let name = entry.file_name();
        let run = name.to_str()?.split_once('.')?.0.parse().ok()?;
        Some((run, entry.path()))
    })
}

#[cfg(test)]
mod tests;
