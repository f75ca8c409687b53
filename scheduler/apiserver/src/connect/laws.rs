//! What must hold of what clients say on streams: checked by a fuzz target and its seeds.

use bytes::Bytes;
use serde_json::Value;
use tokio_tungstenite::tungstenite::Message;

use super::channels::Channels;
use super::command::Outcome;
use super::forward::Label;

/// A WebSocket message, as binary and as text; the outcome of a command; and the headers of a forwarded stream, one a line.
pub fn stream_messages(bytes: &[u8]) {
    let binary = Message::Binary(Bytes::copy_from_slice(bytes));
    let text = std::str::from_utf8(bytes).ok();
    let messages = [Some(binary), text.map(|text| Message::Text(text.into()))];
    for message in messages.into_iter().flatten() {
        for channels in [Channels::Binary, Channels::Base64] {
            check_message(channels, message.clone());
        }
    }
    check_outcome(bytes);
    text.into_iter().for_each(check_label);
}

/// The last digit that is one byte of a text; nobody has that many channels.
const DIGIT_MAX: u8 = 0x7f - b'0';

/// What is read is read again as it is written.
fn check_message(channels: Channels, message: Message) {
    let read = channels.decode(message).filter(|(channel, _)| channels == Channels::Binary || *channel <= DIGIT_MAX);
    if let Some((channel, payload)) = read {
        let again = channels.decode(channels.encode(channel, &payload));
        assert_eq!(again, Some((channel, payload)), "{channels:?}");
    }
}

/// Failures are told, and nothing is said of a success.
fn check_outcome(status: &[u8]) {
    assert_eq!(Outcome::Status.write(status).as_deref(), Some(status));
    let succeeded = serde_json::from_slice::<Value>(status).is_ok_and(|status| status["status"] == "Success");
    assert_eq!(Outcome::Message.write(status).is_none(), succeeded);
}

/// A stream is read as it is named, and has a port.
fn check_label(text: &str) {
    let mut lines = text.lines();
    let (kind, port, request) = (lines.next(), lines.next(), lines.next());
    let read = |request: Option<&str>| {
        let get = |name: &str| match name {
            "streamType" => kind,
            "port" => port,
            _ => request,
        };
        Label::read(get, 7)
    };
    if let Some(label) = read(request) {
        assert!(label.port > 0);
        assert_eq!(read(Some(&label.request)), Some(label.clone()), "{label:?}");
    }
}
