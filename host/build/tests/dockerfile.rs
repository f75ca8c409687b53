//! Builds from directories, and reads what came of it.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::path::Path;

use expect_test::{Expect, expect};
use wasmk_build::{
    BaseImage, BaseImages, BaseLayer, BuiltImage, DockerfileBuild, DockerfileError, HistoryEntry, Layer, Platform,
    Settings, build_dockerfile,
};

/// A module without anything in it.
const WASM: &[u8] = b"\0asm\x01\0\0\0";

/// A directory with files, and one image that others start from.
struct Project {
    context: tempfile::TempDir,
    base: tempfile::TempDir,
}

impl Project {
    fn new(dockerfile: &str, files: &[(&str, &[u8])]) -> Self {
        let project = Self { context: tempfile::tempdir().unwrap(), base: tempfile::tempdir().unwrap() };
        project.write("Dockerfile", dockerfile.as_bytes());
        for (name, content) in files {
            project.write(name, content);
        }
        put(project.base.path(), "etc/base.conf", b"base");
        project
    }

    fn write(&self, name: &str, content: &[u8]) {
        put(self.context.path(), name, content);
    }

    fn build_with(&self, change: impl FnOnce(&mut DockerfileBuild)) -> Result<BuiltImage, DockerfileError> {
        let context = self.context.path().to_owned();
        let mut build = DockerfileBuild {
            file: context.join("Dockerfile"),
            context,
            build_args: Vec::new(),
            target: None,
            platform: Platform::default(),
            mtime: 0,
        };
        change(&mut build);
        build_dockerfile(&build, self, &|_| {})
    }

    #[track_caller]
    fn build(&self) -> BuiltImage {
        self.build_with(|_| {}).unwrap()
    }

    /// What is said of a file that cannot be built, without the directory.
    fn refusal(&self) -> String {
        let error = self.build_with(|_| {}).unwrap_err().to_string();
        error.replace(&format!("{}/", self.context.path().display()), "")
    }
}

impl BaseImages for Project {
    fn base(&self, name: &str) -> Result<BaseImage, String> {
        match name {
            "base:v1" => Ok(BaseImage {
                settings: Settings {
                    env: vec![("PATH".to_owned(), "/bin".to_owned())],
                    cmd: Some(vec!["old".to_owned()]),
                    working_dir: Some("/etc".to_owned()),
                    labels: [("from".to_owned(), "base".to_owned())].into(),
                    ..Settings::default()
                },
                layers: vec![BaseLayer {
                    media_type: "application/vnd.oci.image.layer.v1.tar+zstd".to_owned(),
                    digest: "sha256:1".to_owned(),
                    size: 1,
                    diff_id: "sha256:2".to_owned(),
                }],
                history: vec![HistoryEntry { created_by: "base".to_owned(), empty_layer: false }],
                root: self.base.path().to_owned(),
                module: None,
            }),
            "module:v1" => {
                put(self.base.path(), "blob", WASM);
                Ok(BaseImage { module: Some(self.base.path().join("blob")), ..BaseImage::default() })
            }
            other => Err(format!("{other} is not here")),
        }
    }
}

fn put(dir: &Path, name: &str, content: &[u8]) {
    let path = dir.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}

/// Every entry of the new layers: what it is, its mode, and the length of its content.
fn entries(image: &BuiltImage) -> String {
    let mut text = String::new();
    for layer in &image.layers {
        let Layer::New(new) = layer else {
            text.push_str("base\n");
            continue;
        };
        text.push_str("layer\n");
        let file = fs::File::open(&*new.file).unwrap();
        let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(file));
        for entry in archive.entries().unwrap() {
            let entry = entry.unwrap();
            let header = entry.header();
            assert_eq!((header.uid().unwrap(), header.gid().unwrap(), header.mtime().unwrap()), (0, 0, 0));
            let path = entry.path().unwrap().display().to_string();
            let link = entry.link_name().unwrap().map(|link| format!(" -> {}", link.display())).unwrap_or_default();
            text.push_str(&format!("  {path}{link} {:o} {}\n", header.mode().unwrap(), entry.size()));
        }
    }
    text
}

#[track_caller]
fn check(dockerfile: &str, files: &[(&str, &[u8])], expected: Expect) {
    expected.assert_eq(&entries(&Project::new(dockerfile, files).build()));
}

