use bytes::{BufMut, BytesMut};
use flate2::{Compress, Compression, FlushCompress};

use super::*;
use crate::dictionary::DICTIONARY;

/// What a DATA frame's length can say.
const DATA_BYTES_MAX: usize = (1 << 24) - 1;
const BLOCK_STEP_BYTES: usize = 256;

/// One direction of a connection, from its beginning: header blocks refer to earlier ones.
pub struct Encoder {
    deflate: Compress,
}

impl Default for Encoder {
    fn default() -> Self {
        let mut deflate = Compress::new(Compression::fast(), true);
        deflate.set_dictionary(&DICTIONARY).expect("invariant: a new compressor takes a dictionary");
        Self { deflate }
    }
}

impl Encoder {
    /// Appends `frame` to `into`; DATA that is too long for one frame as several.
    pub fn encode(&mut self, frame: &Frame, into: &mut BytesMut) {
        match frame {
            Frame::SynStream { stream, fin, headers } => {
                let block = self.pack(headers);
                control(into, SYN_STREAM, *fin, 10 + block.len());
                into.put_u32(*stream);
                // No associated stream, highest priority, no credential slot.
                into.put_u32(0);
                into.put_u16(0);
                into.put_slice(&block);
            }
            Frame::SynReply { stream, fin, headers } => self.with_headers(SYN_REPLY, *stream, *fin, headers, into),
            Frame::Headers { stream, fin, headers } => self.with_headers(HEADERS, *stream, *fin, headers, into),
            Frame::RstStream { stream, status } => numbers(into, RST_STREAM, &[*stream, *status]),
            Frame::Settings(settings) => {
                let pairs = settings.iter().flat_map(|(id, value)| [*id, *value]);
                let all: Vec<u32> = std::iter::once(settings.len() as u32).chain(pairs).collect();
                numbers(into, SETTINGS, &all);
            }
            Frame::Ping(id) => numbers(into, PING, &[*id]),
            Frame::GoAway { last_stream, status } => numbers(into, GOAWAY, &[*last_stream, *status]),
            Frame::WindowUpdate { stream, delta } => numbers(into, WINDOW_UPDATE, &[*stream, *delta]),
            Frame::Data { stream, fin, bytes } => data(into, *stream, *fin, bytes),
        }
    }

    fn with_headers(&mut self, kind: u16, stream: u32, fin: bool, headers: &Headers, into: &mut BytesMut) {
        let block = self.pack(headers);
        control(into, kind, fin, 4 + block.len());
        into.put_u32(stream);
        into.put_slice(&block);
    }

    fn pack(&mut self, headers: &Headers) -> Vec<u8> {
        let block = headers.to_block();
        let (mut rest, mut packed) = (block.as_slice(), Vec::new());
        loop {
            packed.reserve(BLOCK_STEP_BYTES);
            let before = self.deflate.total_in();
            let result = self.deflate.compress_vec(rest, &mut packed, FlushCompress::Sync);
            result.expect("invariant: deflate takes any bytes");
            rest = &rest[(self.deflate.total_in() - before) as usize..];
            // Room that is left says that the flush is through.
            if rest.is_empty() && packed.len() < packed.capacity() {
                return packed;
            }
        }
    }
}

fn control(into: &mut BytesMut, kind: u16, fin: bool, length: usize) {
    into.put_u32(CONTROL_BIT | u32::from(VERSION) << 16 | u32::from(kind));
    into.put_u32(u32::from(fin) << 24 | length as u32);
}

fn numbers(into: &mut BytesMut, kind: u16, numbers: &[u32]) {
    control(into, kind, false, 4 * numbers.len());
    numbers.iter().for_each(|number| into.put_u32(*number));
}

fn data(into: &mut BytesMut, stream: u32, fin: bool, bytes: &[u8]) {
    let mut rest = bytes;
    loop {
        let (piece, left) = rest.split_at(rest.len().min(DATA_BYTES_MAX));
        into.put_u32(stream);
        into.put_u32(u32::from(fin && left.is_empty()) << 24 | piece.len() as u32);
        into.put_slice(piece);
        rest = left;
        if rest.is_empty() {
            return;
        }
    }
}
