use std::sync::Arc;

use serde_json::{Value, json};

use super::*;
use crate::env::Env;
use crate::fields::FieldContext;
use crate::sources::{Gathered, SourceData};
use crate::{Image, PodUid, Resources};

fn sources() -> Gathered {
    let values = [("a.txt".to_owned(), b"one".to_vec()), ("b.txt".to_owned(), b"two".to_vec())].into();
    let data = Arc::new(SourceData { values, binary: BTreeMap::from([("raw".to_owned(), vec![0, 255])]) });
    let of = |kind| (SourceRef::new(kind, "data"), Some(Ok(data.clone())));
    Gathered::from_parts("default", [of(SourceKind::ConfigMap), of(SourceKind::Secret)])
}

fn content(volume: Value, roots: &[PathBuf]) -> Result<VolumeContent, String> {
    content_of(volume, &sources(), roots)
}

fn content_of(volume: Value, sources: &Gathered, roots: &[PathBuf]) -> Result<VolumeContent, String> {
    let pod: Pod = serde_json::from_value(json!({"metadata": {"name": "web", "labels": {"app": "web"}}})).unwrap();
    let node = Resources { cpu_millis: 1, memory_bytes: 1, disk_bytes: 1 };
    let fields = FieldContext { pod: &pod, pod_ip: None, host_ip: [127, 0, 0, 1].into(), node };
    let volume: Volume = serde_json::from_value(volume).unwrap();
    project(&volume, &fields, sources, roots).map_err(|error| error.to_string())
}

#[track_caller]
fn check(volume: Value, files: &[(&str, &[u8], u32)]) {
    let wanted = files.iter().map(|(path, bytes, mode)| {
        let content = FileContent { bytes: bytes.to_vec(), mode: *mode };
        ((*path).to_owned(), content)
    });
    assert_eq!(content(volume, &[]).unwrap(), VolumeContent::Files(wanted.collect()));
}

#[track_caller]
fn check_refused(volume: Value, text: &str) {
    assert_eq!(content(volume, &[]).unwrap_err(), format!("MountVolume.SetUp failed for volume \"v\" : {text}"));
}

#[test]
fn sources_become_files() {
    let all: &[(&str, &[u8], u32)] = &[("a.txt", b"one", 0o400), ("b.txt", b"two", 0o400), ("raw", &[0, 255], 0o400)];
    check(json!({"name": "v", "configMap": {"name": "data", "defaultMode": 0o400}}), all);
    let items = json!([{"key": "a.txt", "path": "deep/a", "mode": 0o600}]);
    check(json!({"name": "v", "secret": {"secretName": "data", "items": items}}), &[("deep/a", b"one", 0o600)]);
    check(json!({"name": "v", "configMap": {"name": "none", "optional": true}}), &[]);
    let labels = json!([{"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}}]);
    check(json!({"name": "v", "downwardAPI": {"items": labels.clone()}}), &[("labels", b"app=\"web\"", 0o644)]);
    let parts = json!([{"downwardAPI": {"items": labels}}, {"secret": {"name": "data", "items": [{"key": "b.txt", "path": "b"}]}}]);
    let both: &[(&str, &[u8], u32)] = &[("b", b"two", 0o644), ("labels", b"app=\"web\"", 0o644)];
    check(json!({"name": "v", "projected": {"sources": parts}}), both);
}

#[test]
fn a_token_is_a_file() {
    let source = json!({"path": "token", "audience": "vault", "expirationSeconds": 600});
    let volume = json!({"name": "v", "projected": {"sources": [{"serviceAccountToken": source.clone()}]}});
    let wanted = crate::tokens::TokenRef::of(&serde_json::from_value(source).unwrap());
    let token = |found: Result<&str, &str>| {
        let mut sources = sources();
        sources.tokens.insert(wanted.clone(), found.map(str::to_owned).map_err(str::to_owned));
        content_of(volume.clone(), &sources, &[])
    };
    let VolumeContent::Files(files) = token(Ok("a.b.c")).unwrap() else { panic!("files") };
    assert_eq!(files["token"].bytes, b"a.b.c");
    assert!(token(Err("away")).unwrap_err().contains("failed to fetch token: away"));
}

#[test]
fn what_cannot_be_is_named() {
    check_refused(json!({"name": "v", "configMap": {"name": "none"}}), "configmap \"none\" not found");
    let item = |path| json!({"name": "v", "configMap": {"name": "data", "items": [{"key": "a.txt", "path": path}]}});
    check_refused(item("../x"), "path \"../x\" must be relative and without \"..\"");
    check_refused(
        json!({"name": "v", "secret": {"secretName": "data", "items": [{"key": "x", "path": "x"}]}}),
        "secret default/data references non-existent config key: x",
    );
    check_refused(
        json!({"name": "v", "nfs": {"server": "s", "path": "/"}}),
        "wasmk has only volumes of type configMap, secret, emptyDir, hostPath, downwardAPI and projected",
    );
    check_refused(
        json!({"name": "v", "projected": {"sources": [{"serviceAccountToken": {"path": "token"}}]}}),
        "no token was asked for",
    );
}

#[test]
fn host_paths_stay_below_their_roots() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("allowed");
    std::fs::create_dir_all(root.join("data")).unwrap();
    let volume = |path: PathBuf, kind: &str| {
        content(json!({"name": "v", "hostPath": {"path": path, "type": kind}}), std::slice::from_ref(&root))
    };
    assert!(matches!(volume(root.join("data"), "").unwrap(), VolumeContent::HostPath { create: false, .. }));
    assert!(matches!(
        volume(root.join("new"), "DirectoryOrCreate").unwrap(),
        VolumeContent::HostPath { create: true, .. }
    ));
    assert!(volume(root.join("new"), "Directory").unwrap_err().contains("is not a directory"));
    assert!(volume(dir.path().to_owned(), "").unwrap_err().contains("is not below a directory that this node allows"));
    assert!(volume(root.join("../other"), "DirectoryOrCreate").is_err());
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink(dir.path(), root.join("link")).unwrap();
        assert!(volume(root.join("link"), "").unwrap_err().contains("is not below"));
    }
}

#[test]
fn an_update_replaces_files_in_place_and_leaves_no_others() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("v");
    let content = |files: &[(&str, &str)]| {
        let file = |text: &str| FileContent { bytes: text.as_bytes().to_vec(), mode: 0o644 };
        VolumeContent::Files(files.iter().map(|(path, text)| ((*path).to_owned(), file(text))).collect())
    };
    materialize(path.clone(), &content(&[("a", "1"), ("dir/b", "2"), ("dir/c", "3"), ("old/x", "4")])).unwrap();
    let held = std::fs::File::open(path.join("a")).unwrap();
    materialize(path.clone(), &content(&[("a", "new"), ("dir/b", "2")])).unwrap();
    assert_eq!(std::fs::read_to_string(path.join("a")).unwrap(), "new");
    assert_eq!(std::io::read_to_string(held).unwrap(), "1");
    let names = |path: &std::path::Path| {
        let mut names: Vec<_> = std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        names
    };
    assert_eq!(names(&path), ["a", "dir"]);
    assert_eq!(names(&path.join("dir")), ["b"]);
}

