use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use jiff::Timestamp;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use super::file;
use super::line::{Record, Stream};
use super::live::LiveLog;
use super::tail;

/// Chunks between the reader and its client; a slow client holds the reader up.
const CHUNKS_WAITING_MAX: usize = 4;
const READ_BYTES: usize = 64 << 10;

/// The options of `kubectl logs` (`PodLogOptions`).
#[derive(Clone, Default, Debug)]
pub struct LogOptions {
    /// Goes on until the container ends.
    pub follow: bool,
    /// Of the run before the current one.
    pub previous: bool,
    /// Each line starts with its time.
    pub timestamps: bool,
    pub tail_lines: Option<u64>,
    /// Only what was written at or after this time (`sinceSeconds` is for the caller to turn into it).
    pub since: Option<Timestamp>,
    /// Stops after so many bytes, even within a line.
    pub limit_bytes: Option<u64>,
    /// One stream only.
    pub stream: Option<Stream>,
}

/// Output of a container as its reader wants it.
pub type LogStream = Pin<Box<dyn futures::Stream<Item = io::Result<Bytes>> + Send>>;

pub(super) fn stream(dir: PathBuf, run: u32, live: Option<Arc<LiveLog>>, options: LogOptions) -> LogStream {
    let (sender, receiver) = mpsc::channel(CHUNKS_WAITING_MAX);
    tokio::spawn(async move {
        let mut reader = Reader { dir, run, live, options, sender: sender.clone(), sent: 0, rest: Vec::new() };
        if let Err(error) = reader.run().await {
            let _ = sender.send(Err(error)).await;
        }
    });
    Box::pin(ReceiverStream::new(receiver))
}

struct Reader {
    dir: PathBuf,
    run: u32,
    live: Option<Arc<LiveLog>>,
    options: LogOptions,
    sender: mpsc::Sender<io::Result<Bytes>>,
    sent: u64,
    /// A line whose end was not read yet.
    rest: Vec<u8>,
}

/// The reader's client went away, or has all it asked for.
struct Satisfied;

impl Reader {
    async fn run(&mut self) -> io::Result<()> {
        let mut changes = self.live.as_ref().map(|live| live.subscribe());
        let (mut files, mut segment) = self.open_settled()?;
        self.skip_to_tail(&mut files)?;
        while let Some(mut file) = files.pop_front() {
            loop {
                // Before reading: what is written after this wakes us again.
                let state = changes.as_mut().map(|changes| *changes.borrow_and_update());
                if self.drain(&mut file).await?.is_err() {
                    return Ok(());
                }
                let Some(state) = state.filter(|_| self.options.follow && files.is_empty()) else { break };
                if state.segment > segment {
                    (files, segment) = self.open_after(segment, state.segment);
                    break;
                }
                if state.ended {
                    break;
                }
                let changes = changes.as_mut().expect("there is a state");
                // Both are cancel-safe: neither takes anything.
                tokio::select! {
                    changed = changes.changed() => if changed.is_err() { return Ok(()) },
                    () = self.sender.closed() => return Ok(()),
                }
            }
        }
        Ok(())
    }

    /// All files in order and the number of the last, opened while none was rotated.
    fn open_settled(&self) -> io::Result<(VecDeque<File>, u64)> {
        loop {
            let before = self.live.as_ref().map(|live| live.subscribe().borrow().segment);
            let rotated = file::rotated(&self.dir, self.run);
            let last = before.unwrap_or_else(|| rotated.last().map_or(0, |last| last + 1));
            let paths = rotated.iter().map(|segment| file::segment(&self.dir, self.run, *segment));
            let paths = paths.chain([file::current(&self.dir, self.run)]);
            let files = paths.filter_map(|path| File::open(path).ok()).collect();
            if before == self.live.as_ref().map(|live| live.subscribe().borrow().segment) {
                return Ok((files, last));
            }
        }
    }

    /// The files after `segment`, up to `current`, the one that is written.
    fn open_after(&self, segment: u64, current: u64) -> (VecDeque<File>, u64) {
        let rotated = (segment + 1..current).map(|number| file::segment(&self.dir, self.run, number));
        let paths = rotated.chain([file::current(&self.dir, self.run)]);
        (paths.filter_map(|path| File::open(path).ok()).collect(), current)
    }

    fn skip_to_tail(&self, files: &mut VecDeque<File>) -> io::Result<()> {
        let Some(mut wanted) = self.options.tail_lines else { return Ok(()) };
        let mut first = files.len();
        while first > 0 {
            first -= 1;
            let (offset, found) = tail::offset(&mut files[first], wanted)?;
            files[first].seek(SeekFrom::Start(offset))?;
            wanted -= found;
            if wanted == 0 {
                break;
            }
        }
        files.drain(..first);
        Ok(())
    }

    /// Sends what the file holds from where it stands to its end.
    async fn drain(&mut self, file: &mut File) -> io::Result<Result<(), Satisfied>> {
        loop {
            // Log files are small and in the page cache: reading 64 KiB takes microseconds.
            let old = self.rest.len();
            self.rest.resize(old + READ_BYTES, 0);
            let read = file.read(&mut self.rest[old..]);
            self.rest.truncate(old + *read.as_ref().unwrap_or(&0));
            if read? == 0 {
                return Ok(Ok(()));
            }
            let output = self.take_lines();
            if self.send(output).await.is_err() {
                return Ok(Err(Satisfied));
            }
        }
    }

    fn take_lines(&mut self) -> Vec<u8> {
        let Some(end) = self.rest.iter().rposition(|byte| *byte == b'\n') else { return Vec::new() };
        let tail = self.rest.split_off(end + 1);
        let lines = std::mem::replace(&mut self.rest, tail);
        let mut output = Vec::with_capacity(lines.len());
        for record in lines.split(|byte| *byte == b'\n').filter_map(Record::parse) {
            if self.is_wanted(&record) {
                self.render(&record, &mut output);
            }
        }
        output
    }

    fn is_wanted(&self, record: &Record<'_>) -> bool {
        let in_time = self.options.since.is_none_or(|since| record.timestamp().is_none_or(|time| time >= since));
        in_time && self.options.stream.is_none_or(|stream| stream == record.stream)
    }

    fn render(&self, record: &Record<'_>, output: &mut Vec<u8>) {
        if self.options.timestamps {
            output.extend_from_slice(record.time);
            output.push(b' ');
        }
        output.extend_from_slice(record.data);
        if !record.partial {
            output.push(b'\n');
        }
    }

    async fn send(&mut self, mut output: Vec<u8>) -> Result<(), Satisfied> {
        if let Some(limit) = self.options.limit_bytes {
            output.truncate(usize::try_from(limit - self.sent).unwrap_or(usize::MAX));
        }
        self.sent += output.len() as u64;
        if !output.is_empty() {
            self.sender.send(Ok(output.into())).await.map_err(|_| Satisfied)?;
        }
        if self.options.limit_bytes.is_some_and(|limit| self.sent >= limit) { Err(Satisfied) } else { Ok(()) }
    }
}
