use std::collections::HashMap;

/// Streams of a session that wait for their other half, at most; further ones are refused.
const WAITING_MAX: usize = 128;

/// Each connection takes two streams, of one request id: data and error. They come in any order.
pub(super) struct Pairs<S> {
    waiting: HashMap<String, Half<S>>,
}

struct Half<S> {
    kind: Kind,
    port: u16,
    stream: S,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::connect) enum Kind {
    Data,
    Error,
}

/// Both halves.
pub(super) struct Pair<S> {
    pub(super) port: u16,
    pub(super) data: S,
    pub(super) error: S,
}

/// What a stream's headers say.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(in crate::connect) struct Label {
    pub(in crate::connect) kind: Kind,
    pub(in crate::connect) port: u16,
    pub(in crate::connect) request: String,
}

impl Label {
    /// `None` for a stream that fits nothing. Clients before 1.2 sent no request id: there the data stream is the one
    /// that was opened after its error stream.
    pub(in crate::connect) fn read<'a>(get: impl Fn(&str) -> Option<&'a str>, id: u32) -> Option<Self> {
        let kind = match get("streamType")? {
            "data" => Kind::Data,
            "error" => Kind::Error,
            _ => return None,
        };
        let port = get("port")?.parse().ok().filter(|port| *port > 0)?;
        let implied = if kind == Kind::Error { id } else { id.saturating_sub(2) };
        let request = get("requestID").map_or_else(|| implied.to_string(), str::to_owned);
        Some(Self { kind, port, request })
    }
}

impl<S> Pairs<S> {
    pub(super) fn new() -> Self {
        Self { waiting: HashMap::new() }
    }

    /// The pair, when this was its second half. What fits nothing is dropped.
    pub(super) fn add(&mut self, label: Label, stream: S) -> Option<Pair<S>> {
        let Label { kind, port, request } = label;
        let Some(other) = self.waiting.remove(&request) else {
            if self.waiting.len() < WAITING_MAX {
                self.waiting.insert(request, Half { kind, port, stream });
            }
            return None;
        };
        let (data, error) = match (kind, other.kind) {
            (Kind::Data, Kind::Error) => (stream, other.stream),
            (Kind::Error, Kind::Data) => (other.stream, stream),
            _ => return None,
        };
        (port == other.port).then_some(Pair { port, data, error })
    }

    /// Gives up waiting for the other half.
    pub(super) fn expire(&mut self, request: &str) {
        self.waiting.remove(request);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn label(kind: Kind, port: u16, request: &str) -> Label {
        Label { kind, port, request: request.to_owned() }
    }

    #[test]
    fn halves_meet_in_any_order() {
        let mut pairs = Pairs::new();
        assert!(pairs.add(label(Kind::Error, 80, "0"), "e0").is_none());
        assert!(pairs.add(label(Kind::Data, 80, "1"), "d1").is_none());
        let pair = pairs.add(label(Kind::Data, 80, "0"), "d0").unwrap();
        assert_eq!((pair.port, pair.data, pair.error), (80, "d0", "e0"));
        let pair = pairs.add(label(Kind::Error, 80, "1"), "e1").unwrap();
        assert_eq!((pair.data, pair.error), ("d1", "e1"));
    }

    #[test]
    fn what_does_not_fit_makes_no_pair() {
        let mut pairs = Pairs::new();
        pairs.add(label(Kind::Data, 80, "0"), 1);
        assert!(pairs.add(label(Kind::Data, 80, "0"), 2).is_none());
        pairs.add(label(Kind::Data, 80, "1"), 3);
        pairs.expire("1");
        assert!(pairs.add(label(Kind::Error, 80, "1"), 4).is_none());
    }

    #[test]
    fn headers_name_the_pair() {
        let read = |headers: &[(&str, &'static str)], id| {
            let find = |name: &str| headers.iter().find(|(own, _)| *own == name).map(|(_, value)| *value);
            Label::read(find, id)
        };
        let whole = [("streamType", "data"), ("port", "80"), ("requestID", "7")];
        assert_eq!(read(&whole, 5), Some(label(Kind::Data, 80, "7")));
        assert_eq!(read(&whole[..2], 5), Some(label(Kind::Data, 80, "3")));
        assert_eq!(read(&[("streamType", "error"), ("port", "80")], 3), Some(label(Kind::Error, 80, "3")));
        assert_eq!(read(&[("streamType", "data"), ("port", "0")], 3), None);
        assert_eq!(read(&[("streamType", "stdin"), ("port", "80")], 3), None);
    }
}
