//! Reading a log from its end.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use super::file;
use super::line::Record;

const BLOCK_BYTES: u64 = 64 << 10;
/// The prefix of a line, at most: time, stream and tag.
const PREFIX_BYTES_MAX: usize = 48;

/// The offset at which the last `lines` lines start, and how many lines there really are from there (fewer when the
/// file is short).
pub(super) fn offset(file: &mut File, lines: u64) -> io::Result<(u64, u64)> {
    let length = file.seek(SeekFrom::End(0))?;
    if lines == 0 {
        return Ok((length, 0));
    }
    let (mut end, mut found) = (length, 0);
    let mut block = vec![0; BLOCK_BYTES as usize];
    while end > 0 {
        let start = end.saturating_sub(BLOCK_BYTES);
        let part = &mut block[..(end - start) as usize];
        file.seek(SeekFrom::Start(start))?;
        file.read_exact(part)?;
        for (at, _) in part.iter().enumerate().rev().filter(|(_, byte)| **byte == b'\n') {
            let next_line = start + at as u64 + 1;
            // The newline that ends the file starts no line.
            if next_line == length {
                continue;
            }
            found += 1;
            if found == lines {
                return Ok((next_line, found));
            }
        }
        end = start;
    }
    Ok((0, found + u64::from(length > 0)))
}

/// The last output of a run without times, as text, at most `bytes_max` of it.
pub(super) fn text(dir: &Path, run: u32, bytes_max: usize) -> String {
    let raw = last_bytes(&file::current(dir, run), bytes_max).unwrap_or_default();
    let mut output = Vec::new();
    for record in raw.split(|byte| *byte == b'\n').filter_map(Record::parse) {
        output.extend_from_slice(record.data);
        if !record.partial {
            output.push(b'\n');
        }
    }
    let text = String::from_utf8_lossy(&output);
    last_chars(text.trim_end(), bytes_max).to_owned()
}

/// The end of `text`, cut between characters.
pub(crate) fn last_chars(text: &str, bytes_max: usize) -> &str {
    let mut start = text.len().saturating_sub(bytes_max);
    while !text.is_char_boundary(start) {
        start += 1;
    }
    &text[start..]
}

/// Enough of the end that `bytes_max` of output are in it, unless its lines are very short.
fn last_bytes(path: &Path, bytes_max: usize) -> io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    let length = file.seek(SeekFrom::End(0))?;
    let wanted = (bytes_max * 4 + PREFIX_BYTES_MAX) as u64;
    file.seek(SeekFrom::Start(length.saturating_sub(wanted)))?;
    let mut raw = Vec::new();
    file.take(wanted).read_to_end(&mut raw)?;
    Ok(raw)
}
