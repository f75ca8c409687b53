use bytes::BytesMut;

use crate::stream::{Frame, FrameError, PAYLOAD_BYTES_MAX, TerminalSize, decode, encode};

/// What a node or the API server says on a stream: however it arrives, the same frames are read, and written they are the
/// bytes that were read. Nothing beyond one frame is held.
pub fn stream_frames(bytes: &[u8]) {
    let (frames, error, left) = read(bytes, bytes.len());
    let mut written = BytesMut::new();
    frames.iter().for_each(|frame| encode(frame.channel, &frame.payload, &mut written));
    assert_eq!([&written[..], &left[..]].concat(), bytes, "what is read is written as it was");
    for size in [1, 2, 3, 7] {
        assert_eq!(read(bytes, size), (frames.clone(), error, left.clone()), "pieces of {size}");
    }
    frames.iter().for_each(|frame| check_size(&frame.payload));
}

/// All frames of pieces of one size, why there are no more, and what is left over.
fn read(bytes: &[u8], size: usize) -> (Vec<Frame>, Option<FrameError>, Vec<u8>) {
    let (mut buffer, mut frames) = (BytesMut::new(), Vec::new());
    let mut pieces = bytes.chunks(size.max(1));
    while let Some(piece) = pieces.next() {
        buffer.extend_from_slice(piece);
        loop {
            match decode(&mut buffer) {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => break,
                Err(error) => {
                    let rest = pieces.flatten().copied();
                    return (frames, Some(error), buffer.into_iter().chain(rest).collect());
                }
            }
        }
        assert!(buffer.len() < 5 + PAYLOAD_BYTES_MAX, "an unfinished frame is shorter than the longest");
    }
    assert!(frames.iter().all(|frame| frame.payload.len() <= PAYLOAD_BYTES_MAX));
    (frames, None, buffer.to_vec())
}

fn check_size(payload: &[u8]) {
    if let Ok(size) = serde_json::from_slice::<TerminalSize>(payload) {
        let text = serde_json::to_string(&size).expect("a terminal size has a text");
        assert_eq!(serde_json::from_str::<TerminalSize>(&text).ok(), Some(size));
    }
}
