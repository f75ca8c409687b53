//! The wire format of protobuf: numbered fields of four shapes.

/// One field as it lies in the message: `varint` for numbers, `bytes` for everything of a length.
#[derive(Clone, Copy, Default)]
pub(super) struct Field<'a> {
    pub(super) number: u32,
    pub(super) varint: u64,
    pub(super) bytes: &'a [u8],
}

/// The fields of a message, in order; `Some(None)` once where the bytes are damaged, then the end.
#[derive(Clone)]
pub(super) struct Fields<'a>(pub(super) &'a [u8]);

impl<'a> Iterator for Fields<'a> {
    type Item = Option<Field<'a>>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let field = self.read();
        if field.is_none() {
            self.0 = &[];
        }
        Some(field)
    }
}

impl<'a> Fields<'a> {
    fn read(&mut self) -> Option<Field<'a>> {
        let tag = self.varint()?;
        let number = u32::try_from(tag >> 3).ok()?;
        match tag & 7 {
            0 => Some(Field { number, varint: self.varint()?, bytes: &[] }),
            1 => Some(Field { number, varint: 0, bytes: self.take(8)? }),
            2 => {
                let length = usize::try_from(self.varint()?).ok()?;
                Some(Field { number, varint: 0, bytes: self.take(length)? })
            }
            5 => Some(Field { number, varint: 0, bytes: self.take(4)? }),
            _ => None,
        }
    }

    fn varint(&mut self) -> Option<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.take(1)?[0];
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }
}

/// An encoded number field.
pub(crate) fn number(field: u32, value: u64) -> Vec<u8> {
    [varint(u64::from(field) << 3), varint(value)].concat()
}

/// An encoded string field.
pub(crate) fn text(field: u32, value: &str) -> Vec<u8> {
    message(field, value.as_bytes())
}

/// An encoded message field; `bytes` are the message's own fields.
pub(crate) fn message(field: u32, bytes: &[u8]) -> Vec<u8> {
    [varint(u64::from(field) << 3 | 2), varint(bytes.len() as u64), bytes.to_vec()].concat()
}

fn varint(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}
