//! Images, a runtime and a network that do as the test says.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use futures::{FutureExt, StreamExt};
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;
use wasmk_agent::*;

/// What has `missing` in its name cannot be pulled, `broken` is no wasm, `http` is a handler, `panic` panics at first.
#[derive(Default)]
pub(crate) struct FakeImages {
    here: Mutex<BTreeSet<String>>,
    pub(crate) pulls: Mutex<Vec<String>>,
}

#[async_trait]
impl Images for FakeImages {
    async fn find(&self, reference: &str) -> Result<Option<Image>, ImageError> {
        if reference.contains(' ') {
            return Err(ImageError::InvalidName(format!("{reference:?} is no image name")));
        }
        Ok(self.here.lock().unwrap().contains(reference).then(|| image(reference)))
    }

    async fn pull(&self, reference: &str, _: &[Credential]) -> Result<Image, ImageError> {
        let is_first = {
            let mut pulls = self.pulls.lock().unwrap();
            pulls.push(reference.to_owned());
            pulls.iter().filter(|pull| *pull == reference).count() == 1
        };
        assert!(!(is_first && reference.contains("panic")), "as the test wants it");
        if reference.contains("missing") {
            return Err(ImageError::NotFound(format!("{reference} is in no registry")));
        }
        self.here.lock().unwrap().insert(reference.to_owned());
        Ok(image(reference))
    }

    async fn list(&self) -> Vec<ImageSummary> {
        let here = self.here.lock().unwrap();
        here.iter().map(|name| ImageSummary { names: vec![name.clone()], size_bytes: 7 }).collect()
    }
}

fn image(reference: &str) -> Image {
    Image {
        digest: format!("sha256:{reference}"),
        wasm: "/images/app.wasm".into(),
        wasm_digest: format!("sha256:{reference}"),
        rootfs: None,
        entrypoint: vec!["app".into()],
        cmd: vec![],
        env: vec![],
        working_dir: None,
        size_bytes: 7,
    }
}

/// Everything that was ever started, in order.
#[derive(Clone)]
pub(crate) struct FakeRuntime(Arc<watch::Sender<Vec<Arc<FakeContainer>>>>);

impl FakeRuntime {
    pub(crate) fn new() -> Self {
        Self(Arc::new(watch::Sender::new(Vec::new())))
    }

    /// Waits for the start with this number, from 0.
    pub(crate) async fn started(&self, number: usize) -> Arc<FakeContainer> {
        let mut all = self.0.subscribe();
        let wait = all.wait_for(|all| all.len() > number);
        tokio::time::timeout(Duration::from_secs(20), wait).await.expect("in vain for a start").unwrap()[number].clone()
    }

    pub(crate) fn count(&self) -> usize {
        self.0.borrow().len()
    }
}

#[async_trait]
impl Runtime for FakeRuntime {
    async fn prepare(&self, image: &Image) -> Result<Arc<dyn Program>, PrepareError> {
        if image.digest.contains("broken") {
            return Err(PrepareError::Broken("app.wasm is not a wasm file: it starts with 7f 45 4c 46".into()));
        }
        let kind = if image.digest.contains("http") { ProgramKind::Http } else { ProgramKind::Command };
        Ok(Arc::new(FakeProgram { kind, runtime: self.clone() }))
    }
}

struct FakeProgram {
    kind: ProgramKind,
    runtime: FakeRuntime,
}

#[async_trait]
impl Program for FakeProgram {
    fn kind(&self) -> ProgramKind {
        self.kind
    }

    async fn start(&self, spec: ContainerSpec) -> Result<Arc<dyn Container>, StartError> {
        let log = Mutex::new(Some(spec.logs.channel()));
        let container = Arc::new(FakeContainer { spec, log, exit: watch::Sender::new(None) });
        self.runtime.0.send_modify(|all| all.push(container.clone()));
        Ok(container)
    }
}

pub(crate) struct FakeContainer {
    pub(crate) spec: ContainerSpec,
    log: Mutex<Option<mpsc::Sender<LogLine>>>,
    exit: watch::Sender<Option<Exit>>,
}

impl FakeContainer {
    pub(crate) async fn print(&self, text: &str) {
        let sender = self.log.lock().unwrap().clone().unwrap();
        let data = bytes::Bytes::copy_from_slice(text.as_bytes());
        let line = LogLine { time: SystemTime::now(), stream: Stream::Stdout, partial: false, data };
        sender.send(line).await.unwrap();
    }

    pub(crate) fn exit(&self, exit: Exit) {
        self.log.lock().unwrap().take();
        self.exit.send_if_modified(|known| known.is_none() && known.replace(exit).is_none());
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.exit.borrow().is_some()
    }

