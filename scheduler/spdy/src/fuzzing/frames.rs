use bytes::{BufMut, BytesMut};
use flate2::{Compress, Compression, FlushCompress};

use crate::dictionary::DICTIONARY;
use crate::frame::{DecodeError, Decoder, Encoder, Frame};

/// The longest that waits to be whole: a control frame with its header.
const WAITING_BYTES_MAX: usize = 8 + 16 * 1024;
const BLOCK_BYTES_MAX: usize = 64 * 1024;
const HEADERS_MAX: usize = 64;

/// One direction of a connection, and a header block before it is packed, which mutations of packed ones do not reach.
pub fn spdy_frames(bytes: &[u8]) {
    check_frames(bytes);
    check_block(bytes);
}

/// However it arrives, the same frames are read, and written they are read again. Nothing beyond one control frame is
/// held, and headers unpack to no more than they may.
fn check_frames(bytes: &[u8]) {
    let (frames, error) = decode_all(&[bytes]);
    for size in [1, 3, 7, 64] {
        let pieces: Vec<&[u8]> = bytes.chunks(size).collect();
        assert_eq!(decode_all(&pieces), (frames.clone(), error), "pieces of {size}");
    }
    frames.iter().for_each(check_headers);
    let (mut encoder, mut written, mut expected) = (Encoder::default(), BytesMut::new(), Vec::new());
    for frame in frames {
        let before = written.len();
        encoder.encode(&frame, &mut written);
        let is_data = matches!(frame, Frame::Data { .. });
        if !is_data && written.len() - before > WAITING_BYTES_MAX {
            // Others may pack headers better than we do.
            return;
        }
        add(&mut expected, frame);
    }
    assert_eq!(decode_all(&[&written]), (expected, None), "what is read is written to be read again");
}

fn check_block(block: &[u8]) {
    let mut deflate = Compress::new(Compression::fast(), true);
    deflate.set_dictionary(&DICTIONARY).expect("a new compressor takes a dictionary");
    let mut packed = Vec::with_capacity(2 * block.len() + 1024);
    deflate.compress_vec(block, &mut packed, FlushCompress::Sync).expect("deflate takes any bytes");
    let mut bytes = BytesMut::new();
    bytes.put_slice(b"\x80\x03\0\x02");
    bytes.put_u32(4 + packed.len() as u32);
    bytes.put_u32(1);
    bytes.put_slice(&packed);
    check_frames(&bytes);
    if let ([Frame::SynReply { headers, .. }], None) = (&decode_all(&[&bytes]).0[..], decode_all(&[&bytes]).1) {
        let again = headers.to_block();
        assert!(
            block.to_ascii_lowercase().starts_with(&again.to_ascii_lowercase()),
            "a block says what it was made from"
        );
    }
}

fn check_headers(frame: &Frame) {
    let (Frame::SynStream { headers, .. } | Frame::SynReply { headers, .. } | Frame::Headers { headers, .. }) = frame
    else {
        return;
    };
    let block = headers.to_block();
    assert!(block.len() <= BLOCK_BYTES_MAX && headers.count() <= HEADERS_MAX, "{} bytes", block.len());
}

/// Every frame of the pieces, neighbouring pieces of one stream's data put together.
pub(crate) fn decode_all(pieces: &[&[u8]]) -> (Vec<Frame>, Option<DecodeError>) {
    let (mut decoder, mut buffer, mut frames) = (Decoder::default(), BytesMut::new(), Vec::new());
    for piece in pieces {
        buffer.extend_from_slice(piece);
        loop {
            match decoder.decode(&mut buffer) {
                Ok(Some(frame)) => add(&mut frames, frame),
                Ok(None) => break,
                Err(error) => return (frames, Some(error)),
            }
        }
        assert!(buffer.len() < WAITING_BYTES_MAX, "{} bytes wait", buffer.len());
    }
    (frames, None)
}

pub(crate) fn add(frames: &mut Vec<Frame>, frame: Frame) {
    match (frames.last_mut(), &frame) {
        (
            Some(Frame::Data { stream, fin, bytes }),
            Frame::Data { stream: next_stream, fin: next_fin, bytes: next_bytes },
        ) if stream == next_stream && !*fin => {
            *bytes = [&bytes[..], &next_bytes[..]].concat().into();
            *fin = *next_fin;
        }
        _ => frames.push(frame),
    }
}

#[cfg(test)]
pub(crate) fn encode_all(frames: &[Frame]) -> BytesMut {
    let (mut encoder, mut bytes) = (Encoder::default(), BytesMut::new());
    frames.iter().for_each(|frame| encoder.encode(frame, &mut bytes));
    bytes
}