#[test]
fn sub_paths_show_parts_of_volumes() {
    let dir = tempfile::tempdir().unwrap();
    let (config, data) = (dir.path().join("config"), dir.path().join("data"));
    std::fs::create_dir_all(&config).unwrap();
    std::fs::create_dir_all(&data).unwrap();
    std::fs::write(config.join("app.yaml"), "x: 1").unwrap();
    let volumes = MountedVolumes::from([
        ("config".to_owned(), MountedVolume { path: config, read_only: true, writable_root: false }),
        ("data".to_owned(), MountedVolume { path: data.clone(), read_only: false, writable_root: true }),
    ]);
    let image = Image {
        digest: String::new(),
        wasm: "x.wasm".into(),
        wasm_digest: "sha256:0".into(),
        rootfs: Some("/rootfs".into()),
        entrypoint: vec![],
        cmd: vec![],
        env: vec![],
        working_dir: None,
        size_bytes: 0,
    };
    let dirs = PodDirs::new(dir.path().join("pods"));
    let env = Env::from([("POD".to_owned(), "web-0".to_owned())]);
    let resolve = |list: Value| {
        let container = serde_json::from_value(json!({"name": "c", "volumeMounts": list})).unwrap();
        mounts(&container, &image, &volumes, &env, &dirs, &PodUid("u".into()))
    };
    let found = resolve(json!([
        {"name": "data", "mountPath": "/data", "subPathExpr": "pods/$(POD)"},
        {"name": "data", "mountPath": "/all", "readOnly": true},
        {"name": "config", "mountPath": "/etc/app/app.yaml", "subPath": "app.yaml"},
    ]))
    .unwrap();
    let found: Vec<_> = found.iter().map(|mount| (mount.guest.as_str(), mount.read_only)).collect();
    assert_eq!(found, [("/", true), ("/data", false), ("/all", true), ("/etc/app", true)]);
    assert!(data.join("pods/web-0").is_dir());
    assert_eq!(std::fs::read_to_string(dirs.staging(&PodUid("u".into()), "c", 0).join("app.yaml")).unwrap(), "x: 1");
    assert!(resolve(json!([{"name": "data", "mountPath": "/x", "subPath": "../.."}])).is_err());
    assert!(resolve(json!([{"name": "config", "mountPath": "/x", "subPath": "none"}])).is_err());
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink("/", data.join("out")).unwrap();
        assert!(resolve(json!([{"name": "data", "mountPath": "/x", "subPath": "out"}])).is_err());
    }
}
