//! wasi:sockets on the guest's own network: the few functions that carry addresses are ours, the rest is wasmtime's.
//!
//! Guests see virtual addresses only. Their IPv6 sockets are quietly IPv4 ones, so that `[::]:8080` works.

mod p2;
mod p3;

use crate::guest::Guest;
use crate::{BindRefused, ConnectRefused, GuestNetwork};
use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use wasmtime::component::Linker;
use wasmtime_wasi::sockets::{SocketAddrUse, WasiSocketsCtxView, WasiSocketsView};

/// Replaces wasmtime's functions where they carry addresses.
pub(crate) fn shadow(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    linker.allow_shadowing(true);
    p2::shadow(linker)?;
    p3::shadow(linker)?;
    linker.allow_shadowing(false);
    Ok(())
}

/// Sockets of one instance: each is a file descriptor of the node's.
const SOCKETS_MAX: usize = 1024;

/// One instance's sockets, by their index in its resource table.
pub(crate) struct Sockets {
    network: Arc<dyn GuestNetwork>,
    open: HashMap<u32, Socket>,
    approved: Arc<Mutex<Approved>>,
}

#[derive(Clone, Copy, Default)]
struct Socket {
    /// The guest believes it to be IPv6.
    v6: bool,
    /// Its own address, as the guest may see it.
    local: Option<SocketAddr>,
    /// What the host bound.
    real: Option<SocketAddr>,
    /// Whom the guest dialled, and who was dialled instead.
    peer: Option<(SocketAddr, SocketAddr)>,
    listening: bool,
}

/// Addresses that host sockets may use: the second line of defence, below the functions that choose them.
#[derive(Default)]
struct Approved {
    own: HashMap<SocketAddr, u32>,
    peers: HashMap<SocketAddr, u32>,
}

/// Why an address is refused, before WASI's version gives it a code.
enum Refused {
    InvalidArgument,
    TooMany,
    NotBindable,
    InUse,
    Denied,
    Unreachable,
    Connection,
}

type AddressCheck = Pin<Box<dyn Future<Output = bool> + Send + Sync>>;

impl Sockets {
    pub(crate) fn new(network: Arc<dyn GuestNetwork>) -> Self {
        Sockets { network, open: HashMap::new(), approved: Arc::default() }
    }

    /// Nothing but what [`GuestNetwork::bind`] and [`GuestNetwork::connect`] chose reaches the host's network.
    pub(crate) fn check(&self) -> impl Fn(SocketAddr, SocketAddrUse) -> AddressCheck + Send + Sync + 'static {
        let approved = self.approved.clone();
        move |address, usage| {
            let approved = approved.lock().unwrap().allows(address, usage);
            Box::pin(async move { approved })
        }
    }

    fn check_room(&self) -> Result<(), Refused> {
        if self.open.len() < SOCKETS_MAX { Ok(()) } else { Err(Refused::TooMany) }
    }

    fn created(&mut self, socket: u32, v6: bool) {
        self.open.insert(socket, Socket { v6, ..Socket::default() });
    }

    fn accepted(&mut self, listener: u32, socket: u32) {
        let Socket { v6, local, .. } = self.socket(listener);
        self.open.insert(socket, Socket { v6, local, ..Socket::default() });
    }

    fn socket(&self, socket: u32) -> Socket {
        self.open.get(&socket).copied().unwrap_or_default()
    }

    fn is_v6(&self, socket: u32) -> bool {
        self.socket(socket).v6
    }

    /// The real address to bind for a guest's: only its own, under any of its names.
    fn bind(&mut self, socket: u32, guest: SocketAddr) -> Result<SocketAddr, Refused> {
        if guest.is_ipv6() != self.is_v6(socket) {
            return Err(Refused::InvalidArgument);
        }
        let ip = guest.ip().to_canonical();
        if !ip.is_unspecified() && !is_localhost(ip) && ip != self.network.pod_ip() {
            return Err(Refused::NotBindable);
        }
        let real = self.network.bind(guest.port())?;
        self.approve_own(socket, real);
        Ok(real)
    }

    /// `real` is what the host chose if the port was 0.
    fn bound(&mut self, socket: u32, guest: SocketAddr, real: SocketAddr) {
        let port = if guest.port() == 0 { real.port() } else { guest.port() };
        let shown = if is_localhost(guest.ip().to_canonical()) {
            IpAddr::V4(Ipv4Addr::LOCALHOST)
        } else if guest.ip().is_unspecified() {
            IpAddr::V4(Ipv4Addr::UNSPECIFIED)
        } else {
            self.network.pod_ip()
        };
        self.approve_own(socket, real);
        self.open.entry(socket).or_default().local = Some(SocketAddr::new(shown, port));
    }

    fn listening(&mut self, socket: u32) {
        let state = self.open.entry(socket).or_default();
        if let (Some(local), Some(real), false) = (state.local, state.real, state.listening) {
            state.listening = true;
            self.network.listening(SocketAddr::new(self.network.pod_ip(), local.port()), real);
        }
    }

    /// The guest address to ask the network for. `localhost` is the guest itself.
    fn dialled(&self, socket: u32, guest: SocketAddr) -> Result<SocketAddr, Refused> {
        if guest.is_ipv6() != self.is_v6(socket) {
            return Err(Refused::InvalidArgument);
        }
        let ip = guest.ip().to_canonical();
        let ip = if is_localhost(ip) { self.network.pod_ip() } else { ip };
        Ok(SocketAddr::new(ip, guest.port()))
    }

    /// Notes a connection in the making; the source address to bind first, if any.
    fn connecting(&mut self, socket: u32, guest: SocketAddr, real: SocketAddr) -> Option<SocketAddr> {
        let state = self.open.entry(socket).or_default();
        let old = state.peer.replace((SocketAddr::new(guest.ip().to_canonical(), guest.port()), real));
        let unbound = state.real.is_none();
        let mut approved = self.approved.lock().unwrap();
        if let Some((_, real)) = old {
            release(&mut approved.peers, real);
        }
        *approved.peers.entry(real).or_default() += 1;
        drop(approved);
        let source = self.network.source_ip().filter(|ip| ip.is_loopback() == real.ip().is_loopback());
        let source = SocketAddr::new(source?, 0);
        unbound.then(|| self.approve_own(socket, source));
        unbound.then_some(source)
    }

    fn local_address(&self, socket: u32, real: SocketAddr) -> SocketAddr {
        let state = self.socket(socket);
        shown(state.local.unwrap_or_else(|| self.network.guest_address(real)), state.v6)
    }

    fn peer_address(&self, socket: u32, real: SocketAddr) -> SocketAddr {
        let state = self.socket(socket);
        shown(state.peer.map_or_else(|| self.network.guest_address(real), |(guest, _)| guest), state.v6)
    }

    fn closed(&mut self, socket: u32) {
        if let Some(state) = self.open.remove(&socket) {
            self.release(state);
        }
    }

    fn release(&self, state: Socket) {
        let mut approved = self.approved.lock().unwrap();
        if let Some(real) = state.real {
            release(&mut approved.own, real);
        }
        if let Some((_, real)) = state.peer {
            release(&mut approved.peers, real);
        }
        drop(approved);
        if let (true, Some(local), Some(real)) = (state.listening, state.local, state.real) {
            self.network.closed(SocketAddr::new(self.network.pod_ip(), local.port()), real);
        }
    }

    fn approve_own(&mut self, socket: u32, real: SocketAddr) {
        let old = self.open.entry(socket).or_default().real.replace(real);
        let mut approved = self.approved.lock().unwrap();
        if let Some(old) = old {
            release(&mut approved.own, old);
        }
        *approved.own.entry(real).or_default() += 1;
    }
}

