mod listen;

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use jiff::Timestamp;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{info, warn};
use wasmk_apiserver::pki::{CertificateAuthority, Credentials, JoinToken, Kubeconfig, PkiError, write_kubeconfig};
use wasmk_apiserver::{AccountTokens, ApiServer, Identity, Settings};
use wasmk_store::{EmbeddedStore, Store};

use crate::client::in_process_client;
use crate::controllers::ControllersTask;
use crate::events::events;
use crate::node_client::NodePorts;
use crate::placement::PlacementTask;
use crate::runtime::off_the_runtime;
use crate::supervise::spawn_supervised;
use crate::system::{ApiAddress, SystemTask};
use crate::{ServerConfig, ServerError};

const STORE_FILE: &str = "store.redb";
const PKI_DIRECTORY: &str = "pki";
const KUBECONFIG_FILE: &str = "kubeconfig";
/// Cluster, user and context in the kubeconfig.
const CONTEXT_NAME: &str = "wasmk";
const ADMIN_USER: &str = "wasmk-admin";
const ADMIN_GROUP: &str = "system:masters";
/// The loops end within one commit; the listener has a deadline of its own below this one.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(10);

/// A running control plane: store, API, controllers, placement.
pub struct Server {
    addresses: Vec<SocketAddr>,
    api: ApiAddress,
    store: Arc<dyn Store>,
    router: Router,
    authority: Arc<CertificateAuthority>,
    join_token: Arc<JoinToken>,
    kubeconfig: String,
    kubeconfig_path: PathBuf,
    shutdown: CancellationToken,
    tasks: TaskTracker,
}

/// What a node proves itself with, all PEM.
#[derive(Clone)]
pub struct NodeCredentials {
    pub certificate_pem: String,
    pub key_pem: String,
    pub ca_pem: String,
}

impl Server {
    /// Starts everything, or changes nothing but the data directory. Ready to serve when it returns.
    pub async fn start(config: ServerConfig) -> Result<Self, ServerError> {
        // Another library of the process may have chosen already: then its choice stands.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        config.check()?;
        make_data_directory(&config.data_dir)?;
        let store = open_store(&config.data_dir).await?;
        let keys = Keys::load(&config)?;
        let listeners = listen::bind(&config.listen).await?;
        let addresses: Vec<SocketAddr> = listeners.iter().filter_map(|listener| listener.local_addr().ok()).collect();
        let api = ApiAddress {
            cluster_ip: config.api_cluster_ip(),
            address: config.advertised(),
            port: addresses.first().map_or(0, SocketAddr::port),
        };
        let system = SystemTask::new(store.clone(), api, config.write_settings());
        system.begin().await?;

        let (kubeconfig_path, kubeconfig) = keys.write_kubeconfig(&config.data_dir, api)?;
        let (shutdown, tasks) = (CancellationToken::new(), TaskTracker::new());
        let router = ApiServer::router(
            store.clone(),
            Settings {
                authority: keys.authority.clone(),
                join_token: keys.join_token.clone(),
                tokens: keys.tokens.clone(),
                write: config.write_settings(),
                shutdown: shutdown.clone(),
                streams: tasks.clone(),
            },
            Arc::new(NodePorts::new(&keys.authority, Timestamp::now())?),
            Some(config.registry.clone()),
        );
        let server = Self {
            addresses,
            api,
            store,
            router,
            authority: keys.authority,
            join_token: keys.join_token,
            kubeconfig,
            kubeconfig_path,
            shutdown,
            tasks,
        };
        server.spawn_loops(system, &config);
        server.spawn_listeners(listeners, keys.tls);
        info!(address = %api.address, port = api.port, "the control plane is ready");
        Ok(server)
    }

    /// The first address that it listens on.
    pub fn local_addr(&self) -> SocketAddr {
        self.addresses[0]
    }

    /// Where nodes and clients reach it.
    pub fn advertised(&self) -> SocketAddr {
        SocketAddr::new(self.api.address, self.api.port)
    }

    /// A client with every right, which calls the API in this process.
    pub fn kube_client(&self) -> kube::Client {
        in_process_client(self.router.clone(), Identity::control_plane())
    }

    /// Everything a client needs to be the administrator, as YAML.
    pub fn kubeconfig(&self) -> &str {
        &self.kubeconfig
    }

    /// Where the kubeconfig was written, readable by its owner alone.
    pub fn kubeconfig_path(&self) -> &Path {
        &self.kubeconfig_path
    }

    /// What a machine shows to become a node: `wk1.<CA hash>.<secret>`.
    pub fn join_token(&self) -> String {
        self.join_token.to_string()
    }

    pub fn store(&self) -> Arc<dyn Store> {
        self.store.clone()
    }

    /// Credentials for a node in this process, as joining would give it.
    pub fn issue_node(&self, name: &str, addresses: &[IpAddr]) -> Result<NodeCredentials, PkiError> {
        let Credentials { certificate_pem, key_pem } = self.authority.issue_node(name, addresses, Timestamp::now())?;
        Ok(NodeCredentials { certificate_pem, key_pem, ca_pem: self.authority.certificate_pem().to_owned() })
    }

