use std::time::SystemTime;

use bytes::Bytes;
use jiff::Timestamp;

/// One line of a guest's output.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LogLine {
    pub time: SystemTime,
    pub stream: Stream,
    /// The line goes on in the next [`LogLine`] of this stream.
    pub partial: bool,
    /// Without its newline; not always UTF-8.
    pub data: Bytes,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stream {
    Stdout,
    Stderr,
}

/// A line as it stands in a file: `<time> <stream> <P|F> <data>`.
#[derive(PartialEq, Eq, Debug)]
pub(super) struct Record<'a> {
    pub(super) time: &'a [u8],
    pub(super) stream: Stream,
    pub(super) partial: bool,
    pub(super) data: &'a [u8],
}

impl LogLine {
    /// Appends the line in the CRI's format.
    pub(super) fn encode(&self, buffer: &mut Vec<u8>) {
        let time = Timestamp::try_from(self.time).unwrap_or_default();
        let tag = if self.partial { "P" } else { "F" };
        buffer.extend_from_slice(format!("{time:.9} {} {tag} ", self.stream.as_str()).as_bytes());
        buffer.extend_from_slice(&self.data);
        buffer.push(b'\n');
    }
}

impl<'a> Record<'a> {
    /// `line` is without its newline. `None` when it is torn.
    pub(super) fn parse(line: &'a [u8]) -> Option<Self> {
        let mut parts = line.splitn(4, |byte| *byte == b' ');
        let (time, stream, tag) = (parts.next()?, parts.next()?, parts.next()?);
        let stream = match stream {
            b"stdout" => Stream::Stdout,
            b"stderr" => Stream::Stderr,
            _ => return None,
        };
        Some(Self { time, stream, partial: tag == b"P", data: parts.next()? })
    }

    pub(super) fn timestamp(&self) -> Option<Timestamp> {
        std::str::from_utf8(self.time).ok()?.parse().ok()
    }
}

impl Stream {
    pub fn as_str(self) -> &'static str {
        match self {
            Stream::Stdout => "stdout",
            Stream::Stderr => "stderr",
        }
    }
}
