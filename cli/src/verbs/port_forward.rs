//! Local ports that lead to a pod's: one WebSocket for each connection.

mod connection;
mod ports;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Args;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use self::ports::Mapping;
use super::pods::{self, Found};
use crate::args::Global;
use crate::session::Session;

/// Connections through one local port at once; more wait to be accepted.
const CONNECTIONS_MAX: usize = 256;
/// Before accepting is tried again, when the system has no sockets left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

#[derive(Args)]
pub(crate) struct PortForward {
    /// A pod, or a Service or workload such as `svc/hello`
    target: String,
    /// [LOCAL:]REMOTE; without LOCAL the same port, with `:REMOTE` or 0 any free one
    #[arg(required = true, value_name = "PORTS")]
    ports: Vec<Mapping>,
    /// Where to listen
    #[arg(long, default_value_t = Ipv4Addr::LOCALHOST.into(), value_name = "IP")]
    address: IpAddr,
}

impl PortForward {
    /// Until it is interrupted.
    pub(crate) async fn run(self, global: &Global) -> Result<()> {
        let session = Arc::new(Session::connect(global).await?);
        let found = pods::of(&session, &self.target).await?;
        let doors = self.open(found).await?;
        let served = doors.into_iter().map(|door| door.serve(session.clone()));
        futures::future::join_all(served).await;
        Ok(())
    }

    /// All ports, or none.
    async fn open(&self, found: Found) -> Result<Vec<Door>> {
        let owner = found.owner.clone();
        let pod = found.choose();
        let mut doors = Vec::new();
        for mapping in &self.ports {
            let port = ports::of_pod(mapping.remote, owner.as_ref(), &pod)?;
            let address = SocketAddr::new(self.address, mapping.local);
            let listener = TcpListener::bind(address).await.with_context(|| format!("listen on {address}"))?;
            println!("Forwarding from {} -> {port}", listener.local_addr()?);
            doors.push(Door { listener, pod: pods::name(&pod).to_owned(), port });
        }
        Ok(doors)
    }
}

/// A local port.
struct Door {
    listener: TcpListener,
    pod: String,
    port: u16,
}

impl Door {
    async fn serve(self, session: Arc<Session>) {
        let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        let target = Arc::new((self.pod, self.port));
        loop {
            let place = places.clone().acquire_owned().await.expect("the semaphore is never closed");
            let stream = match self.listener.accept().await {
                Ok((stream, _)) => stream,
                Err(error) => {
                    eprintln!("accept a connection: {error}");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            println!("Handling connection for {}", target.1);
            let (session, target) = (session.clone(), target.clone());
            tokio::spawn(async move {
                let (pod, port) = &*target;
                if let Err(error) = connection::carry(&session, pod, *port, stream).await {
                    eprintln!("an error occurred forwarding to {port}: {error:#}");
                }
                drop(place);
            });
        }
    }
}
