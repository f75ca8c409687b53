//! What the fuzz targets of `fuzz/` run on this crate. Each function takes any bytes, checks what must hold of every
//! input, and panics when it does not. Not part of ordinary builds.

mod definitions;
mod jsonpath;
mod stream_frames;
mod texts;

pub use definitions::{custom_objects, definitions, rules};
pub use jsonpath::jsonpath;
pub use stream_frames::stream_frames;
pub use texts::texts;

pub use crate::patch::laws::{json_patch, patch_documents, server_side_apply, strategic_merge};

#[cfg(test)]
mod tests {
    use std::path::Path;

    /// Everything a fuzz target begins with, and what it once found.
    #[track_caller]
    fn check_seeds(target: &str, run: fn(&[u8])) {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/seeds").join(target);
        let seeds: Vec<_> = std::fs::read_dir(directory).unwrap().map(|seed| seed.unwrap().path()).collect();
        assert!(!seeds.is_empty());
        seeds.iter().for_each(|seed| run(&std::fs::read(seed).unwrap()));
    }

    #[test]
    fn patches_hold_on_their_seeds() {
        check_seeds("json_patch", super::json_patch);
        check_seeds("patch_documents", super::patch_documents);
    }

    #[test]
    fn streams_hold_on_their_seeds() {
        check_seeds("stream_frames", super::stream_frames);
    }

    #[test]
    fn definitions_and_their_objects_hold_on_their_seeds() {
        check_seeds("definitions", super::definitions);
        check_seeds("custom_objects", super::custom_objects);
        check_seeds("rules", super::rules);
    }

    #[test]
    fn texts_hold_on_their_seeds() {
        check_seeds("texts", super::texts);
        check_seeds("jsonpath", super::jsonpath);
    }
}
