use async_trait::async_trait;
use http_body_util::{BodyExt, Full};
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;
use tokio::sync::{Notify, mpsc};
use wasmk_runtime::*;

/// Nothing here takes this long unless it hangs.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

/// A guest's wasm file.
pub(crate) fn guest(name: &str, target: &str) -> PathBuf {
    static BUILT: LazyLock<PathBuf> = LazyLock::new(build_guests);
    BUILT.join(target).join("release").join(format!("{name}.wasm"))
}

fn build_guests() -> PathBuf {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/guests");
    let target_dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("runtime-guests");
    for extra in [&["--target", "wasm32-wasip2"][..], &["--target", "wasm32-wasip1", "-p", "guest-command"]] {
        let status = Command::new(env!("CARGO"))
            .args(["build", "--release", "--quiet", "--target-dir"])
            .arg(&target_dir)
            .args(extra)
            .current_dir(&source)
            .env_remove("RUSTFLAGS")
            .env_remove("CARGO_ENCODED_RUSTFLAGS")
            .env_remove("CARGO_BUILD_TARGET")
            .status()
            .expect("run cargo");
        assert!(status.success(), "build the guests in {}", source.display());
    }
    target_dir
}

pub(crate) fn command_p2() -> PathBuf {
    guest("guest-command", "wasm32-wasip2")
}

pub(crate) fn command_p1() -> PathBuf {
    guest("guest-command", "wasm32-wasip1")
}

pub(crate) fn http_p2() -> PathBuf {
    guest("guest-http", "wasm32-wasip2")
}

pub(crate) fn http_p3() -> PathBuf {
    guest("guest_http_p3", "wasm32-wasip2")
}

pub(crate) fn tcp_p3() -> PathBuf {
    guest("guest_tcp_p3", "wasm32-wasip2")
}

/// A runtime whose code cache all tests share: each guest is compiled once.
pub(crate) fn runtime() -> Arc<Runtime> {
    runtime_in(&Path::new(env!("CARGO_TARGET_TMPDIR")).join("runtime-code"), Compiler::InProcess)
}

pub(crate) fn runtime_in(cache_dir: &Path, compiler: Compiler) -> Arc<Runtime> {
    let mut config = RuntimeConfig::new(cache_dir, compiler);
    config.guest_threads = NonZeroUsize::new(2).unwrap();
    config.max_instances = 64;
    Runtime::new(config).expect("start the runtime")
}

pub(crate) fn digest(wasm: &Path) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(std::fs::read(wasm).expect("read the guest"))))
}

/// One at a time over all test processes, so that each guest is compiled once.
pub(crate) async fn prepare(runtime: &Runtime, wasm: &Path) -> Program {
    let lock_path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("runtime-code.lock");
    let lock = std::fs::File::create(lock_path).expect("create the lock");
    let _lock = tokio::task::spawn_blocking(move || lock.lock().map(|()| lock)).await.unwrap().expect("lock");
    runtime.prepare(wasm, &digest(wasm)).await.expect("prepare the guest")
}

/// A container with what it says.
pub(crate) struct Started {
    pub(crate) container: Container,
    pub(crate) logs: mpsc::Receiver<LogLine>,
    _runtime: Arc<Runtime>,
}

pub(crate) async fn start(wasm: &Path, args: &[&str], edit: impl FnOnce(&mut ContainerSpec)) -> Started {
    let runtime = runtime();
    start_on(&runtime, wasm, args, edit).await
}

pub(crate) async fn start_on(
    runtime: &Arc<Runtime>,
    wasm: &Path,
    args: &[&str],
    edit: impl FnOnce(&mut ContainerSpec),
) -> Started {
    let program = prepare(runtime, wasm).await;
    let (sender, logs) = mpsc::channel(64);
    let mut spec = ContainerSpec::new("guest", sender, Arc::new(NoNetwork));
    spec.args = args.iter().map(ToString::to_string).collect();
    edit(&mut spec);
    let container = runtime.start(&program, spec).await.expect("start the container");
    Started { container, logs, _runtime: runtime.clone() }
}

/// A container that ended by itself.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) reason: ExitReason,
    pub(crate) stdout: Vec<String>,
    pub(crate) stderr: Vec<String>,
    pub(crate) usage: Usage,
}

pub(crate) async fn run(wasm: &Path, args: &[&str], edit: impl FnOnce(&mut ContainerSpec)) -> Ended {
    start(wasm, args, edit).await.ended().await
}

impl Started {
    pub(crate) async fn ended(self) -> Ended {
        let Started { container, mut logs, _runtime } = self;
        let mut ended =
            Ended { reason: ExitReason::Killed, stdout: Vec::new(), stderr: Vec::new(), usage: Usage::default() };
        let exit = tokio::spawn(async move { (container.wait().await, container.usage()) });
        let collect = async {
            while let Some(line) = logs.recv().await {
                ended.add(line);
            }
        };
        tokio::time::timeout(DEADLINE, collect).await.expect("the guest ends");
        let (exit, usage) = exit.await.unwrap();
        assert!(exit.finished_at >= exit.started_at);
        (ended.reason, ended.usage) = (exit.reason, usage);
        ended
    }

    pub(crate) async fn line(&mut self) -> String {
        let line = tokio::time::timeout(DEADLINE, self.logs.recv()).await.expect("the guest says something");
        String::from_utf8(line.expect("the guest lives").data.to_vec()).unwrap()
    }

