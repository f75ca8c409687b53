//! A TCP service on `std::net`: each line comes back in capitals. Every replica has an address of its own, so all of them
//! listen on the same port.
//!
//! WASI 0.2 has no threads: connections are served one after another. Where many are open at once, make the sockets
//! non-blocking and ask each in turn, or use an async library such as wstd.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};

fn main() -> std::io::Result<()> {
    let listener = TcpListener::bind("0.0.0.0:7000")?;
    println!("listening on {}", listener.local_addr()?);
    loop {
        let (stream, peer) = listener.accept()?;
        match serve(&stream) {
            Ok(lines) => println!("{peer}: {lines} lines"),
            Err(error) => eprintln!("{peer}: {error}"),
        }
    }
}

fn serve(mut stream: &TcpStream) -> std::io::Result<usize> {
    let mut count = 0;
    for line in BufReader::new(stream).lines() {
        stream.write_all(line?.to_uppercase().as_bytes())?;
        stream.write_all(b"\n")?;
        count += 1;
    }
    Ok(count)
}
