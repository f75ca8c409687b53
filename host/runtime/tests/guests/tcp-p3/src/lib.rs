//! wasi:cli 0.3: looks up `backend`, then serves TCP on port 8080 and says who the peer is.

use wasip3::sockets::ip_name_lookup::resolve_addresses;
use wasip3::sockets::types::{IpAddressFamily, IpSocketAddress, Ipv4SocketAddress, TcpSocket};
use wasip3::{wit_bindgen, wit_stream};

wasip3::cli::command::export!(Guest);

struct Guest;

impl wasip3::exports::cli::run::Guest for Guest {
    async fn run() -> Result<(), ()> {
        say(format!("backend {:?}\n", resolve_addresses("backend".into()).await)).await;
        let socket = TcpSocket::create(IpAddressFamily::Ipv4).map_err(|_| ())?;
        let any = IpSocketAddress::Ipv4(Ipv4SocketAddress { port: 8080, address: (0, 0, 0, 0) });
        socket.bind(any).map_err(|_| ())?;
        let mut connections = socket.listen().map_err(|_| ())?;
        say(format!("listening {:?}\n", socket.get_local_address())).await;
        while let Some(connection) = connections.next().await {
            wit_bindgen::spawn_local(async move {
                let (mut writer, reader) = wit_stream::new();
                let _sent = connection.send(reader);
                let text = format!("peer {:?}\n", connection.get_remote_address());
                writer.write_all(text.into_bytes()).await;
            });
        }
        Ok(())
    }
}

async fn say(text: String) {
    let (mut writer, reader) = wit_stream::new();
    let written = wasip3::cli::stdout::write_via_stream(reader);
    writer.write_all(text.into_bytes()).await;
    drop(writer);
    let _ = written.await;
}
