use bytes::{Buf, BufMut};

use super::DecodeError;

/// Of one block. Kubernetes' clients send three.
const HEADERS_MAX: usize = 64;

/// The headers of a stream: names in lower case, in the order sent.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Headers(Vec<(String, String)>);

impl Headers {
    pub fn new<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        Self(pairs.into_iter().map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned())).collect())
    }

    /// The first value; `name` in any case.
    pub fn get(&self, name: &str) -> Option<&str> {
        let (_, value) = self.0.iter().find(|(own, _)| own.eq_ignore_ascii_case(name))?;
        value.split('\0').next()
    }

    #[cfg(any(test, fuzzing))]
    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }

    /// The block before compression: a count, then each name and value after its length.
    pub(crate) fn to_block(&self) -> Vec<u8> {
        let mut block = Vec::new();
        block.put_u32(self.0.len() as u32);
        for text in self.0.iter().flat_map(|(name, value)| [name, value]) {
            block.put_u32(text.len() as u32);
            block.put_slice(text.as_bytes());
        }
        block
    }

    pub(super) fn from_block(mut block: &[u8]) -> Result<Self, DecodeError> {
        let count = block.try_get_u32().map_err(|_| DecodeError::Headers)? as usize;
        if count > HEADERS_MAX {
            return Err(DecodeError::Headers);
        }
        (0..count)
            .map(|_| Ok((text(&mut block)?.to_ascii_lowercase(), text(&mut block)?)))
            .collect::<Result<_, _>>()
            .map(Self)
    }
}

fn text(block: &mut &[u8]) -> Result<String, DecodeError> {
    let length = block.try_get_u32().map_err(|_| DecodeError::Headers)? as usize;
    let (bytes, rest) = block.split_at_checked(length).ok_or(DecodeError::Headers)?;
    *block = rest;
    String::from_utf8(bytes.to_vec()).map_err(|_| DecodeError::Headers)
}