    pub(crate) async fn call(&self, path: &str) -> Result<(u16, String), CallError> {
        call(&self.container.http().expect("an HTTP guest"), path).await
    }

    pub(crate) async fn killed(&self) {
        self.container.kill();
        let exit = tokio::time::timeout(DEADLINE, self.container.wait()).await.expect("a killed guest ends");
        assert_eq!(exit.reason, ExitReason::Killed);
    }
}

impl Ended {
    fn add(&mut self, line: LogLine) {
        let text = String::from_utf8(line.data.to_vec()).unwrap();
        match line.stream {
            Stream::Stdout => self.stdout.push(text),
            Stream::Stderr => self.stderr.push(text),
        }
    }
}

pub(crate) async fn call(guest: &Arc<HttpGuest>, path: &str) -> Result<(u16, String), CallError> {
    let response = tokio::time::timeout(DEADLINE, guest.call(get(path))).await.expect("an answer")?;
    let status = response.status().as_u16();
    let body = tokio::time::timeout(DEADLINE, response.into_body().collect()).await.expect("a whole body");
    Ok((status, String::from_utf8(body.expect("a body").to_bytes().to_vec()).unwrap()))
}

pub(crate) fn get(path: &str) -> ::http::Request<Body> {
    ::http::Request::get(path).header("host", "guest.test").body(text_body("")).unwrap()
}

pub(crate) fn text_body(text: impl Into<bytes::Bytes>) -> Body {
    Full::new(text.into()).map_err(|never| match never {}).boxed_unsync()
}

/// Looks again until it is true.
pub(crate) async fn eventually(what: &str, mut check: impl FnMut() -> bool) {
    let start = std::time::Instant::now();
    while !check() {
        assert!(start.elapsed() < DEADLINE, "still not: {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// A little cluster: guests 10.64.0.n are really 127.64.0.n where all of 127/8 is local.
pub(crate) struct TestNetwork {
    number: u8,
    pub(crate) names: HashMap<&'static str, IpAddr>,
    /// Real addresses of listeners, by guest address.
    pub(crate) listeners: Arc<Mutex<HashMap<SocketAddr, SocketAddr>>>,
    pub(crate) changed: Arc<Notify>,
    pub(crate) forbidden: Option<SocketAddr>,
}

impl TestNetwork {
    pub(crate) fn new(number: u8) -> Self {
        TestNetwork {
            number,
            names: HashMap::new(),
            listeners: Arc::default(),
            changed: Arc::default(),
            forbidden: None,
        }
    }

    /// Another guest of the same cluster.
    pub(crate) fn join(number: u8, other: &TestNetwork) -> Self {
        TestNetwork { listeners: other.listeners.clone(), changed: other.changed.clone(), ..Self::new(number) }
    }

    fn real_ip(&self) -> Ipv4Addr {
        if cfg!(target_os = "macos") { Ipv4Addr::LOCALHOST } else { Ipv4Addr::new(127, 64, 0, self.number) }
    }

    /// The real address of a listener, once it is there.
    pub(crate) async fn listener(&self, guest: SocketAddr) -> SocketAddr {
        let found = async {
            loop {
                let changed = self.changed.notified();
                if let Some(real) = self.listeners.lock().unwrap().get(&guest) {
                    return *real;
                }
                changed.await;
            }
        };
        tokio::time::timeout(DEADLINE, found).await.expect("the guest listens")
    }
}

#[async_trait]
impl GuestNetwork for TestNetwork {
    fn pod_ip(&self) -> IpAddr {
        Ipv4Addr::new(10, 64, 0, self.number).into()
    }
    fn source_ip(&self) -> Option<IpAddr> {
        Some(self.real_ip().into())
    }
    async fn resolve(&self, name: &str) -> Vec<IpAddr> {
        self.names.get(name).copied().into_iter().collect()
    }
    async fn connect(&self, to: SocketAddr) -> Result<SocketAddr, ConnectRefused> {
        if self.forbidden == Some(to) {
            return Err(ConnectRefused::Denied);
        }
        self.listeners.lock().unwrap().get(&to).copied().ok_or(ConnectRefused::Refused)
    }
    fn bind(&self, port: u16) -> Result<SocketAddr, BindRefused> {
        Ok(SocketAddr::new(self.real_ip().into(), if cfg!(target_os = "macos") { 0 } else { port }))
    }
    fn listening(&self, guest: SocketAddr, real: SocketAddr) {
        self.listeners.lock().unwrap().insert(guest, real);
        self.changed.notify_waiters();
    }
    fn closed(&self, guest: SocketAddr, _: SocketAddr) {
        self.listeners.lock().unwrap().remove(&guest);
    }
    fn guest_address(&self, real: SocketAddr) -> SocketAddr {
        match real.ip() {
            IpAddr::V4(ip) if ip.octets()[..2] == [127, 64] => {
                let [_, b, c, d] = ip.octets();
                SocketAddr::from(([10, b, c, d], real.port()))
            }
            _ => real,
        }
    }
    async fn http(&self, request: ::http::Request<Body>) -> Result<::http::Response<Body>, HttpError> {
        match request.uri().host() {
            Some("backend") => {
                let text = format!("{} {}", request.method(), request.uri());
                Ok(::http::Response::new(text_body(text)))
            }
            Some("forbidden") => Err(HttpError::Denied),
            host => Err(HttpError::NoSuchHost(host.unwrap_or_default().to_owned())),
        }
    }
}
