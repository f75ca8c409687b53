use std::collections::{HashMap, HashSet};
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;

use crate::forward::Target;
use crate::network::Network;
use crate::stream::serve_connection;
use crate::table::{ClaimProblem, FrontKind, ServiceName, ServiceTable};

/// Connections open at one port; more wait in the system's queue. Below the common file limit of 20,000.
const CONNECTIONS_MAX: usize = 8192;
/// Connections the system holds before they are accepted.
const BACKLOG: i32 = 1024;
/// How often a port that could not be opened is tried again.
const RETRY_EVERY: Duration = Duration::from_secs(2);
/// After a failed accept (out of files) others may end meanwhile.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// A port of a Service that is not open on this node.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ListenerProblem {
    pub service: ServiceName,
    pub port: u16,
    pub reason: ListenerProblemReason,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ListenerProblemReason {
    /// Another process has it; it is tried again.
    PortInUse(IpAddr),
    /// The system does not let this process have it.
    Forbidden(IpAddr),
    /// An older Service has it.
    ClaimedBy(ServiceName),
    /// UDP or SCTP.
    UnsupportedProtocol(String),
    Other(IpAddr, String),
}

impl ListenerProblemReason {
    /// In the form of an Event's `reason`.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::PortInUse(_) => "PortInUse",
            Self::Forbidden(_) => "PortForbidden",
            Self::ClaimedBy(_) => "PortClaimed",
            Self::UnsupportedProtocol(_) => "UnsupportedProtocol",
            Self::Other(..) => "ListenFailed",
        }
    }
}

impl fmt::Display for ListenerProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { service, port, reason } = self;
        write!(f, "port {port} of service {service} is not open: ")?;
        match reason {
            ListenerProblemReason::PortInUse(ip) => {
                write!(f, "another process listens on {ip}:{port}; stop it, or give the service another port")
            }
            ListenerProblemReason::Forbidden(ip) => write!(
                f,
                "this process may not listen on {ip}:{port}; use a port from 1024 up, or allow it \
                 (Linux: sysctl net.ipv4.ip_unprivileged_port_start)"
            ),
            ListenerProblemReason::ClaimedBy(other) => write!(f, "service {other} has it; choose another port"),
            ListenerProblemReason::UnsupportedProtocol(protocol) => write!(f, "{protocol} is not supported, only TCP"),
            ListenerProblemReason::Other(ip, why) => write!(f, "listen on {ip}:{port}: {why}"),
        }
    }
}

/// The open NodePort and LoadBalancer ports.
pub(crate) struct Listeners {
    ips: Vec<IpAddr>,
    open: Mutex<Open>,
    problems: watch::Sender<Arc<Vec<ListenerProblem>>>,
}

#[derive(Default)]
struct Open {
    listeners: HashMap<SocketAddr, CancellationToken>,
    is_retrying: bool,
    is_closed: bool,
}

impl Listeners {
    pub(crate) fn new(ips: Vec<IpAddr>) -> Self {
        Self { ips, open: Mutex::default(), problems: watch::Sender::new(Arc::default()) }
    }

    pub(crate) fn problems(&self) -> watch::Receiver<Arc<Vec<ListenerProblem>>> {
        self.problems.subscribe()
    }

    pub(crate) fn open_addresses(&self) -> Vec<SocketAddr> {
        self.open.lock().expect("no panic while held").listeners.keys().copied().collect()
    }

