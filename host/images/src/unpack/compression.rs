use std::io::{self, BufRead, Read};

use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};
use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};

/// How a layer is compressed, as its media type says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Compression {
    None,
    Gzip,
    Zstd,
}

impl Compression {
    pub(crate) fn of(media_type: &str) -> Option<Self> {
        match media_type {
            kind if kind.ends_with("gzip") => Some(Self::Gzip),
            kind if kind.ends_with("zstd") => Some(Self::Zstd),
            kind if kind.ends_with(".tar") || kind.ends_with("+tar") => Some(Self::None),
            _ => None,
        }
    }

    /// What a file that begins so is compressed with.
    pub(crate) fn guess(beginning: &[u8]) -> Self {
        match beginning {
            [0x1f, 0x8b, ..] => Self::Gzip,
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Self::Zstd,
            _ => Self::None,
        }
    }

    pub(crate) fn reader<'a>(self, compressed: impl BufRead + 'a) -> Box<dyn Read + 'a> {
        match self {
            Self::None => Box::new(compressed),
            Self::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(compressed)),
            Self::Zstd => Box::new(ZstdFrames { source: compressed, decoder: FrameDecoder::new(), is_within: false }),
        }
    }
}

/// All frames of a stream, one after the other; `zstd:chunked` layers have several. The decoder bounds its window.
struct ZstdFrames<R> {
    source: R,
    decoder: FrameDecoder,
    is_within: bool,
}

impl<R: BufRead> ZstdFrames<R> {
    /// `false` at the end of the stream.
    fn begin(&mut self) -> io::Result<bool> {
        while !self.source.fill_buf()?.is_empty() {
            match self.decoder.reset(&mut self.source) {
                Ok(()) => {
                    self.is_within = true;
                    return Ok(true);
                }
                Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame { length, .. })) => {
                    io::copy(&mut (&mut self.source).take(u64::from(length)), &mut io::sink())?;
                }
                Err(error) => return Err(io::Error::new(io::ErrorKind::InvalidData, error)),
            }
        }
        Ok(false)
    }
}

impl<R: BufRead> Read for ZstdFrames<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            if !self.is_within && !self.begin()? {
                return Ok(0);
            }
            while self.decoder.can_collect() == 0 && !self.decoder.is_finished() {
                let one = BlockDecodingStrategy::UptoBlocks(1);
                let decoded = self.decoder.decode_blocks(&mut self.source, one);
                decoded.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
            }
            let read = self.decoder.read(buffer)?;
            if read > 0 || buffer.is_empty() {
                return Ok(read);
            }
            self.is_within = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(content: &[u8]) -> Vec<u8> {
        ruzstd::encoding::compress_to_vec(content, ruzstd::encoding::CompressionLevel::Fastest)
    }

    fn read(compressed: &[u8]) -> io::Result<Vec<u8>> {
        let mut content = Vec::new();
        Compression::guess(compressed).reader(compressed).read_to_end(&mut content)?;
        Ok(content)
    }

    #[test]
    fn frames_are_read_one_after_the_other_and_skippable_ones_skipped() {
        let large = vec![7; 300_000];
        let skippable = [0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3];
        let stream = [frame(b"one "), frame(b""), skippable.to_vec(), frame(&large)].concat();
        assert_eq!(read(&stream).unwrap(), [b"one ".as_slice(), &large].concat());
    }

    #[test]
    fn what_is_cut_off_or_damaged_is_an_error() {
        let whole = frame(&(0..100_000u32).flat_map(u32::to_le_bytes).collect::<Vec<u8>>());
        assert!(read(&whole[..whole.len() - 10]).is_err());
        assert!(read(&[frame(b"a"), b"rubbish".to_vec()].concat()).is_err());
    }

    #[test]
    fn media_types_say_how() {
        let of = Compression::of;
        assert_eq!(of("application/vnd.oci.image.layer.v1.tar+gzip"), Some(Compression::Gzip));
        assert_eq!(of("application/vnd.docker.image.rootfs.diff.tar.gzip"), Some(Compression::Gzip));
        assert_eq!(of("application/vnd.oci.image.layer.v1.tar+zstd"), Some(Compression::Zstd));
        assert_eq!(of("application/vnd.oci.image.layer.v1.tar"), Some(Compression::None));
        assert_eq!(of("application/x-lz4"), None);
    }
}
