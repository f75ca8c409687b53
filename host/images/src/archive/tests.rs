use std::io::Cursor;

use serde_json::json;

use super::*;
use crate::{Digest, ImageStore, Reference, store_module};

struct Fixture {
    dir: tempfile::TempDir,
    here: ImageStore,
    there: ImageStore,
}

fn fixture() -> Fixture {
    let dir = tempfile::tempdir().unwrap();
    let here = ImageStore::open(dir.path().join("here")).unwrap();
    let there = ImageStore::open(dir.path().join("there")).unwrap();
    Fixture { dir, here, there }
}

fn name(text: &str) -> Reference {
    text.parse().unwrap()
}

fn artifact(fixture: &Fixture, called: &str) -> Digest {
    let wasm = fixture.dir.path().join("app.wasm");
    std::fs::write(&wasm, b"\0asm and more").unwrap();
    store_module(&fixture.here, &name(called), &wasm, "wasip2", "2026-01-01T00:00:00Z").unwrap()
}

fn saved(store: &ImageStore, called: &str) -> Vec<u8> {
    let mut archive = Vec::new();
    let reference = name(called);
    let digest = store.find(&reference).unwrap();
    save(store, &[(Some(reference), digest)], &mut archive).unwrap();
    archive
}

fn tar(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (path, content) in files {
        let mut header = tar::Header::new_ustar();
        header.set_size(content.len() as u64);
        builder.append_data(&mut header, path, *content).unwrap();
    }
    builder.into_inner().unwrap()
}

#[test]
fn what_is_saved_can_be_loaded_and_is_the_same_each_time() {
    let fixture = fixture();
    let digest = artifact(&fixture, "ghcr.io/team/a:v1");
    let archive = saved(&fixture.here, "ghcr.io/team/a:v1");
    assert_eq!(archive, saved(&fixture.here, "ghcr.io/team/a:v1"));
    let loaded = load(&fixture.there, Cursor::new(&archive), None).unwrap();
    assert_eq!(loaded, [Loaded { name: name("ghcr.io/team/a:v1"), digest: digest.clone() }]);
    fixture.there.unpack(&digest).unwrap();
}

#[test]
fn an_archive_may_be_compressed() {
    let fixture = fixture();
    let digest = artifact(&fixture, "a:v1");
    let archive = saved(&fixture.here, "a:v1");
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut gzip, &archive).unwrap();
    load(&fixture.there, Cursor::new(gzip.finish().unwrap()), None).unwrap();
    fixture.there.unpack(&digest).unwrap();
    let zstd = ruzstd::encoding::compress_to_vec(archive.as_slice(), ruzstd::encoding::CompressionLevel::Fastest);
    load(&fixture.there, Cursor::new(zstd), None).unwrap();
}

/// Before version 25 `docker save` wrote no OCI layout; layers that images share are links.
#[test]
fn an_archive_of_an_older_docker_is_read() {
    let fixture = fixture();
    let layer = tar(&[("app.wasm", b"\0asm docker")]);
    let config = json!({"architecture": "wasm", "os": "wasi", "config": {"Entrypoint": ["/app.wasm"]}}).to_string();
    let list =
        json!([{"Config": "c.json", "RepoTags": ["team/a:v1", "a:latest"], "Layers": ["1/layer.tar", "2/layer.tar"]}]);
    let mut builder = tar::Builder::new(Vec::new());
    for (path, content) in [
        ("1/layer.tar", layer.as_slice()),
        ("c.json", config.as_bytes()),
        ("manifest.json", list.to_string().as_bytes()),
    ] {
        let mut header = tar::Header::new_ustar();
        header.set_size(content.len() as u64);
        builder.append_data(&mut header, path, content).unwrap();
    }
    let mut link = tar::Header::new_ustar();
    link.set_entry_type(tar::EntryType::Symlink);
    link.set_size(0);
    builder.append_link(&mut link, "2/layer.tar", "../1/layer.tar").unwrap();
    let loaded = load(&fixture.there, Cursor::new(builder.into_inner().unwrap()), None).unwrap();
    let names: Vec<String> = loaded.iter().map(|one| one.name.to_string()).collect();
    assert_eq!(names, ["team/a:v1", "a:latest"]);
    let image = fixture.there.unpack(&loaded[0].digest).unwrap();
    assert_eq!(std::fs::read(image.wasm).unwrap(), b"\0asm docker");
}

#[test]
fn an_image_without_a_name_is_given_one() {
    let fixture = fixture();
    let digest = artifact(&fixture, "a:v1");
    let mut archive = Vec::new();
    save(&fixture.here, &[(None, digest.clone())], &mut archive).unwrap();
    let error = load(&fixture.there, Cursor::new(&archive), None).unwrap_err().to_string();
    assert!(error.contains("--name"), "{error}");
    let loaded = load(&fixture.there, Cursor::new(&archive), Some(&name("b:v2"))).unwrap();
    assert_eq!(loaded, [Loaded { name: name("b:v2"), digest }]);
}

#[test]
fn a_damaged_archive_leaves_nothing_wrong() {
    let fixture = fixture();
    let digest = artifact(&fixture, "a:v1");
    let archive = saved(&fixture.here, "a:v1");
    let place = archive.windows(8).position(|bytes| bytes == b"and more").unwrap();
    let mut damaged = archive.clone();
    damaged[place] ^= 1;
    let error = load(&fixture.there, Cursor::new(&damaged), None).unwrap_err();
    assert!(matches!(error, LoadError::Store(crate::StoreError::DigestMismatch { .. })), "{error}");
    assert!(load(&fixture.there, Cursor::new(&archive[..archive.len() / 2]), None).is_err());
    assert_eq!(fixture.there.find(&name("a:v1")), None);
    assert!(fixture.there.unpack(&digest).is_err());
    let error = load(&fixture.there, Cursor::new(tar(&[("readme", b"hi")])), None).unwrap_err();
    assert!(matches!(error, LoadError::NoImages), "{error}");
}