    /// Opens what the table wants and closes what it does not. What fails is reported and tried again later.
    pub(crate) fn reconcile(&self, network: &Arc<Network>, table: &ServiceTable) {
        let mut open = self.open.lock().expect("no panic while held");
        if open.is_closed {
            return;
        }
        let wanted: HashSet<SocketAddr> = self.wanted(table).map(|(address, ..)| address).collect();
        open.listeners.retain(|address, stop| {
            let keep = wanted.contains(address);
            if !keep {
                stop.cancel();
            }
            keep
        });
        let mut problems: Vec<_> = table.claims().iter().map(claim_problem).collect();
        let mut is_retriable = false;
        for (address, _, service) in self.wanted(table) {
            if open.listeners.contains_key(&address) {
                continue;
            }
            match listen(address) {
                Ok(listener) => {
                    let stop = network.stopping().child_token();
                    open.listeners.insert(address, stop.clone());
                    network.spawn(accept(network.clone(), listener, address.port(), stop));
                }
                Err(error) => {
                    is_retriable = true;
                    problems.push(ListenerProblem {
                        service,
                        port: address.port(),
                        reason: reason(address.ip(), error),
                    });
                }
            }
        }
        if is_retriable && !open.is_retrying {
            open.is_retrying = true;
            network.spawn(retry(network.clone()));
        }
        drop(open);
        problems.sort_by(|a, b| (&a.service, a.port).cmp(&(&b.service, b.port)));
        self.publish(problems);
    }

    pub(crate) fn retry(&self, network: &Arc<Network>, table: &ServiceTable) {
        self.open.lock().expect("no panic while held").is_retrying = false;
        self.reconcile(network, table);
    }

    /// Takes no connection any more; open ones go on until the network's shutdown ends them.
    pub(crate) fn close(&self) {
        let mut open = self.open.lock().expect("no panic while held");
        open.is_closed = true;
        for (_, stop) in open.listeners.drain() {
            stop.cancel();
        }
    }

    fn wanted<'a>(
        &'a self,
        table: &'a ServiceTable,
    ) -> impl Iterator<Item = (SocketAddr, FrontKind, ServiceName)> + 'a {
        table.fronts().flat_map(|(port, front)| {
            let service = &front.port.service;
            self.ips.iter().map(move |ip| (SocketAddr::new(*ip, port), front.kind, service.clone()))
        })
    }

    fn publish(&self, problems: Vec<ListenerProblem>) {
        self.problems.send_if_modified(|known| {
            let changed = **known != problems;
            if changed {
                for problem in problems.iter().filter(|problem| !known.contains(problem)) {
                    tracing::warn!("{problem}");
                }
                *known = Arc::new(problems);
            }
            changed
        });
    }
}

fn claim_problem(claim: &crate::table::Claim) -> ListenerProblem {
    let reason = match &claim.why {
        ClaimProblem::TakenBy(other) => ListenerProblemReason::ClaimedBy(other.clone()),
        ClaimProblem::Protocol(protocol) => ListenerProblemReason::UnsupportedProtocol(protocol.clone()),
    };
    ListenerProblem { service: claim.service.clone(), port: claim.port, reason }
}

fn reason(ip: IpAddr, error: io::Error) -> ListenerProblemReason {
    match error.kind() {
        io::ErrorKind::AddrInUse => ListenerProblemReason::PortInUse(ip),
        io::ErrorKind::PermissionDenied => ListenerProblemReason::Forbidden(ip),
        _ => ListenerProblemReason::Other(ip, error.to_string()),
    }
}

/// Level-triggered: reconciles with whatever table is in use by then.
async fn retry(network: Arc<Network>) {
    tokio::select! {
        () = network.stopping().cancelled() => {}
        () = tokio::time::sleep(RETRY_EVERY) => network.retry_listeners(),
    }
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // On Windows the option means something else: there it would let two processes share a port.
    #[cfg(not(windows))]
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

async fn accept(network: Arc<Network>, listener: TcpListener, port: u16, stop: CancellationToken) {
    let slots = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        // Both arms are cancel-safe: an accept or a permit that is dropped takes nothing with it.
        let next = tokio::select! {
            () = stop.cancelled() => return,
            next = async {
                let slot = slots.clone().acquire_owned().await.expect("the semaphore is never closed");
                (slot, listener.accept().await)
            } => next,
        };
        match next {
            (slot, Ok((stream, client))) => {
                let network_ = network.clone();
                network.spawn(async move {
                    serve(&network_, port, stream, client).await;
                    drop(slot);
                });
            }
            (_, Err(error)) => {
                tracing::warn!(port, %error, "accept");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn serve(network: &Arc<Network>, port: u16, stream: TcpStream, client: SocketAddr) {
    let _ = stream.set_nodelay(true);
    serve_connection(network, Target::Front(port), stream, client.ip().to_canonical()).await;
}
