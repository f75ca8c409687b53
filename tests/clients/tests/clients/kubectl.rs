//! The transcripts of `kubectl/`, each with every version on a cluster of its own.

use wasmk_clients::{Stage, Transcript, play, tools};

/// One test for each transcript and version, so that they run side by side.
macro_rules! transcripts {
    ($($name:ident: $images:expr;)*) => {$(
        mod $name {
            #[test]
            fn with_kubectl_1_20() {
                super::run(stringify!($name), &$images, 0);
            }

            #[test]
            fn with_kubectl_1_32() {
                super::run(stringify!($name), &$images, 1);
            }
        }
    )*};
}

transcripts! {
    reading: ["hello:v1"];
    writing: ["hello:v1", "hello:v2", "worker:v1"];
    workloads: ["hello:v1", "hello:v2"];
    streams: ["hello:v1", "echo:v1", "worker:v1"];
    access: ["hello:v1"];
    utilities: ["hello:v1"];
}

/// Helm brings its own client of the API, so that one kubectl beside it is enough.
#[test]
fn helm() {
    run("helm", &["hello:v1", "hostile:v1"], 1);
}

#[track_caller]
fn run(name: &str, images: &[&str], version: usize) {
    let version = tools::KUBECTLS[version];
    let stage = Stage::new(images);
    stage.bring("kubectl/files");
    play(&stage, version, &Transcript::read(name, version));
}
