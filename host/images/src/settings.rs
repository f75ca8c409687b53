//! How registries outside of the cluster are reached: logins, authorities, the default registry.

mod login;

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use login::Auth;
pub use login::{Login, registry_key};

/// Reads, at each use, what is configured for registries:
///
/// ```text
/// DIR/config.json             Docker's format: auths, credHelpers, credsStore; and ours: defaultRegistry, insecureRegistries
/// DIR/certs.d/HOST[:PORT]/*.crt   authorities of that registry, in PEM
/// ~/.docker/config.json       ($DOCKER_CONFIG) logins made with Docker
/// /etc/docker/certs.d         as certs.d above
/// ```
///
/// The first place that has something of a registry counts. Blocks on the disk.
#[derive(Clone, Debug)]
pub struct Registries {
    file: PathBuf,
    docker_file: Option<PathBuf>,
    certificate_dirs: Vec<PathBuf>,
}

#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    #[error("read {}", path.display())]
    Read {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{} is no configuration as Docker writes it: {source}", path.display())]
    Json {
        path: PathBuf,
        #[source]
        source: serde_json::Error,
    },
    #[error("{} holds no certificate in PEM", .0.display())]
    NoCertificate(PathBuf),
    #[error("write {}", path.display())]
    Write {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("docker-credential-{helper}, which {} names: {why}", path.display())]
    Helper { helper: String, path: PathBuf, why: String },
}

/// How to connect to one registry.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Site {
    /// `host[:port]`.
    pub(crate) host: String,
    /// Authorities that are trusted beside the public ones, each in PEM.
    pub(crate) authorities: Vec<String>,
    /// Plain HTTP.
    pub(crate) insecure: bool,
}

/// Docker's `config.json`; what we do not know stays as it is.
#[derive(Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
struct ConfigFile {
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    auths: BTreeMap<String, Auth>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    cred_helpers: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    creds_store: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    default_registry: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    insecure_registries: Vec<String>,
    #[serde(flatten)]
    rest: BTreeMap<String, Value>,
}

const BEGIN: &str = "-----BEGIN CERTIFICATE-----";

impl Registries {
    /// What is configured in `dir`, the data directory, and for Docker.
    pub fn new(dir: &Path) -> Self {
        let docker = std::env::var_os("DOCKER_CONFIG").filter(|dir| !dir.is_empty()).map(PathBuf::from);
        let docker = docker.or_else(|| Some(std::env::home_dir()?.join(".docker")));
        let docker_certificates = Path::new("/etc/docker/certs.d").to_owned();
        Self { certificate_dirs: vec![dir.join("certs.d"), docker_certificates], ..Self::alone(dir, docker) }
    }

    /// What is configured in `dir`, and in no place of Docker's but the one given.
    pub fn alone(dir: &Path, docker: Option<PathBuf>) -> Self {
        Self {
            file: dir.join("config.json"),
            docker_file: docker.map(|dir| dir.join("config.json")),
            certificate_dirs: vec![dir.join("certs.d")],
        }
    }

    /// The file that [`Registries::store_login`] writes.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// The login for a registry, if somebody logged in.
    pub fn login(&self, host: &str) -> Result<Option<Login>, SettingsError> {
        for path in std::iter::once(&self.file).chain(&self.docker_file) {
            if let Some(login) = read(path)?.login(host, path)? {
                return Ok(Some(login));
            }
        }
        Ok(None)
    }

    /// Keeps a login, readable by the owner alone.
    pub fn store_login(&self, host: &str, login: &Login) -> Result<(), SettingsError> {
        let mut config = read(&self.file)?;
        config.auths.retain(|known, _| registry_key(known) != registry_key(host));
        config.auths.insert(registry_key(host), Auth::new(login));
        self.write(&config)
    }

    /// Forgets a login of ours; `false` when there was none.
    pub fn remove_login(&self, host: &str) -> Result<bool, SettingsError> {
        let mut config = read(&self.file)?;
        let before = config.auths.len();
        config.auths.retain(|known, _| registry_key(known) != registry_key(host));
        if config.auths.len() == before {
            return Ok(false);
        }
        self.write(&config).map(|()| true)
    }

    /// Where names without a registry are looked for when the cluster's registry does not have them: `host[:port][/path]`.
    pub fn default_registry(&self) -> Result<Option<String>, SettingsError> {
        Ok(read(&self.file)?.default_registry.filter(|name| !name.is_empty()))
    }

    pub(crate) fn site(&self, host: &str) -> Result<Site, SettingsError> {
        let mut authorities = Vec::new();
        for dir in &self.certificate_dirs {
            if authorities.is_empty() {
                authorities = certificates(&dir.join(host))?;
            }
        }
        let is_listed = read(&self.file)?.insecure_registries.iter().any(|known| registry_key(known) == host);
        let insecure = is_listed || (is_loopback(host) && authorities.is_empty());
        Ok(Site { host: host.to_owned(), authorities, insecure })
    }

    fn write(&self, config: &ConfigFile) -> Result<(), SettingsError> {
        let dir = self.file.parent().unwrap_or(Path::new("."));
        let write = || -> io::Result<()> {
            std::fs::create_dir_all(dir)?;
            // Temporary files are readable by their owner alone, and stay so.
            let mut file = tempfile::NamedTempFile::new_in(dir)?;
            file.write_all(&serde_json::to_vec_pretty(config).expect("the configuration always encodes"))?;
            file.persist(&self.file)?;
            Ok(())
        };
        write().map_err(|source| SettingsError::Write { path: self.file.clone(), source })
    }
}

impl ConfigFile {
    fn login(&self, host: &str, path: &Path) -> Result<Option<Login>, SettingsError> {
        let helpers = self.cred_helpers.iter().find(|(known, _)| registry_key(known) == host).map(|(_, helper)| helper);
        let known = self.auths.iter().find(|(known, _)| registry_key(known) == registry_key(host));
        if let Some(login) = known.and_then(|(_, auth)| auth.login()) {
            return Ok(Some(login));
        }
        // A store is only asked for what Docker says is in it: asking starts a program.
        let store = known.and(self.creds_store.as_ref());
        match helpers.or(store) {
            Some(helper) => login::ask(helper, known.map_or(host, |(known, _)| known), path),
            None => Ok(None),
        }
    }
}

fn read(path: &Path) -> Result<ConfigFile, SettingsError> {
    match std::fs::read(path) {
        Ok(bytes) => {
            serde_json::from_slice(&bytes).map_err(|source| SettingsError::Json { path: path.to_owned(), source })
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(ConfigFile::default()),
        Err(source) => Err(SettingsError::Read { path: path.to_owned(), source }),
    }
}

/// Every certificate of the `.crt` files of a directory, in the order of their names.
fn certificates(dir: &Path) -> Result<Vec<String>, SettingsError> {
    let mut paths: Vec<PathBuf> =
        std::fs::read_dir(dir).into_iter().flatten().flatten().map(|one| one.path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "crt"));
    paths.sort();
    let mut found = Vec::new();
    for path in paths {
        let text = std::fs::read_to_string(&path);
        let text = text.map_err(|source| SettingsError::Read { path: path.clone(), source })?;
        if !text.contains(BEGIN) {
            return Err(SettingsError::NoCertificate(path));
        }
        found.extend(text.split(BEGIN).skip(1).map(|rest| format!("{BEGIN}{rest}")));
    }
    Ok(found)
}

fn is_loopback(host: &str) -> bool {
    let name = match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, _)) => address,
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    };
    name == "localhost" || name.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests;