#[test]
fn the_smallest_image_is_one_layer_with_its_wasm() {
    let project = Project::new("FROM scratch\nCOPY app.wasm /\nENTRYPOINT [\"/app.wasm\"]\n", &[("app.wasm", WASM)]);
    let image = project.build();
    expect![[r#"
        layer
          app.wasm 644 8
    "#]]
    .assert_eq(&entries(&image));
    assert_eq!(fs::read(image.module.as_ref().unwrap()).unwrap(), WASM);
    assert!(image.warnings.is_empty(), "{:?}", image.warnings);
    let steps: Vec<_> = image.history.iter().map(|entry| (entry.created_by.as_str(), entry.empty_layer)).collect();
    assert_eq!(steps, [("COPY app.wasm /", false), ("ENTRYPOINT [\"/app.wasm\"]", true)]);
}

#[test]
fn what_is_ignored_is_not_copied() {
    let files: &[(&str, &[u8])] = &[
        ("app.wasm", WASM),
        (".dockerignore", b"**/*.log\nsecret\n!keep.log\n"),
        ("a.log", b"1"),
        ("keep.log", b"2"),
        ("secret/key", b"3"),
        ("site/index.html", b"4"),
    ];
    check(
        "FROM scratch\nWORKDIR /srv\nCOPY . .\n",
        files,
        expect![[r#"
        layer
          srv/ 755 0
        layer
          srv/.dockerignore 644 26
          srv/Dockerfile 644 35
          srv/app.wasm 644 8
          srv/keep.log 644 1
          srv/site/ 755 0
          srv/site/index.html 644 1
    "#]],
    );
}

#[test]
fn stages_give_files_and_settings() {
    let dockerfile = r#"
ARG VERSION=1
FROM scratch AS files
ARG VERSION
COPY --chmod=700 app.wasm /bin/app-${VERSION}.wasm
FROM rust AS never
RUN cargo build
FROM base:v1
ENV A=1 B="two words" PATH=/usr$PATH
COPY --from=files /bin/*.wasm /run/
LABEL version=$B
EXPOSE 80 53/UDP 90-91
USER 65532
ENTRYPOINT ["/run/app-2.wasm"]
"#;
    let project = Project::new(dockerfile, &[("app.wasm", WASM)]);
    let image = project.build_with(|build| build.build_args = vec![("VERSION".to_owned(), "2".to_owned())]).unwrap();
    expect![[r#"
        base
        layer
          run/ 755 0
          run/app-2.wasm 700 8
    "#]]
    .assert_eq(&entries(&image));
    let settings = image.settings;
    let env: BTreeMap<_, _> = settings.env.into_iter().collect();
    assert_eq!((env["A"].as_str(), env["B"].as_str(), env["PATH"].as_str()), ("1", "two words", "/usr/bin"));
    assert_eq!(settings.labels["version"], "two words");
    assert_eq!(settings.labels["from"], "base");
    assert_eq!(settings.exposed_ports.into_iter().collect::<Vec<_>>(), ["53/udp", "80/tcp", "90/tcp", "91/tcp"]);
    assert_eq!((settings.user.as_deref(), settings.working_dir.as_deref()), (Some("65532"), Some("/etc")));
    assert_eq!(settings.cmd, None, "the base's arguments were for the base's program");
    assert_eq!(image.history[0].created_by, "base");
}

#[test]
fn an_image_of_one_wasm_file_can_be_built_on() {
    let project = Project::new("FROM module:v1\nCOPY page.html /\n", &[("page.html", b"hi")]);
    let image = project.build();
    expect![[r#"
        layer
          app.wasm 644 8
        layer
          page.html 644 2
    "#]]
    .assert_eq(&entries(&image));
    assert_eq!(image.settings.entrypoint.unwrap(), ["/app.wasm"]);
    assert!(image.module.is_some());
}

#[test]
fn the_same_files_are_the_same_layers() {
    let files: &[(&str, &[u8])] = &[("b/2", b"2"), ("b/1", b"1"), ("a", b"0")];
    let digests = |project: &Project| -> Vec<String> {
        let image = project.build();
        let diff_id = |layer: &Layer| match layer {
            Layer::New(new) => new.diff_id.clone(),
            Layer::Base(base) => base.diff_id.clone(),
        };
        let bytes = |layer: &Layer| match layer {
            Layer::New(new) => format!("{:?}", fs::read(&*new.file).unwrap()),
            Layer::Base(_) => String::new(),
        };
        image.layers.iter().flat_map(|layer| [diff_id(layer), bytes(layer)]).collect()
    };
    let dockerfile = "FROM scratch\nCOPY a b /x/\n";
    let (first, second) = (Project::new(dockerfile, files), Project::new(dockerfile, files));
    // Checked out at another time, under another umask.
    let file = fs::File::options().append(true).open(second.context.path().join("a")).unwrap();
    file.set_modified(std::time::SystemTime::UNIX_EPOCH).unwrap();
    #[cfg(unix)]
    fs::set_permissions(second.context.path().join("a"), std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    assert_eq!(digests(&first), digests(&second));
    second.write("b/2", b"3");
    assert_ne!(digests(&first), digests(&second));
}

#[test]
fn add_unpacks_archives_and_copies_the_rest() {
    let mut tar = tar::Builder::new(Vec::new());
    for (name, content) in [("pkg/a.txt", &b"a"[..]), ("pkg/b.txt", b"bb")] {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o755);
        tar.append_data(&mut header, name, content).unwrap();
    }
    let tar = tar.into_inner().unwrap();
    let gzip = |content: &[u8]| {
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(content).unwrap();
        gzip.finish().unwrap()
    };
    let (tgz, plain) = (gzip(&tar), gzip(b"no archive"));
    let mut expected = Vec::new();
    flate2::read::GzDecoder::new(&plain[..]).read_to_end(&mut expected).unwrap();
    assert_eq!(expected, b"no archive");
    let files: &[(&str, &[u8])] = &[("a.tgz", &tgz), ("b.tar", &tar), ("c.gz", b"\x1f\x8b"), ("d.txt", b"d")];
    check(
        "FROM scratch\nADD a.tgz /a/\nADD b.tar d.txt /b/\nADD --unpack=false b.tar /c.tar\n",
        files,
        expect![[r#"
        layer
          a/ 755 0
          a/pkg/ 755 0
          a/pkg/a.txt 755 1
          a/pkg/b.txt 755 2
        layer
          b/ 755 0
          b/d.txt 644 1
          b/pkg/ 755 0
          b/pkg/a.txt 755 1
          b/pkg/b.txt 755 2
        layer
          c.tar 644 3072
    "#]],
    );
    let project = Project::new("FROM scratch\nADD x.txz /\n", &[("x.txz", b"\xfd7zXZ\0...")]);
    assert!(project.refusal().contains("pack it with gzip or zstd"), "{}", project.refusal());
}

#[test]
fn what_cannot_be_done_is_told_by_line() {
    let refusal = |dockerfile: &str| Project::new(dockerfile, &[("a", b"1")]).refusal();
    let run = refusal("FROM rust:1\nRUN cargo build\n");
    assert!(
        run.starts_with("Dockerfile:2: RUN is not supported: nothing can run") && run.contains("-f Cargo.toml"),
        "{run}"
    );
    expect!["Dockerfile:2: COPY: none is not there (or left out by .dockerignore)"]
        .assert_eq(&refusal("FROM scratch\nCOPY none /\n"));
    expect!["Dockerfile:1: nowhere is not here"].assert_eq(&refusal("FROM nowhere\n"));
    expect!["Dockerfile:2: COPY: ../a: leads out of it"].assert_eq(&refusal("FROM scratch\nCOPY ../a /\n"));
    expect!["Dockerfile:2: ADD https://example.com/a: nothing is downloaded while an image is built; fetch it first, and COPY the file"]
        .assert_eq(&refusal("FROM scratch\nADD https://example.com/a /\n"));
    expect!["Dockerfile:2: EXPOSE http: write PORT, PORT/tcp, PORT/udp or FIRST-LAST"]
        .assert_eq(&refusal("FROM scratch\nEXPOSE http\n"));
    expect!["Dockerfile:2: COPY has no flag --mode"].assert_eq(&refusal("FROM scratch\nCOPY --mode=1 a /\n"));
    expect!["Dockerfile:2: FROM $BASE names no image: the ARG has no value"]
        .assert_eq(&refusal("ARG BASE\nFROM $BASE\n"));
}

#[test]
fn what_is_left_out_is_warned_of() {
    let project = Project::new(
        "FROM scratch\nVOLUME /data\nSTOPSIGNAL SIGTERM\nHEALTHCHECK NONE\nCOPY --chown=1:1 a /\n",
        &[("a", b"1")],
    );
    let image = project.build_with(|build| build.build_args = vec![("X".to_owned(), "1".to_owned())]).unwrap();
    let warnings: Vec<String> =
        image.warnings.iter().map(|warning| format!("{}: {}", warning.line, warning.message)).collect();
    expect![[r#"
        2: VOLUME is left out: mount an emptyDir or another volume there in the pod
        3: STOPSIGNAL is left out: wasm guests get no signals
        5: --chown is left out: guests have no users, and the image's files are read-only
        1: --build-arg X is not used: no ARG X takes it
        1: the image has no ENTRYPOINT, so it cannot be run; add for instance ENTRYPOINT ["/app.wasm"]"#]]
    .assert_eq(&warnings.join("\n"));
}

#[test]
fn a_target_ends_the_build_early() {
    let project = Project::new("FROM scratch AS one\nCOPY a /\nFROM one AS two\nRUN x\n", &[("a", b"1")]);
    let target = |name: &str| project.build_with(|build| build.target = Some(name.to_owned()));
    assert_eq!(target("ONE").unwrap().layers.len(), 1);
    assert!(target("two").unwrap_err().to_string().contains(":4: RUN"));
    assert!(target("three").unwrap_err().to_string().contains("one, two"));
}

#[cfg(unix)]
#[test]
fn links_are_followed_inside_the_context_only() {
    use std::os::unix::fs::symlink;
    let project = Project::new("FROM scratch\nCOPY link /a\nCOPY d /d\n", &[("real", b"12"), ("d/x", b"1")]);
    symlink("real", project.context.path().join("link")).unwrap();
    symlink("/real", project.context.path().join("d/abs")).unwrap();
    expect![[r#"
        layer
          a 644 2
        layer
          d/ 755 0
          d/abs -> ../real 777 0
          d/x 644 1
    "#]]
    .assert_eq(&entries(&project.build()));
    let outside = Project::new("FROM scratch\nCOPY link /a\n", &[]);
    symlink("/etc/hostname", outside.context.path().join("link")).unwrap();
    assert_eq!(outside.refusal(), "Dockerfile:2: COPY: link is a link that leads nowhere");
}
