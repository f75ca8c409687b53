use bytes::{Buf, Bytes, BytesMut};
use flate2::{Decompress, FlushDecompress};

use super::*;
use crate::dictionary::DICTIONARY;

/// Of one control frame. Kubernetes' clients need a hundred bytes or so.
const CONTROL_BYTES_MAX: usize = 16 * 1024;
/// Of one header block when it is unpacked: a small block can hold much.
const BLOCK_BYTES_MAX: usize = 64 * 1024;
/// What is unpacked at a time.
const BLOCK_STEP_BYTES: usize = 1024;
/// A longer DATA frame is handed out in pieces of this size.
const PIECE_BYTES_MAX: usize = 16 * 1024;

/// Why bytes are no SPDY; the connection is of no more use, for compression runs through it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum DecodeError {
    #[error("control frame of version {0}, not {VERSION}")]
    Version(u16),
    #[error("control frame of {0} bytes, more than the {CONTROL_BYTES_MAX} that are allowed")]
    TooLong(usize),
    #[error("control frame of type {0} is too short")]
    TooShort(u16),
    #[error("headers that cannot be unpacked, or too many")]
    Headers,
    #[error("stream 0 carries nothing")]
    StreamZero,
}

/// One direction of a connection, from its beginning: header blocks refer to earlier ones.
pub struct Decoder {
    inflate: Decompress,
    /// The DATA frame that is under way.
    data: Option<Data>,
}

struct Data {
    stream: u32,
    fin: bool,
    left: usize,
}

impl Default for Decoder {
    fn default() -> Self {
        Self { inflate: Decompress::new(true), data: None }
    }
}

impl Decoder {
    /// Takes the next frame, or piece of a DATA frame, out of `buffer`; `None` when it takes more bytes. Who feeds a buffer
    /// takes all frames out before feeding more: then it never holds more than one control frame and one read.
    pub fn decode(&mut self, buffer: &mut BytesMut) -> Result<Option<Frame>, DecodeError> {
        loop {
            if let Some(data) = self.data.take() {
                return Ok(self.piece(data, buffer));
            }
            let Some((header, _)) = buffer.split_first_chunk::<HEADER_BYTES>() else { return Ok(None) };
            let (mut first, mut second) = (&header[..4], &header[4..]);
            let (first, second) = (first.get_u32(), second.get_u32());
            let fin = (second >> 24) as u8 & FLAG_FIN != 0;
            let length = (second & 0x00ff_ffff) as usize;
            if first & CONTROL_BIT == 0 {
                if first == 0 {
                    return Err(DecodeError::StreamZero);
                }
                buffer.advance(HEADER_BYTES);
                self.data = Some(Data { stream: first, fin, left: length });
                continue;
            }
            let (version, kind) = ((first >> 16) as u16 & 0x7fff, first as u16);
            if version != VERSION {
                return Err(DecodeError::Version(version));
            }
            if length > CONTROL_BYTES_MAX {
                return Err(DecodeError::TooLong(length));
            }
            if buffer.len() < HEADER_BYTES + length {
                return Ok(None);
            }
            buffer.advance(HEADER_BYTES);
            let payload = buffer.split_to(length).freeze();
            // What is unknown is passed over, as the draft says.
            if let Some(frame) = self.control(kind, fin, payload)? {
                return Ok(Some(frame));
            }
        }
    }

    fn piece(&mut self, data: Data, buffer: &mut BytesMut) -> Option<Frame> {
        let Data { stream, fin, left } = data;
        let bytes = buffer.split_to(left.min(buffer.len()).min(PIECE_BYTES_MAX)).freeze();
        let rest = left - bytes.len();
        if rest > 0 {
            self.data = Some(Data { stream, fin, left: rest });
        }
        let is_something = rest == 0 || !bytes.is_empty();
        is_something.then(|| Frame::Data { stream, fin: fin && rest == 0, bytes })
    }

    fn control(&mut self, kind: u16, fin: bool, mut payload: Bytes) -> Result<Option<Frame>, DecodeError> {
        let mut number = || payload.try_get_u32().map_err(|_| DecodeError::TooShort(kind));
        let frame = match kind {
            SYN_STREAM => {
                let (stream, _associated) = (number()? & LOW_BITS, number()?);
                let _priority_and_slot = payload.try_get_u16().map_err(|_| DecodeError::TooShort(kind))?;
                Frame::SynStream { stream, fin, headers: self.headers(&payload)? }
            }
            SYN_REPLY => Frame::SynReply { stream: number()? & LOW_BITS, fin, headers: self.headers(&payload)? },
            HEADERS => Frame::Headers { stream: number()? & LOW_BITS, fin, headers: self.headers(&payload)? },
            RST_STREAM => Frame::RstStream { stream: number()? & LOW_BITS, status: number()? },
            SETTINGS => {
                let count = number()?;
                // A count beyond the payload ends at the first number that is not there.
                let setting = |_| Ok((number()? & 0x00ff_ffff, number()?));
                Frame::Settings((0..count).map(setting).collect::<Result<_, DecodeError>>()?)
            }
            PING => Frame::Ping(number()?),
            GOAWAY => Frame::GoAway { last_stream: number()? & LOW_BITS, status: number()? },
            WINDOW_UPDATE => Frame::WindowUpdate { stream: number()? & LOW_BITS, delta: number()? & LOW_BITS },
            _ => return Ok(None),
        };
        Ok(Some(frame))
    }

    fn headers(&mut self, packed: &[u8]) -> Result<Headers, DecodeError> {
        Headers::from_block(&self.unpack(packed)?)
    }

    fn unpack(&mut self, mut packed: &[u8]) -> Result<Vec<u8>, DecodeError> {
        let mut block = Vec::new();
        loop {
            if block.len() == block.capacity() {
                if block.len() >= BLOCK_BYTES_MAX {
                    return Err(DecodeError::Headers);
                }
                block.reserve(BLOCK_STEP_BYTES);
            }
            let (read, written) = (self.inflate.total_in(), block.len());
            let result = self.inflate.decompress_vec(packed, &mut block, FlushDecompress::Sync);
            let consumed = (self.inflate.total_in() - read) as usize;
            packed = packed.get(consumed..).ok_or(DecodeError::Headers)?;
            match result {
                // The first block names the dictionary.
                Err(error) if error.needs_dictionary().is_some() => {
                    self.inflate.set_dictionary(&DICTIONARY).map_err(|_| DecodeError::Headers)?;
                }
                Err(_) => return Err(DecodeError::Headers),
                Ok(_) if packed.is_empty() && block.len() < block.capacity() => return Ok(block),
                Ok(_) if consumed == 0 && block.len() == written => return Err(DecodeError::Headers),
                Ok(_) => {}
            }
        }
    }
}
