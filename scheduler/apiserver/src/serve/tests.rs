//! Over real sockets, with limits that are soon reached.

use jiff::Timestamp;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;

use super::*;
use crate::pki::{CertificateAuthority, Credentials};

/// Longer than any test: what waits for it has failed.
const FOREVER: Duration = Duration::from_secs(3600);

struct Listening {
    authority: CertificateAuthority,
    address: SocketAddr,
    shutdown: CancellationToken,
    task: JoinHandle<()>,
    _directory: tempfile::TempDir,
}

impl Listening {
    async fn start(limits: Limits) -> Self {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let directory = tempfile::tempdir().unwrap();
        let authority = CertificateAuthority::load_or_create(directory.path(), Timestamp::now()).unwrap();
        let credentials = authority.issue_server(&[], Timestamp::now()).unwrap();
        let tls = authority.server_config(&credentials).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, shutdown) = (listener.local_addr().unwrap(), CancellationToken::new());
        let router = Router::new().fallback(|request: Request<axum::body::Body>| async move {
            format!("{:?}", request.extensions().get::<Peer>())
        });
        let task = tokio::spawn(serve_within(limits, listener, tls, router, shutdown.clone()));
        Self { authority, address, shutdown, task, _directory: directory }
    }

    async fn silent(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// What a client with a certificate is answered.
    async fn ask(&self) -> std::io::Result<String> {
        let Credentials { certificate_pem, key_pem } =
            self.authority.issue_client("wasmk-admin", "system:masters", Timestamp::now()).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(self.authority.certificate_pem().as_bytes()).unwrap()).unwrap();
        let certificate = CertificateDer::from_pem_slice(certificate_pem.as_bytes()).unwrap();
        let key = PrivateKeyDer::from_pem_slice(key_pem.as_bytes()).unwrap();
        let config = ClientConfig::builder().with_root_certificates(roots);
        let config = config.with_client_auth_cert(vec![certificate], key).unwrap();
        let name = ServerName::from(self.address.ip());
        let mut stream = TlsConnector::from(Arc::new(config)).connect(name, self.silent().await).await?;
        stream.write_all(b"GET / HTTP/1.1\r\nhost: wasmk\r\nconnection: close\r\n\r\n").await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        Ok(answer)
    }

    async fn stop(self) {
        self.shutdown.cancel();
        self.task.await.unwrap();
    }
}

#[tokio::test]
async fn those_who_never_say_who_they_are_keep_nobody_out() {
    let limits = Limits { connections: 1, handshakes: 4, handshake: FOREVER, ..LIMITS };
    let listening = Listening::start(limits).await;
    let mut silent = Vec::new();
    for _ in 0..3 {
        silent.push(listening.silent().await);
    }
    let answer = listening.ask().await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("Some(Peer(127.0.0.1))"), "{answer}");
    drop(silent);
    listening.stop().await;
}

#[tokio::test]
async fn handshakes_beyond_the_limit_are_closed_at_once() {
    let listening = Listening::start(Limits { handshakes: 2, handshake: FOREVER, ..LIMITS }).await;
    let (first, _second, mut third) = (listening.silent().await, listening.silent().await, listening.silent().await);
    assert!(matches!(third.read(&mut [0]).await, Ok(0) | Err(_)));
    drop(first);
    // Until the server has noticed that one is gone.
    while listening.ask().await.is_err() {}
    listening.stop().await;
}
