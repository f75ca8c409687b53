use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use tokio_tungstenite::tungstenite::Message;

/// How channels are written in WebSocket messages: the channel's number first, or its digit and then Base64 for clients
/// that can only do text.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Channels {
    Binary,
    Base64,
}

impl Channels {
    pub(super) fn encode(self, channel: u8, payload: &[u8]) -> Message {
        match self {
            Self::Binary => Message::Binary([&[channel][..], payload].concat().into()),
            Self::Base64 => {
                let digit = char::from(b'0'.saturating_add(channel));
                Message::Text(format!("{digit}{}", STANDARD.encode(payload)).into())
            }
        }
    }

    /// `None` for what carries no channel. Text is read too where binary is spoken: Python's client sends it.
    pub(super) fn decode(self, message: Message) -> Option<(u8, Bytes)> {
        let mut bytes = match message {
            Message::Binary(bytes) => bytes,
            Message::Text(text) => Bytes::from(text),
            _ => return None,
        };
        if bytes.is_empty() {
            return None;
        }
        let payload = bytes.split_off(1);
        match self {
            Self::Binary => Some((bytes[0], payload)),
            Self::Base64 => Some((bytes[0].checked_sub(b'0')?, STANDARD.decode(payload).ok()?.into())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_a_channel_and_what_it_carries() {
        assert_eq!(Channels::Binary.encode(1, b"hi"), Message::Binary(Bytes::from_static(b"\x01hi")));
        assert_eq!(Channels::Base64.encode(1, b"hi"), Message::Text("1aGk=".into()));
        let hi = Some((0, Bytes::from_static(b"hi")));
        assert_eq!(Channels::Binary.decode(Message::Binary(Bytes::from_static(b"\0hi"))), hi);
        assert_eq!(Channels::Binary.decode(Message::Text("\0hi".into())), hi);
        assert_eq!(Channels::Base64.decode(Message::Text("0aGk=".into())), hi);
        assert_eq!(Channels::Base64.decode(Message::Text("0?".into())), None);
        assert_eq!(Channels::Binary.decode(Message::Binary(Bytes::new())), None);
    }
}
