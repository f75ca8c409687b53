//! What the fuzz targets of `fuzz/` run on this crate. Each function takes any bytes, checks what must hold of every
//! input, and panics when it does not. Not part of ordinary builds.

mod documents;
mod requests;

pub use crate::connect::laws::stream_messages;
pub use documents::{documents, protobuf};
pub use requests::requests;

#[cfg(test)]
mod tests {
    use std::path::Path;

    /// Everything a fuzz target begins with, and what it once found.
    #[track_caller]
    fn check_seeds(target: &str, run: fn(&[u8])) {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/seeds").join(target);
        let seeds: Vec<_> = std::fs::read_dir(directory).unwrap().map(|seed| seed.unwrap().path()).collect();
        assert!(!seeds.is_empty());
        seeds.iter().for_each(|seed| run(&std::fs::read(seed).unwrap()));
    }

    #[test]
    fn documents_hold_on_their_seeds() {
        check_seeds("documents", super::documents);
    }

    #[test]
    fn protobuf_holds_on_its_seeds() {
        check_seeds("protobuf", super::protobuf);
    }

    #[test]
    fn requests_hold_on_their_seeds() {
        check_seeds("requests", super::requests);
    }

    #[test]
    fn stream_messages_hold_on_their_seeds() {
        check_seeds("stream_messages", super::stream_messages);
    }
}
