use bytes::{Buf, BufMut, Bytes, BytesMut};

/// Of one frame. Large enough that framing costs nothing, small enough that a frame is buffered whole without thought.
pub const PAYLOAD_BYTES_MAX: usize = 64 * 1024;
const HEADER_BYTES: usize = 5;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Channel {
    Stdin,
    Stdout,
    Stderr,
    /// One JSON `Status`: how it ended. See [`super::exited`] and its siblings.
    Outcome,
    /// One [`super::TerminalSize`] as JSON.
    Resize,
    /// One byte: the channel that carries no more.
    Close,
}

/// A piece of one channel.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Frame {
    pub channel: Channel,
    pub payload: Bytes,
}

/// Why bytes are no frames; the connection is of no more use.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum FrameError {
    #[error("frame on unknown channel {0}")]
    Channel(u8),
    #[error("frame of {0} bytes, more than the {PAYLOAD_BYTES_MAX} that are allowed")]
    TooLong(u32),
}

/// Appends `payload` to `into`, as one frame or, beyond [`PAYLOAD_BYTES_MAX`], as several. An empty payload is one frame.
pub fn encode(channel: Channel, payload: &[u8], into: &mut BytesMut) {
    let mut rest = payload;
    loop {
        let (piece, left) = rest.split_at(rest.len().min(PAYLOAD_BYTES_MAX));
        into.reserve(HEADER_BYTES + piece.len());
        into.put_u8(channel.number());
        into.put_u32(piece.len() as u32);
        into.put_slice(piece);
        rest = left;
        if rest.is_empty() {
            return;
        }
    }
}

/// Takes the first frame out of `buffer`; `None` until it is there whole. Who feeds a buffer takes all frames out before
/// feeding more: then it never holds more than one frame and one read.
pub fn decode(buffer: &mut BytesMut) -> Result<Option<Frame>, FrameError> {
    let Some((header, _)) = buffer.split_first_chunk::<HEADER_BYTES>() else { return Ok(None) };
    let [number, length @ ..] = *header;
    let length = u32::from_be_bytes(length);
    let channel = Channel::from_number(number).ok_or(FrameError::Channel(number))?;
    let bytes = length as usize;
    if bytes > PAYLOAD_BYTES_MAX {
        return Err(FrameError::TooLong(length));
    }
    if buffer.len() < HEADER_BYTES + bytes {
        return Ok(None);
    }
    buffer.advance(HEADER_BYTES);
    Ok(Some(Frame { channel, payload: buffer.split_to(bytes).freeze() }))
}

impl Channel {
    /// As on the wire, here and in Kubernetes.
    pub fn number(self) -> u8 {
        match self {
            Self::Stdin => 0,
            Self::Stdout => 1,
            Self::Stderr => 2,
            Self::Outcome => 3,
            Self::Resize => 4,
            Self::Close => 255,
        }
    }

    pub fn from_number(number: u8) -> Option<Self> {
        let all = [Self::Stdin, Self::Stdout, Self::Stderr, Self::Outcome, Self::Resize, Self::Close];
        all.into_iter().find(|channel| channel.number() == number)
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn decode_all(pieces: &[&[u8]]) -> (Vec<Frame>, Option<FrameError>) {
        let (mut buffer, mut frames) = (BytesMut::new(), Vec::new());
        for piece in pieces {
            buffer.extend_from_slice(piece);
            loop {
                match decode(&mut buffer) {
                    Ok(Some(frame)) => frames.push(frame),
                    Ok(None) => break,
                    Err(error) => return (frames, Some(error)),
                }
            }
        }
        (frames, None)
    }

    #[test]
    fn a_frame_is_channel_length_payload() {
        let mut bytes = BytesMut::new();
        encode(Channel::Stdout, b"hi", &mut bytes);
        encode(Channel::Close, &[Channel::Stdin.number()], &mut bytes);
        assert_eq!(&bytes[..], b"\x01\0\0\0\x02hi\xff\0\0\0\x01\0");
    }

    #[test]
    fn what_is_too_long_for_one_frame_becomes_several() {
        let mut bytes = BytesMut::new();
        encode(Channel::Stdin, &vec![7; PAYLOAD_BYTES_MAX + 1], &mut bytes);
        let lengths: Vec<usize> = decode_all(&[&bytes]).0.iter().map(|frame| frame.payload.len()).collect();
        assert_eq!(lengths, [PAYLOAD_BYTES_MAX, 1]);
    }

    #[test]
    fn a_frame_that_cannot_be_is_refused_before_it_is_read() {
        assert_eq!(decode_all(&[b"\x09\0\0\0\0"]).1, Some(FrameError::Channel(9)));
        assert_eq!(decode_all(&[b"\x01\0\x01\0\x01"]).1, Some(FrameError::TooLong(65_537)));
    }

    fn channel() -> impl Strategy<Value = Channel> {
        prop_oneof![Just(Channel::Stdin), Just(Channel::Stderr), Just(Channel::Outcome), Just(Channel::Close)]
    }

    proptest! {
        #[test]
        fn any_split_reads_the_same(frames in vec((channel(), vec(any::<u8>(), 0..40)), 0..8), at in any::<prop::sample::Index>()) {
            let mut bytes = BytesMut::new();
            frames.iter().for_each(|(channel, payload)| encode(*channel, payload, &mut bytes));
            let expected: Vec<Frame> = frames
                .into_iter()
                .map(|(channel, payload)| Frame { channel, payload: payload.into() })
                .collect();
            let (head, tail) = bytes.split_at(at.index(bytes.len() + 1));
            prop_assert_eq!(decode_all(&[head, tail]), (expected.clone(), None));
            let single: Vec<&[u8]> = bytes.chunks(1).collect();
            prop_assert_eq!(decode_all(&single), (expected, None));
        }

        #[test]
        fn no_bytes_are_beyond_it(bytes in vec(any::<u8>(), 0..200)) {
            decode_all(&[&bytes]);
        }
    }
}
