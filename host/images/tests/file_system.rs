//! Docker-style images, from what a build makes to what runs.

use std::fs;
use std::io::Write;

use ruzstd::encoding::{CompressionLevel, compress_to_vec};
use serde_json::{Value, json};
use wasmk_images::{
    Digest, Empty, FileSystemImage, ImageConfig, ImageLayer, ImageStore, LayerSource, Reference, RunConfig,
    store_file_system,
};

const ZSTD_LAYER: &str = "application/vnd.oci.image.layer.v1.tar+zstd";

fn tar(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, content) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        builder.append_data(&mut header, name, *content).unwrap();
    }
    builder.into_inner().unwrap()
}

fn gzip(content: &[u8]) -> Vec<u8> {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(content).unwrap();
    gzip.finish().unwrap()
}

fn reference(name: &str) -> Reference {
    name.parse().unwrap()
}

#[test]
fn layers_of_a_base_and_of_a_build_come_together() {
    let dir = tempfile::tempdir().unwrap();
    let store = ImageStore::open(dir.path().join("store")).unwrap();
    let base = tar(&[("etc/base.conf", b"base"), ("app.wasm", b"\0asm old")]);
    let compressed = compress_to_vec(&base[..], CompressionLevel::Fastest);
    let digest = store.put_blob(&compressed).unwrap();
    let own = tar(&[("app.wasm", b"\0asm new")]);
    let file = dir.path().join("layer.tgz");
    fs::write(&file, gzip(&own)).unwrap();
    let image = FileSystemImage {
        config: ImageConfig {
            architecture: "wasm".to_owned(),
            os: "wasi".to_owned(),
            config: RunConfig {
                entrypoint: Some(vec!["/app.wasm".to_owned()]),
                env: Some(vec!["A=1".to_owned()]),
                exposed_ports: [("80/tcp".to_owned(), Empty {})].into(),
                ..RunConfig::default()
            },
            ..ImageConfig::default()
        },
        layers: vec![
            ImageLayer {
                diff_id: Digest::of(&base).to_string(),
                source: LayerSource::Blob {
                    media_type: ZSTD_LAYER.to_owned(),
                    digest: digest.to_string(),
                    size: compressed.len() as u64,
                },
            },
            ImageLayer { diff_id: Digest::of(&own).to_string(), source: LayerSource::File(file) },
        ],
    };
    let stored = store_file_system(&store, &reference("app:v1"), &image).unwrap();
    assert_eq!(store_file_system(&store, &reference("app:v2"), &image).unwrap(), stored, "the same image is the same");
    let unpacked = store.unpack(&stored).unwrap();
    assert_eq!(fs::read(&unpacked.wasm).unwrap(), b"\0asm new");
    assert_eq!(fs::read(unpacked.rootfs.unwrap().join("etc/base.conf")).unwrap(), b"base");
    assert_eq!((unpacked.env, unpacked.exposed_ports), (vec![("A".to_owned(), "1".to_owned())], vec![80]));

    // What is read back can be built on.
    let read = store.file_system(&stored).unwrap();
    assert_eq!(read.config.config, image.config.config);
    let ids = |image: &FileSystemImage| image.layers.iter().map(|layer| layer.diff_id.clone()).collect::<Vec<_>>();
    assert_eq!(ids(&read), ids(&image));
    assert!(store.module(&stored).unwrap().is_none());
    // The configuration is one that other tools read.
    let (manifest, _) = manifest(&store, &stored);
    let config = store.read_blob(&manifest["config"]["digest"].as_str().unwrap().parse().unwrap(), 1 << 20).unwrap();
    let config: Value = serde_json::from_slice(&config).unwrap();
    assert_eq!(config["rootfs"], json!({"type": "layers", "diff_ids": ids(&image)}));
    assert_eq!((&config["os"], &config["architecture"]), (&json!("wasi"), &json!("wasm")));
}

fn manifest(store: &ImageStore, digest: &Digest) -> (Value, Vec<u8>) {
    let bytes = store.read_blob(digest, 1 << 20).unwrap();
    (serde_json::from_slice(&bytes).unwrap(), bytes)
}

#[test]
fn files_without_a_program_can_be_built_on_but_not_run() {
    let dir = tempfile::tempdir().unwrap();
    let store = ImageStore::open(dir.path().join("store")).unwrap();
    let content = tar(&[("site/index.html", b"<p>")]);
    let file = dir.path().join("layer.tgz");
    fs::write(&file, gzip(&content)).unwrap();
    let layer = ImageLayer { diff_id: Digest::of(&content).to_string(), source: LayerSource::File(file) };
    let image = FileSystemImage { layers: vec![layer], ..FileSystemImage::default() };
    let digest = store_file_system(&store, &reference("site"), &image).unwrap();
    assert_eq!(fs::read(store.unpack_files(&digest).unwrap().join("site/index.html")).unwrap(), b"<p>");
    assert!(store.unpack(&digest).unwrap_err().to_string().contains("no ENTRYPOINT"));
}
