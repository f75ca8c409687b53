use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::{DuplexStream, duplex};
use tokio::net::TcpStream;
use tokio_util::either::Either;

use crate::forward::Target;
use crate::l7::serve_http;
use crate::network::Network;
use crate::pods::{LocalBackend, LocalPod};

/// Bytes each way between a client and the replica that is called.
const BUFFER_BYTES: usize = 64 << 10;

/// A byte stream to one port of a pod of this node.
pub type PodStream = Either<TcpStream, DuplexStream>;

/// To the guest's listener; or, where there is no socket, to a server whose requests the replica is called with.
pub(crate) async fn connect(network: &Arc<Network>, pod: &Arc<LocalPod>, port: u16) -> io::Result<PodStream> {
    match pod.backend(port).ok_or(io::ErrorKind::ConnectionRefused)? {
        LocalBackend::Tcp(backend) => backend.connect().await.map(Either::Left),
        LocalBackend::Http(_) => {
            let (near, far) = duplex(BUFFER_BYTES);
            let target = Target::LocalPod(SocketAddr::new(pod.identity.ip.into(), port));
            let (network_, gone) = (network.clone(), pod.gone.clone());
            network.spawn(async move {
                gone.run_until_cancelled(serve_http(&network_, target, far, None)).await;
            });
            Ok(Either::Right(near))
        }
    }
}