impl Drop for Sockets {
    fn drop(&mut self) {
        for (_, state) in std::mem::take(&mut self.open) {
            self.release(state);
        }
    }
}

impl Approved {
    fn allows(&self, address: SocketAddr, usage: SocketAddrUse) -> bool {
        match usage {
            // Port 0 of no address is what wasmtime asks for before the kernel picks a source by itself.
            SocketAddrUse::TcpBind => {
                self.own.contains_key(&address) || (address.ip().is_unspecified() && address.port() == 0)
            }
            SocketAddrUse::TcpListen => self.own.contains_key(&address),
            SocketAddrUse::TcpConnect => self.peers.contains_key(&address),
            SocketAddrUse::TcpAccept => true,
            SocketAddrUse::UdpBind | SocketAddrUse::UdpSend | SocketAddrUse::UdpReceive => false,
        }
    }
}

impl From<BindRefused> for Refused {
    fn from(refused: BindRefused) -> Self {
        match refused {
            BindRefused::Denied => Refused::Denied,
            BindRefused::InUse => Refused::InUse,
        }
    }
}

impl From<ConnectRefused> for Refused {
    fn from(refused: ConnectRefused) -> Self {
        match refused {
            ConnectRefused::Denied => Refused::Denied,
            ConnectRefused::Unreachable => Refused::Unreachable,
            ConnectRefused::Refused => Refused::Connection,
        }
    }
}

fn view(guest: &mut Guest) -> WasiSocketsCtxView<'_> {
    WasiSocketsView::sockets(guest)
}

/// A name that needs no resolver.
fn literal(name: &str) -> Option<IpAddr> {
    match name {
        "localhost" => Some(Ipv4Addr::LOCALHOST.into()),
        name => name.parse().ok(),
    }
}

fn is_localhost(ip: IpAddr) -> bool {
    ip == IpAddr::V4(Ipv4Addr::LOCALHOST) || (ip.is_ipv6() && ip.is_loopback())
}

/// An IPv4 address on a socket that the guest believes to be IPv6.
fn shown(address: SocketAddr, v6: bool) -> SocketAddr {
    match address.ip() {
        IpAddr::V4(ip) if v6 => SocketAddr::new(ip.to_ipv6_mapped().into(), address.port()),
        _ => address,
    }
}

fn release(counts: &mut HashMap<SocketAddr, u32>, address: SocketAddr) {
    if let Some(count) = counts.get_mut(&address) {
        *count -= 1;
        if *count == 0 {
            counts.remove(&address);
        }
    }
}

#[cfg(test)]
mod tests;
