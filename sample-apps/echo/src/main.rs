//! A TCP server as one writes it natively: `std::net`, here on `0.0.0.0:$PORT` (7000). Each line comes back with the
//! name of the pod before it.
//!
//! WASI 0.2 has no threads, so the connections share one: while there is none the program sleeps in `accept`, and
//! while there are some it asks each in turn, pausing a little longer each time that nothing came.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;
use std::{env, thread};

const PAUSE_MAX: Duration = Duration::from_millis(10);
const LINE_BYTES_MAX: usize = 64 * 1024;

struct Connection {
    stream: TcpStream,
    /// What was read and is not yet a whole line.
    line: Vec<u8>,
    /// What is still to be written.
    reply: Vec<u8>,
    is_closing: bool,
}

fn main() -> io::Result<()> {
    let port = env::var("PORT").unwrap_or_else(|_| "7000".to_owned());
    let pod = env::var("POD_NAME").or_else(|_| env::var("HOSTNAME")).unwrap_or_else(|_| "echo".to_owned());
    let listener = TcpListener::bind(format!("0.0.0.0:{port}"))?;
    println!("{pod} listens on {}", listener.local_addr()?);
    let mut connections: Vec<Connection> = Vec::new();
    let mut pause = Duration::ZERO;
    loop {
        let mut is_busy = accept(&listener, &mut connections)?;
        connections.retain_mut(|connection| match connection.step(&pod) {
            Ok(moved) => {
                is_busy |= moved;
                true
            }
            Err(_) => false,
        });
        pause = if is_busy { Duration::ZERO } else { (pause + Duration::from_millis(1)).min(PAUSE_MAX) };
        if !pause.is_zero() && !connections.is_empty() {
            thread::sleep(pause);
        }
    }
}

/// Takes a new connection if there is one; waits for one only when there is nothing else to do.
fn accept(listener: &TcpListener, connections: &mut Vec<Connection>) -> io::Result<bool> {
    listener.set_nonblocking(!connections.is_empty())?;
    match listener.accept() {
        Ok((stream, peer)) => {
            println!("connection from {peer}");
            stream.set_nonblocking(true)?;
            connections.push(Connection { stream, line: Vec::new(), reply: Vec::new(), is_closing: false });
            Ok(true)
        }
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(false),
        Err(error) => Err(error),
    }
}

impl Connection {
    /// Reads and writes what can be done at once. `Err` means the connection is over.
    fn step(&mut self, pod: &str) -> io::Result<bool> {
        let mut buffer = [0; 4096];
        let mut moved = false;
        match self.stream.read(&mut buffer) {
            Ok(0) => self.is_closing = true,
            Ok(count) => {
                self.line.extend_from_slice(&buffer[..count]);
                self.answer_lines(pod);
                moved = true;
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
        while !self.reply.is_empty() {
            match self.stream.write(&self.reply) {
                Ok(count) => drop(self.reply.drain(..count)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
            moved = true;
        }
        if self.is_closing && self.reply.is_empty() { Err(ErrorKind::UnexpectedEof.into()) } else { Ok(moved) }
    }

    fn answer_lines(&mut self, pod: &str) {
        while let Some(end) = self.line.iter().position(|byte| *byte == b'\n').or(self.overlong()) {
            let line: Vec<u8> = self.line.drain(..=end).collect();
            self.reply.extend_from_slice(format!("{pod}: ").as_bytes());
            self.reply.extend_from_slice(&line);
        }
    }

    fn overlong(&self) -> Option<usize> {
        (self.line.len() >= LINE_BYTES_MAX).then(|| self.line.len() - 1)
    }
}
