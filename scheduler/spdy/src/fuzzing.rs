//! What the fuzz targets of `fuzz/` run on this crate. Each function takes any bytes, checks what must hold of every
//! input, and panics when it does not. Not part of ordinary builds.

mod frames;
mod sessions;

pub use frames::spdy_frames;
pub use sessions::spdy_session;

#[cfg(test)]
pub(crate) use frames::{add, decode_all, encode_all};

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
    fn frames_hold_on_their_seeds() {
        check_seeds("spdy_frames", super::spdy_frames);
    }

    #[test]
    fn sessions_hold_on_their_seeds() {
        check_seeds("spdy_session", super::spdy_session);
    }
}
