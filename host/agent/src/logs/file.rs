use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::LogConfig;

/// The files of one run of a container: `<run>.log` is written, `<run>.log.<segment>` are older, low numbers first.
pub(super) struct LogFile {
    dir: PathBuf,
    run: u32,
    config: LogConfig,
    segment: u64,
    bytes: u64,
}

impl LogFile {
    /// Goes on where an earlier process stopped.
    pub(super) fn open(dir: &Path, run: u32, config: LogConfig) -> io::Result<Self> {
        let path = current(dir, run);
        let file = OpenOptions::new().create(true).append(true).open(&path)?;
        let bytes = file.metadata()?.len();
        let segment = rotated(dir, run).last().map_or(0, |last| last + 1);
        Ok(Self { dir: dir.to_owned(), run, config, segment, bytes })
    }

    pub(super) fn exists(dir: &Path, run: u32) -> bool {
        current(dir, run).exists()
    }

    pub(super) fn segment(&self) -> u64 {
        self.segment
    }

    pub(super) fn path(&self) -> PathBuf {
        current(&self.dir, self.run)
    }

    /// `lines` are whole.
    pub(super) fn append(&mut self, lines: &[u8]) -> io::Result<()> {
        if self.bytes > 0 && self.bytes + lines.len() as u64 > self.config.file_bytes_max {
            self.rotate()?;
        }
        let mut file = OpenOptions::new().create(true).append(true).open(self.path())?;
        let written = file.write_all(lines);
        // A torn write counts as far as it went.
        self.bytes = file.metadata()?.len();
        written
    }

    fn rotate(&mut self) -> io::Result<()> {
        fs::rename(self.path(), segment(&self.dir, self.run, self.segment))?;
        self.segment += 1;
        self.bytes = 0;
        let kept = self.config.files_max.saturating_sub(1);
        let rotated = rotated(&self.dir, self.run);
        for old in &rotated[..rotated.len().saturating_sub(kept)] {
            let _ = fs::remove_file(segment(&self.dir, self.run, *old));
        }
        Ok(())
    }
}

pub(super) fn current(dir: &Path, run: u32) -> PathBuf {
    dir.join(format!("{run}.log"))
}

pub(super) fn segment(dir: &Path, run: u32, segment: u64) -> PathBuf {
    dir.join(format!("{run}.log.{segment}"))
}

/// The numbers of the rotated files, in order.
pub(super) fn rotated(dir: &Path, run: u32) -> Vec<u64> {
    let prefix = format!("{run}.log.");
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    let mut numbers: Vec<u64> = names.filter_map(|name| name.strip_prefix(&prefix)?.parse().ok()).collect();
    numbers.sort_unstable();
    numbers
}
