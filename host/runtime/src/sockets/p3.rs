//! The shadowed functions of WASI 0.3.

use super::{Refused, literal, view};
use crate::guest::Guest;
use std::net::SocketAddr;
use wasmtime::AsContextMut;
use wasmtime::component::{Access, Accessor, Linker, Resource, ResourceType};
use wasmtime_wasi::p3::bindings::sockets::ip_name_lookup;
use wasmtime_wasi::p3::bindings::sockets::types::{
    ErrorCode, HostTcpSocket, HostTcpSocketWithStore, IpAddress, IpAddressFamily, IpSocketAddress,
};
use wasmtime_wasi::p3::sockets::{SocketError, SocketResult};
use wasmtime_wasi::sockets::{TcpSocket, WasiSockets};

/// A host function's result: the guest's, or a trap.
type Answer<T> = wasmtime::Result<(Result<T, ErrorCode>,)>;
type Names = Result<Vec<IpAddress>, ip_name_lookup::ErrorCode>;

pub(super) fn shadow(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    shadow_tcp(linker)?;
    shadow_addresses(linker)?;
    let mut names = linker.instance("wasi:sockets/ip-name-lookup@0.3.0")?;
    names.func_wrap_concurrent("resolve-addresses", |accessor, (name,): (String,)| {
        Box::pin(async move { Ok((resolve(accessor, &name).await,)) })
    })
}

fn shadow_tcp(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    type Target = (Resource<TcpSocket>, IpSocketAddress);
    let mut tcp = linker.instance("wasi:sockets/types@0.3.0")?;
    tcp.resource("tcp-socket", ResourceType::host::<TcpSocket>(), |mut store, socket| {
        let guest = store.data_mut();
        guest.sockets.closed(socket);
        HostTcpSocket::drop(&mut view(guest), Resource::new_own(socket))
    })?;
    tcp.func_wrap("[static]tcp-socket.create", |mut store, (family,): (IpAddressFamily,)| {
        answer(create_socket(store.data_mut(), family))
    })?;
    tcp.func_wrap_async("[method]tcp-socket.bind", |mut store, (this, address): Target| {
        Box::new(async move { answer(bind(store.data_mut(), this, address).await) })
    })?;
    tcp.func_wrap_concurrent("[method]tcp-socket.connect", |accessor, (this, address): Target| {
        Box::pin(async move { answer(connect(accessor, this, address).await) })
    })?;
    tcp.func_wrap_async("[method]tcp-socket.listen", |mut store, (this,): (Resource<TcpSocket>,)| {
        Box::new(async move {
            let socket = this.rep();
            let access = Access::<Guest, WasiSockets>::new(store.as_context_mut(), view);
            let connections = <WasiSockets as HostTcpSocketWithStore<Guest>>::listen(access, this).await;
            if connections.is_ok() {
                store.data_mut().sockets.listening(socket);
            }
            answer(connections)
        })
    })
}

fn shadow_addresses(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    let mut tcp = linker.instance("wasi:sockets/types@0.3.0")?;
    tcp.func_wrap("[method]tcp-socket.get-local-address", |mut store, (this,): (Resource<TcpSocket>,)| {
        let (guest, socket) = (store.data_mut(), this.rep());
        let real = HostTcpSocket::get_local_address(&mut view(guest), this).map(SocketAddr::from);
        answer(real.map(|real| IpSocketAddress::from(guest.sockets.local_address(socket, real))))
    })?;
    tcp.func_wrap("[method]tcp-socket.get-remote-address", |mut store, (this,): (Resource<TcpSocket>,)| {
        let (guest, socket) = (store.data_mut(), this.rep());
        let real = HostTcpSocket::get_remote_address(&mut view(guest), this).map(SocketAddr::from);
        answer(real.map(|real| IpSocketAddress::from(guest.sockets.peer_address(socket, real))))
    })?;
    tcp.func_wrap("[method]tcp-socket.get-address-family", |mut store, (this,): (Resource<TcpSocket>,)| {
        let v6 = store.data_mut().sockets.is_v6(this.rep());
        Ok((if v6 { IpAddressFamily::Ipv6 } else { IpAddressFamily::Ipv4 },))
    })
}

fn create_socket(guest: &mut Guest, family: IpAddressFamily) -> SocketResult<Resource<TcpSocket>> {
    guest.sockets.check_room().map_err(code)?;
    let socket = HostTcpSocket::create(&mut view(guest), IpAddressFamily::Ipv4)?;
    guest.sockets.created(socket.rep(), matches!(family, IpAddressFamily::Ipv6));
    Ok(socket)
}

async fn bind(guest: &mut Guest, this: Resource<TcpSocket>, address: IpSocketAddress) -> SocketResult<()> {
    let (socket, address) = (this.rep(), SocketAddr::from(address));
    let real = guest.sockets.bind(socket, address).map_err(code)?;
    HostTcpSocket::bind(&mut view(guest), this, real.into()).await?;
    let real = HostTcpSocket::get_local_address(&mut view(guest), Resource::new_borrow(socket))?;
    guest.sockets.bound(socket, address, real.into());
    Ok(())
}

async fn connect(accessor: &Accessor<Guest>, this: Resource<TcpSocket>, address: IpSocketAddress) -> SocketResult<()> {
    let (socket, address) = (this.rep(), SocketAddr::from(address));
    let (target, network) = accessor.with(|mut access| {
        let sockets = &access.data_mut().sockets;
        (sockets.dialled(socket, address), sockets.network.clone())
    });
    let real = network.connect(target.map_err(code)?).await.map_err(|refused| code(refused.into()))?;
    accessor.with(|mut access| bind_source(access.data_mut(), socket, address, real))?;
    let accessor = accessor.with_getter::<WasiSockets>(view);
    <WasiSockets as HostTcpSocketWithStore<Guest>>::connect(&accessor, this, real.into()).await
}

/// Binding is a plain system call: its future is ready at once.
fn bind_source(guest: &mut Guest, socket: u32, address: SocketAddr, real: SocketAddr) -> SocketResult<()> {
    use futures::FutureExt;
    let Some(source) = guest.sockets.connecting(socket, address, real) else { return Ok(()) };
    let own = Resource::new_borrow(socket);
    HostTcpSocket::bind(&mut view(guest), own, source.into()).now_or_never().unwrap_or(Ok(()))
}

async fn resolve(accessor: &Accessor<Guest>, name: &str) -> Names {
    if let Some(address) = literal(name) {
        return Ok(vec![address.into()]);
    }
    let network = accessor.with(|mut access| access.data_mut().sockets.network.clone());
    let addresses = network.resolve(name).await;
    if addresses.is_empty() {
        return Err(ip_name_lookup::ErrorCode::NameUnresolvable);
    }
    Ok(addresses.into_iter().map(IpAddress::from).collect())
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
        Refused::TooMany => ErrorCode::OutOfMemory,
        Refused::NotBindable => ErrorCode::AddressNotBindable,
        Refused::InUse => ErrorCode::AddressInUse,
        Refused::Denied => ErrorCode::AccessDenied,
        Refused::Unreachable => ErrorCode::RemoteUnreachable,
        Refused::Connection => ErrorCode::ConnectionRefused,
    }
}
