//! What the fuzz targets of `fuzz/` run on this crate. Each function takes any bytes, checks what must hold of every
//! input, and panics when it does not. Not part of ordinary builds.

use std::fs;
use std::io::Cursor;
use std::path::Path;

use crate::manifest::{Format, Manifest};
use crate::unpack::{Compression, Unpacker};
use crate::{Digest, ImageConfig, ImageStore, Reference, RunConfig, load};

/// A manifest or an index, and a configuration.
pub fn image_manifest(bytes: &[u8]) {
    if let Ok(manifest) = Manifest::parse(bytes) {
        assert!(manifest.descriptors().all(|descriptor| descriptor.digest().is_ok()), "each digest was checked");
        match manifest.format() {
            Format::Artifact(layer) => assert!(manifest.blobs().any(|blob| blob.digest == layer.digest)),
            Format::Index => {
                let chosen = manifest.choose().map(|entry| entry.digest.clone());
                assert!(chosen.is_none_or(|chosen| manifest.manifests.iter().any(|entry| entry.digest == chosen)));
            }
            Format::FileSystem => {}
        }
    }
    if let Ok(config) = serde_json::from_slice::<ImageConfig>(bytes) {
        let written = serde_json::to_vec(&config.config).expect("what was read can be written");
        let read: RunConfig = serde_json::from_slice(&written).expect("what was written can be read");
        assert_eq!(read, config.config);
    }
    if let Some(name) = std::str::from_utf8(bytes).ok().and_then(|text| text.parse::<Reference>().ok()) {
        assert_eq!(name.to_string().parse::<Reference>().as_ref(), Ok(&name));
    }
}

/// A layer, plain or compressed: nothing outside of its root changes.
pub fn image_layer(bytes: &[u8]) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let root = dir.path().join("root");
    fs::create_dir(&root).expect("a directory can be made");
    fs::write(dir.path().join("beside"), "safe").expect("a file can be written");
    let _ = Unpacker::bounded(&root, 1 << 20, 1000).unpack(bytes, Compression::guess(bytes));
    assert_eq!(fs::read(dir.path().join("beside")).ok().as_deref(), Some(b"safe".as_slice()));
    assert_eq!(
        fs::read_dir(dir.path()).expect("the directory is there").count(),
        2,
        "something appeared beside the root"
    );
    check_links(&root, &root.canonicalize().expect("the root is there"));
}

/// No link leads out.
fn check_links(dir: &Path, root: &Path) {
    for entry in fs::read_dir(dir).expect("a directory can be listed").flatten() {
        let kind = entry.file_type().expect("an entry has a type");
        if kind.is_symlink() {
            let target = entry.path().canonicalize();
            assert!(target.is_err() || target.is_ok_and(|target| target.starts_with(root)), "{:?}", entry.path());
        } else if kind.is_dir() {
            check_links(&entry.path(), root);
        }
    }
}

/// An archive: what it says was loaded is there, with all that it needs.
pub fn image_archive(bytes: &[u8]) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let store = ImageStore::open(dir.path().join("store")).expect("a store can be made");
    let name: Reference = "fuzzed:v1".parse().expect("the name is valid");
    let Ok(loaded) = load(&store, Cursor::new(bytes), Some(&name)) else { return };
    for image in loaded {
        let (manifest, content) = store.manifest(&image.digest).expect("a loaded manifest is there");
        assert_eq!(Digest::of(&content), image.digest);
        for blob in manifest.descriptors() {
            store.verify_blob(&blob.digest().expect("digests were checked")).expect("a loaded image has its blobs");
        }
        let _ = store.unpack(&image.digest);
        let _ = store.details(&image.digest);
    }
    assert_eq!(
        fs::read_dir(dir.path()).expect("the directory is there").count(),
        1,
        "something appeared beside the store"
    );
}

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
    fn manifests_hold_on_their_seeds() {
        check_seeds("image_manifest", super::image_manifest);
    }

    #[test]
    fn layers_hold_on_their_seeds() {
        check_seeds("image_layer", super::image_layer);
    }

    #[test]
    fn archives_hold_on_their_seeds() {
        check_seeds("image_archive", super::image_archive);
    }
}
