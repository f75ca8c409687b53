//! The shadowed functions of WASI 0.2.

use super::{Refused, literal, view};
use crate::guest::Guest;
use std::net::SocketAddr;
use wasmtime::component::{Linker, Resource, ResourceType};
use wasmtime_wasi::p2::bindings::sockets::network::{ErrorCode, IpAddressFamily, IpSocketAddress, Network};
use wasmtime_wasi::p2::bindings::sockets::tcp::HostTcpSocket;
use wasmtime_wasi::p2::bindings::sockets::{ip_name_lookup, tcp_create_socket};
use wasmtime_wasi::p2::{DynInputStream, DynOutputStream, SocketError, SocketResult, TcpSocket};

/// A host function's result: the guest's, or a trap.
type Answer<T> = wasmtime::Result<(Result<T, ErrorCode>,)>;

pub(super) fn shadow(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    shadow_tcp(linker)?;
    shadow_addresses(linker)?;
    let mut create = linker.instance("wasi:sockets/tcp-create-socket@0.2.12")?;
    create.func_wrap("create-tcp-socket", |mut store, (family,): (IpAddressFamily,)| {
        answer(create_socket(store.data_mut(), family))
    })?;
    let mut names = linker.instance("wasi:sockets/ip-name-lookup@0.2.12")?;
    names.func_wrap_async("resolve-addresses", |mut store, (network, name): (Resource<Network>, String)| {
        Box::new(async move { answer(resolve(store.data_mut(), network, name).await) })
    })
}

fn shadow_tcp(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    type Target = (Resource<TcpSocket>, Resource<Network>, IpSocketAddress);
    let mut tcp = linker.instance("wasi:sockets/tcp@0.2.12")?;
    tcp.resource("tcp-socket", ResourceType::host::<TcpSocket>(), |mut store, socket| {
        let guest = store.data_mut();
        guest.sockets.closed(socket);
        HostTcpSocket::drop(&mut view(guest), Resource::new_own(socket))
    })?;
    tcp.func_wrap_async("[method]tcp-socket.start-bind", |mut store, (this, network, address): Target| {
        Box::new(async move { answer(bind(store.data_mut(), this, network, address).await) })
    })?;
    tcp.func_wrap_async("[method]tcp-socket.start-connect", |mut store, (this, network, address): Target| {
        Box::new(async move { answer(connect(store.data_mut(), this, network, address).await) })
    })?;
    tcp.func_wrap_async("[method]tcp-socket.start-listen", |mut store, (this,): (Resource<TcpSocket>,)| {
        Box::new(async move { answer(listen(store.data_mut(), this).await) })
    })?;
    tcp.func_wrap("[method]tcp-socket.accept", |mut store, (this,): (Resource<TcpSocket>,)| {
        answer(accept(store.data_mut(), this))
    })
}

fn shadow_addresses(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    let mut tcp = linker.instance("wasi:sockets/tcp@0.2.12")?;
    tcp.func_wrap("[method]tcp-socket.local-address", |mut store, (this,): (Resource<TcpSocket>,)| {
        let (guest, socket) = (store.data_mut(), this.rep());
        let real = HostTcpSocket::local_address(&mut view(guest), this).map(SocketAddr::from);
        answer(real.map(|real| IpSocketAddress::from(guest.sockets.local_address(socket, real))))
    })?;
    tcp.func_wrap("[method]tcp-socket.remote-address", |mut store, (this,): (Resource<TcpSocket>,)| {
        let (guest, socket) = (store.data_mut(), this.rep());
        let real = HostTcpSocket::remote_address(&mut view(guest), this).map(SocketAddr::from);
        answer(real.map(|real| IpSocketAddress::from(guest.sockets.peer_address(socket, real))))
    })?;
    tcp.func_wrap("[method]tcp-socket.address-family", |mut store, (this,): (Resource<TcpSocket>,)| {
        let v6 = store.data_mut().sockets.is_v6(this.rep());
        Ok((if v6 { IpAddressFamily::Ipv6 } else { IpAddressFamily::Ipv4 },))
    })
}