    pub(crate) fn env(&self) -> BTreeMap<String, String> {
        self.spec.env.iter().cloned().collect()
    }

    pub(crate) fn mount(&self, guest: &str) -> &Mount {
        self.spec.mounts.iter().find(|mount| mount.guest == guest).unwrap()
    }
}

#[async_trait]
impl Container for FakeContainer {
    async fn wait(&self) -> Exit {
        self.exit.subscribe().wait_for(Option::is_some).await.unwrap().clone().unwrap()
    }

    fn kill(&self) {
        self.exit(Exit::Killed);
    }

    /// As a program does that ends in order.
    fn end_input(&self) -> bool {
        if self.spec.stdin == Stdin::Closed {
            return false;
        }
        self.exit(Exit::Exited(0));
        true
    }

    fn usage(&self) -> Usage {
        Usage { cpu_nanos: 5, memory_bytes: 1 << 16 }
    }

    /// Prints its own command and gives back its input; `exit N` ends with N, everything else with the container.
    async fn exec(&self, command: Vec<String>, wants_stdin: bool) -> Result<Streams, ExecError> {
        if command[0] == "missing" {
            return Err(ExecError("exec: \"missing\": executable file not found in $PATH".into()));
        }
        let mut streams = self.streams(wants_stdin);
        let said = futures::stream::once(futures::future::ready(piece(command.join(" "))));
        streams.output = said.chain(streams.output).boxed();
        if command[0] == "exit" {
            streams.exit = futures::future::ready(Exit::Exited(command[1].parse().unwrap())).boxed();
        }
        Ok(streams)
    }

    fn attach(&self, wants_stdin: bool) -> Streams {
        self.streams(wants_stdin && self.spec.stdin != Stdin::Closed)
    }
}

impl FakeContainer {
    fn streams(&self, wants_stdin: bool) -> Streams {
        let (stdin, output) = match wants_stdin {
            true => {
                let (sender, receiver) = mpsc::channel::<bytes::Bytes>(1);
                let echo = |data| Piece { stream: Stream::Stdout, data };
                (Some(sender), ReceiverStream::new(receiver).map(echo).boxed())
            }
            false => (None, futures::stream::empty().boxed()),
        };
        let mut exit = self.exit.subscribe();
        let exit = async move { exit.wait_for(Option::is_some).await.unwrap().clone().unwrap() };
        Streams { stdin, output, exit: exit.boxed() }
    }
}

fn piece(text: String) -> Piece {
    Piece { stream: Stream::Stdout, data: text.into() }
}

/// What the agent did, in order, and what probes answer.
pub(crate) struct FakeNetwork {
    pub(crate) calls: watch::Sender<Vec<String>>,
    pub(crate) code: watch::Sender<u16>,
}

impl FakeNetwork {
    pub(crate) fn new() -> Self {
        Self { calls: watch::Sender::new(Vec::new()), code: watch::Sender::new(200) }
    }

    fn note(&self, call: String) {
        self.calls.send_modify(|calls| calls.push(call));
    }
}

#[async_trait]
impl Network for FakeNetwork {
    async fn attach(&self, pod: &PodIdentity) -> Result<(), NetworkError> {
        self.note(format!("attach {} {}", pod.name, pod.ip));
        Ok(())
    }

    fn detach(&self, _: &PodUid) {
        self.note("detach".into());
    }

    fn set_routing(&self, _: &PodUid, ready: bool) {
        self.note(format!("route {ready}"));
    }

    async fn drain(&self, _: &PodUid, _: Duration) -> usize {
        self.note("drain".into());
        0
    }

    async fn http_get(&self, _: &PodUid, probe: &HttpProbe, _: Duration) -> Result<u16, ProbeError> {
        assert_eq!((probe.port, probe.path.as_str()), (8080, "/healthz"));
        Ok(*self.code.borrow())
    }

    async fn tcp_connect(&self, _: &PodUid, _: u16, _: Duration) -> Result<(), ProbeError> {
        Ok(())
    }

    /// Port 8080 gives back what it reads.
    async fn connect(&self, _: &PodUid, port: u16) -> std::io::Result<Box<dyn ByteStream>> {
        if port != 8080 {
            return Err(std::io::ErrorKind::ConnectionRefused.into());
        }
        let (near, far) = tokio::io::duplex(64);
        tokio::spawn(async move {
            let (mut reader, mut writer) = tokio::io::split(far);
            let _ = tokio::io::copy(&mut reader, &mut writer).await;
        });
        Ok(Box::new(near))
    }
}