    /// Ends the loops, lets requests under way finish, ends watches, and closes the store. Nothing that was
    /// acknowledged is lost however it ends.
    pub async fn shutdown(self) {
        self.shutdown.cancel();
        self.tasks.close();
        if tokio::time::timeout(SHUTDOWN_TIMEOUT, self.tasks.wait()).await.is_err() {
            warn!(tasks = self.tasks.len(), "tasks are still at work at the deadline");
        }
        self.store.close().await;
    }

    fn spawn_loops(&self, system: SystemTask, config: &ServerConfig) {
        let (recorder, event_task) = events(self.store.clone());
        let (store, shutdown) = (self.store.clone(), self.shutdown.clone());
        self.tasks.spawn(event_task.run(shutdown.clone()));

        let root_certificate = self.authority.certificate_pem().to_owned();
        let settings = wasmk_controllers::Settings { root_certificate, ..config.controllers.clone() };
        let controllers = ControllersTask::new(store.clone(), settings, config.write_settings(), recorder.clone());
        let own = shutdown.clone();
        spawn_supervised(&self.tasks, "controllers", shutdown.clone(), move || controllers.clone().run(own.clone()));
        let placement = PlacementTask::new(store, recorder);
        let own = shutdown.clone();
        spawn_supervised(&self.tasks, "placement", shutdown.clone(), move || placement.clone().run(own.clone()));
        let own = shutdown.clone();
        spawn_supervised(&self.tasks, "system", shutdown, move || system.clone().run(own.clone()));
    }

    fn spawn_listeners(&self, listeners: Vec<TcpListener>, tls: Arc<rustls::ServerConfig>) {
        for listener in listeners {
            let served = wasmk_apiserver::serve(listener, tls.clone(), self.router.clone(), self.shutdown.clone());
            self.tasks.spawn(served);
        }
    }
}

/// Everything that proves who is who.
struct Keys {
    authority: Arc<CertificateAuthority>,
    join_token: Arc<JoinToken>,
    tokens: Arc<AccountTokens>,
    admin: Credentials,
    tls: Arc<rustls::ServerConfig>,
}

impl Drop for Server {
    /// Nothing goes on behind the back of who has dropped it; only [`Server::shutdown`] waits for the end.
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

impl Keys {
    fn load(config: &ServerConfig) -> Result<Self, PkiError> {
        let (directory, now) = (config.data_dir.join(PKI_DIRECTORY), Timestamp::now());
        let authority = CertificateAuthority::load_or_create(&directory, now)?;
        let join_token = JoinToken::load_or_create(&directory, &authority)?;
        let tokens = Arc::new(AccountTokens::load_or_create(&directory)?);
        let admin = authority.issue_client(ADMIN_USER, ADMIN_GROUP, now)?;
        let server = authority.issue_server(&server_names(config), now)?;
        let tls = authority.server_config(&server)?;
        Ok(Self { authority: Arc::new(authority), join_token: Arc::new(join_token), tokens, admin, tls })
    }

    fn write_kubeconfig(&self, data_dir: &Path, api: ApiAddress) -> Result<(PathBuf, String), PkiError> {
        let path = data_dir.join(KUBECONFIG_FILE);
        let server = format!("https://{}", SocketAddr::new(api.address, api.port));
        let kubeconfig =
            Kubeconfig { name: CONTEXT_NAME, server: &server, authority: &self.authority, client: &self.admin };
        write_kubeconfig(&path, &kubeconfig)?;
        Ok((path, kubeconfig.to_yaml()))
    }
}

/// By which names the server's certificate is good, beside the well-known ones.
fn server_names(config: &ServerConfig) -> Vec<String> {
    let listening = config.listen.iter().map(|address| address.ip()).filter(|address| !address.is_unspecified());
    let addresses = listening.chain([config.advertised(), config.api_cluster_ip().into()]);
    let mut names: Vec<String> = addresses.map(|address| address.to_string()).collect();
    names.extend(config.extra_names.iter().cloned());
    names.sort();
    names.dedup();
    names
}

fn make_data_directory(path: &Path) -> Result<(), ServerError> {
    let made = std::fs::create_dir_all(path).and_then(|()| restrict(path));
    made.map_err(|source| ServerError::DataDirectory { path: path.to_owned(), source })
}

/// Secrets lie in there.
#[cfg(unix)]
fn restrict(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o700))
}

/// Elsewhere a directory inherits the access list of its parent, which is the user's own.
#[cfg(not(unix))]
fn restrict(_: &Path) -> std::io::Result<()> {
    Ok(())
}

async fn open_store(data_dir: &Path) -> Result<Arc<dyn Store>, ServerError> {
    let path = data_dir.join(STORE_FILE);
    let store = off_the_runtime(move || EmbeddedStore::open(path)).await?;
    Ok(Arc::new(store))
}
