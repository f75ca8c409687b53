use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use crate::{Output, Process, eventually};

/// Debian's `docker-registry`: the registry that Docker itself publishes. `cargo xtask test` installs it.
#[derive(Debug)]
pub struct DockerRegistry {
    pub process: Process,
    /// `host:port`.
    pub host: String,
    config: std::path::PathBuf,
    dir: TempDir,
}

/// Who may use a registry, and how it is reached.
#[derive(Clone, Copy, Default, Debug)]
pub struct RegistryOptions<'a> {
    /// The one user, with a password.
    pub login: Option<(&'a str, &'a str)>,
    /// Certificate and key, in PEM.
    pub tls: Option<(&'a str, &'a str)>,
    /// Further lines of its configuration.
    pub more: &'a str,
}

impl DockerRegistry {
    /// Starts one on an address of a subnet that no other test uses.
    #[track_caller]
    pub fn start(address: &str, options: RegistryOptions<'_>) -> Self {
        let dir = tempfile::Builder::new().prefix("wasmk-registry-").tempdir().expect("a temporary directory");
        let host = format!("{address}:5000");
        let config = dir.path().join("config.yml");
        std::fs::write(&config, configuration(dir.path(), &host, options)).expect("the configuration can be written");
        let process = run(&config, dir.path());
        let mut registry = Self { process, host, config, dir };
        registry.wait();
        registry
    }

    /// Starts it again on what it kept, after it was killed.
    #[track_caller]
    pub fn restart(&mut self) {
        self.process = run(&self.config, self.dir.path());
        self.wait();
    }

    #[track_caller]
    fn wait(&mut self) {
        eventually(Duration::from_secs(30), || {
            assert!(self.process.is_running(), "docker-registry ended:\n{}", self.process.log());
            std::net::TcpStream::connect(&self.host).map(drop).map_err(|error| error.to_string())
        });
    }
}

fn run(config: &Path, dir: &Path) -> Process {
    let mut command = Command::new("docker-registry");
    command.arg("serve").arg(config).current_dir(dir).env_remove("REGISTRY_HTTP_ADDR");
    Process::start(command, dir.join("registry.log"))
}

fn configuration(dir: &Path, host: &str, options: RegistryOptions<'_>) -> String {
    let at = |name: &str| dir.join(name).display().to_string();
    let mut text = format!(
        "version: 0.1\nlog: {{level: warn}}\nstorage: {{filesystem: {{rootdirectory: {}}}, delete: {{enabled: true}}}}\n\
         http:\n  addr: {host}\n  secret: for-tests\n",
        at("data")
    );
    if let Some((certificate, key)) = options.tls {
        std::fs::write(at("tls.crt"), certificate).expect("the certificate can be written");
        std::fs::write(at("tls.key"), key).expect("the key can be written");
        text.push_str(&format!("  tls: {{certificate: {}, key: {}}}\n", at("tls.crt"), at("tls.key")));
    }
    if let Some((user, password)) = options.login {
        let mut htpasswd = Command::new("htpasswd");
        htpasswd.args(["-Bbn", user, password]).stderr(Stdio::null());
        std::fs::write(at("htpasswd"), Output::of(&mut htpasswd).ok()).expect("the password file can be written");
        text.push_str(&format!("auth: {{htpasswd: {{realm: for-tests, path: {}}}}}\n", at("htpasswd")));
    }
    text + options.more
}
