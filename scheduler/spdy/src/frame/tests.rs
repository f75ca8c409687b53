use bytes::{BufMut, BytesMut};
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::fuzzing::{add, decode_all, encode_all};

#[test]
fn the_first_header_block_names_the_dictionary() {
    let bytes = encode_all(&[Frame::SynStream { stream: 1, fin: true, headers: Headers::new([("a", "b")]) }]);
    assert_eq!(&bytes[..7], b"\x80\x03\0\x01\x01\0\0");
    assert_eq!(&bytes[8..18], b"\0\0\0\x01\0\0\0\0\0\0");
    // The two bytes of a zlib header with a dictionary, then the dictionary's sum.
    assert_eq!(&bytes[20..24], b"\xe3\xc6\xa7\xc2");
}

#[test]
fn names_are_read_in_lower_case_whatever_they_were() {
    let headers = Headers::new([("streamType", "error"), ("requestID", "0")]);
    assert_eq!(
        (headers.get("streamtype"), headers.get("REQUESTID"), headers.get("port")),
        (Some("error"), Some("0"), None)
    );
}

#[test]
fn data_comes_in_pieces_and_the_last_one_ends_it() {
    let mut bytes = BytesMut::new();
    bytes.put_slice(b"\0\0\0\x03\x01\0\0\x02h");
    let mut decoder = Decoder::default();
    let piece = |text: &'static [u8], fin| Some(Frame::Data { stream: 3, fin, bytes: Bytes::from_static(text) });
    assert_eq!(decoder.decode(&mut bytes), Ok(piece(b"h", false)));
    assert_eq!(decoder.decode(&mut bytes), Ok(None));
    bytes.put_slice(b"i");
    assert_eq!(decoder.decode(&mut bytes), Ok(piece(b"i", true)));
}

#[test]
fn what_cannot_be_is_refused() {
    let error = |bytes: &[u8]| decode_all(&[bytes]).1;
    assert_eq!(error(b"\x80\x02\0\x06\0\0\0\x04\0\0\0\x01"), Some(DecodeError::Version(2)));
    assert_eq!(error(b"\x80\x03\0\x01\0\xff\xff\xff"), Some(DecodeError::TooLong(0x00ff_ffff)));
    assert_eq!(error(b"\x80\x03\0\x06\0\0\0\x02\0\0"), Some(DecodeError::TooShort(PING)));
    assert_eq!(error(b"\x80\x03\0\x02\0\0\0\x06\0\0\0\x01ab"), Some(DecodeError::Headers));
    assert_eq!(error(b"\0\0\0\0\0\0\0\x01a"), Some(DecodeError::StreamZero));
}

#[test]
fn unknown_control_frames_are_passed_over() {
    let (frames, error) = decode_all(&[b"\x80\x03\0\x63\0\0\0\x01a\x80\x03\0\x06\0\0\0\x04\0\0\0\x01"]);
    assert_eq!((frames, error), (vec![Frame::Ping(1)], None));
}

#[test]
fn a_block_that_unpacks_to_too_much_is_refused() {
    let bomb = "a".repeat(1 << 20);
    let frame = Frame::SynReply { stream: 1, fin: false, headers: Headers::new([("a", bomb.as_str())]) };
    assert_eq!(decode_all(&[&encode_all(&[frame])]).1, Some(DecodeError::Headers));
}

fn headers() -> impl Strategy<Value = Headers> {
    vec(("[a-z:-]{1,12}", "[ -~]{0,30}"), 0..6)
        .prop_map(|pairs| Headers::new(pairs.iter().map(|(name, value)| (name.as_str(), value.as_str()))))
}

fn frame() -> impl Strategy<Value = Frame> {
    let stream = 1u32..9;
    prop_oneof![
        (stream.clone(), any::<bool>(), headers()).prop_map(|(stream, fin, headers)| Frame::SynStream {
            stream,
            fin,
            headers
        }),
        (stream.clone(), any::<bool>(), headers()).prop_map(|(stream, fin, headers)| Frame::SynReply {
            stream,
            fin,
            headers
        }),
        (stream.clone(), any::<bool>(), headers()).prop_map(|(stream, fin, headers)| Frame::Headers {
            stream,
            fin,
            headers
        }),
        (stream.clone(), any::<u32>()).prop_map(|(stream, status)| Frame::RstStream { stream, status }),
        vec((0u32..1 << 24, any::<u32>()), 0..4).prop_map(Frame::Settings),
        any::<u32>().prop_map(Frame::Ping),
        (0..1u32 << 31, any::<u32>()).prop_map(|(last_stream, status)| Frame::GoAway { last_stream, status }),
        (stream.clone(), 0..1u32 << 31).prop_map(|(stream, delta)| Frame::WindowUpdate { stream, delta }),
        (stream, any::<bool>(), vec(any::<u8>(), 0..50)).prop_map(|(stream, fin, bytes)| Frame::Data {
            stream,
            fin,
            bytes: bytes.into()
        }),
    ]
}

proptest! {
    #[test]
    fn any_split_reads_the_same(frames in vec(frame(), 0..8), at in any::<prop::sample::Index>()) {
        let bytes = encode_all(&frames);
        let mut expected = Vec::new();
        frames.into_iter().for_each(|frame| add(&mut expected, frame));
        let (head, tail) = bytes.split_at(at.index(bytes.len() + 1));
        prop_assert_eq!(decode_all(&[head, tail]), (expected.clone(), None));
        let single: Vec<&[u8]> = bytes.chunks(1).collect();
        prop_assert_eq!(decode_all(&single), (expected, None));
    }

    #[test]
    fn no_bytes_are_beyond_it(bytes in vec(any::<u8>(), 0..200)) {
        decode_all(&[&bytes]);
    }

    /// Mutations reach further than noise: past the frame header, into the compressed block.
    #[test]
    fn no_damage_is_beyond_it(frames in vec(frame(), 1..5), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut bytes = encode_all(&frames);
        let at = at.index(bytes.len());
        bytes[at] = byte;
        decode_all(&[&bytes]);
    }
}
