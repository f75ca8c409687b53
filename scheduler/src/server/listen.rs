use std::io;
use std::net::SocketAddr;

use tokio::net::TcpListener;

use crate::ServerError;

/// Every listener or none.
pub(super) async fn bind(addresses: &[SocketAddr]) -> Result<Vec<TcpListener>, ServerError> {
    let mut listeners = Vec::new();
    for address in addresses {
        listeners.push(TcpListener::bind(address).await.map_err(|source| explain(*address, source))?);
    }
    Ok(listeners)
}

fn explain(address: SocketAddr, source: io::Error) -> ServerError {
    match source.kind() {
        io::ErrorKind::AddrInUse => ServerError::PortTaken { address },
        io::ErrorKind::PermissionDenied => ServerError::PortForbidden { address },
        io::ErrorKind::AddrNotAvailable => ServerError::NoSuchAddress { address },
        _ => ServerError::Listen { address, source },
    }
}