fn create_socket(guest: &mut Guest, family: IpAddressFamily) -> SocketResult<Resource<TcpSocket>> {
    guest.sockets.check_room().map_err(code)?;
    let socket = tcp_create_socket::Host::create_tcp_socket(&mut view(guest), IpAddressFamily::Ipv4)?;
    guest.sockets.created(socket.rep(), matches!(family, IpAddressFamily::Ipv6));
    Ok(socket)
}

type Accepted = (Resource<TcpSocket>, Resource<DynInputStream>, Resource<DynOutputStream>);

fn accept(guest: &mut Guest, this: Resource<TcpSocket>) -> SocketResult<Accepted> {
    guest.sockets.check_room().map_err(code)?;
    let listener = this.rep();
    let accepted = HostTcpSocket::accept(&mut view(guest), this)?;
    guest.sockets.accepted(listener, accepted.0.rep());
    Ok(accepted)
}

async fn bind(
    guest: &mut Guest,
    this: Resource<TcpSocket>,
    network: Resource<Network>,
    address: IpSocketAddress,
) -> SocketResult<()> {
    let (socket, address) = (this.rep(), SocketAddr::from(address));
    let real = guest.sockets.bind(socket, address).map_err(code)?;
    HostTcpSocket::start_bind(&mut view(guest), this, network, real.into()).await?;
    let real = HostTcpSocket::local_address(&mut view(guest), Resource::new_borrow(socket))?;
    guest.sockets.bound(socket, address, real.into());
    Ok(())
}

async fn connect(
    guest: &mut Guest,
    this: Resource<TcpSocket>,
    network: Resource<Network>,
    address: IpSocketAddress,
) -> SocketResult<()> {
    let (socket, address) = (this.rep(), SocketAddr::from(address));
    let target = guest.sockets.dialled(socket, address).map_err(code)?;
    let real = guest.sockets.network.clone().connect(target).await.map_err(|refused| code(refused.into()))?;
    if let Some(source) = guest.sockets.connecting(socket, address, real) {
        let (own, access) = (Resource::new_borrow(socket), Resource::new_borrow(network.rep()));
        HostTcpSocket::start_bind(&mut view(guest), own, access, source.into()).await?;
        HostTcpSocket::finish_bind(&mut view(guest), Resource::new_borrow(socket))?;
    }
    HostTcpSocket::start_connect(&mut view(guest), this, network, real.into())
}

async fn listen(guest: &mut Guest, this: Resource<TcpSocket>) -> SocketResult<()> {
    let socket = this.rep();
    HostTcpSocket::start_listen(&mut view(guest), this).await?;
    guest.sockets.listening(socket);
    Ok(())
}

/// wasmtime's stream of addresses cannot be built from outside, but a literal needs no resolver: one address a name.
async fn resolve(
    guest: &mut Guest,
    network: Resource<Network>,
    name: String,
) -> SocketResult<Resource<ip_name_lookup::ResolveAddressStream>> {
    let address = match literal(&name) {
        Some(address) => Some(address),
        None => guest.sockets.network.clone().resolve(&name).await.into_iter().next(),
    };
    let address = address.ok_or(ErrorCode::NameUnresolvable)?;
    ip_name_lookup::Host::resolve_addresses(&mut view(guest), network, address.to_string())
}

fn answer<T>(result: SocketResult<T>) -> Answer<T> {
    Ok((match result {
        Ok(value) => Ok(value),
        Err(error) => Err(SocketError::downcast(error)?),
    },))
}

fn code(refused: Refused) -> ErrorCode {
    match refused {
        Refused::InvalidArgument => ErrorCode::InvalidArgument,
        Refused::TooMany => ErrorCode::NewSocketLimit,
        Refused::NotBindable => ErrorCode::AddressNotBindable,
        Refused::InUse => ErrorCode::AddressInUse,
        Refused::Denied => ErrorCode::AccessDenied,
        Refused::Unreachable => ErrorCode::RemoteUnreachable,
        Refused::Connection => ErrorCode::ConnectionRefused,
    }
}
