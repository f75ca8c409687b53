mod decode;
mod encode;
mod headers;

use bytes::Bytes;

pub use decode::{DecodeError, Decoder};
pub use encode::Encoder;
pub use headers::Headers;

/// What connections carry. Flags, priorities and the like that nobody here looks at are left out.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Frame {
    SynStream {
        stream: u32,
        /// The sender sends nothing more on this stream.
        fin: bool,
        headers: Headers,
    },
    SynReply {
        stream: u32,
        fin: bool,
        headers: Headers,
    },
    RstStream {
        stream: u32,
        status: u32,
    },
    /// Ids and values.
    Settings(Vec<(u32, u32)>),
    Ping(u32),
    GoAway {
        last_stream: u32,
        status: u32,
    },
    Headers {
        stream: u32,
        fin: bool,
        headers: Headers,
    },
    WindowUpdate {
        /// 0: of the connection as a whole.
        stream: u32,
        delta: u32,
    },
    /// A decoder hands a long frame out in pieces, as they come.
    Data {
        stream: u32,
        fin: bool,
        bytes: Bytes,
    },
}

const VERSION: u16 = 3;
const CONTROL_BIT: u32 = 1 << 31;
/// Stream ids and window deltas have 31 bits; the topmost is reserved.
const LOW_BITS: u32 = CONTROL_BIT - 1;
const HEADER_BYTES: usize = 8;
const FLAG_FIN: u8 = 1;

const SYN_STREAM: u16 = 1;
const SYN_REPLY: u16 = 2;
const RST_STREAM: u16 = 3;
const SETTINGS: u16 = 4;
const PING: u16 = 6;
const GOAWAY: u16 = 7;
const HEADERS: u16 = 8;
const WINDOW_UPDATE: u16 = 9;

#[cfg(test)]
mod tests;
