//! Does what its first argument says. Built for wasip1 and wasip2.

use std::hint::black_box;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, ToSocketAddrs, UdpSocket};
use std::time::Duration;

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let rest: Vec<&str> = args[1..].iter().map(String::as_str).collect();
    match rest[..] {
        ["exit", code] => std::process::exit(code.parse().unwrap()),
        ["show"] => show(&args),
        ["read", path] => println!("{:?}", std::fs::read_to_string(path).map_err(|error| error.kind())),
        ["write", path, text] => println!("{:?}", std::fs::write(path, text).map_err(|error| error.kind())),
        ["stdin"] => println!("{:?}", std::io::stdin().read_to_end(&mut Vec::new())),
        ["cat"] => cat(),
        ["output"] => output(),
        ["flood"] => (0u64..).for_each(|line| println!("line {line}")),
        ["lines", count] => (0..count.parse().unwrap()).for_each(|line: u64| println!("line {line}")),
        ["spin"] => spin(),
        ["sleep"] => std::thread::sleep(Duration::from_secs(1_000_000)),
        ["memory"] => fill_memory(),
        ["panic"] => innermost_function(),
        ["recurse"] => println!("{}", recurse(black_box(1))),
        ["serve", address] => serve(address),
        ["dial", address] => dial(address),
        ["resolve", name] => println!("{:?}", (name, 80).to_socket_addrs().map(Iterator::collect::<Vec<_>>)),
        ["sockets"] => sockets(),
        ["files", path] => files(path),
        ["udp"] => println!("{:?}", UdpSocket::bind("0.0.0.0:0").map_err(|error| error.kind())),
        _ => panic!("no such mode: {rest:?}"),
    }
}

fn show(args: &[String]) {
    println!("args {args:?}");
    std::env::vars().for_each(|(name, value)| println!("env {name}={value}"));
}

/// Gives back what it reads as soon as it has it.
fn cat() {
    let mut buffer = [0; 4096];
    loop {
        match std::io::stdin().read(&mut buffer).unwrap() {
            0 => return eprintln!("end"),
            read => std::io::stdout().write_all(&buffer[..read]).and_then(|()| std::io::stdout().flush()).unwrap(),
        }
    }
}

fn output() {
    println!("one");
    eprintln!("two");
    print!("no newline");
    std::io::stdout().flush().unwrap();
}

fn spin() {
    let mut number = 1u64;
    loop {
        number = black_box(number.wrapping_mul(6364136223846793005).wrapping_add(1));
    }
}

fn fill_memory() {
    let mut blocks = Vec::new();
    loop {
        blocks.push(black_box(vec![1u8; 1 << 20]));
    }
}

#[inline(never)]
fn innermost_function() {
    panic!("boom");
}

#[inline(never)]
#[expect(unconditional_recursion)]
fn recurse(depth: u64) -> u64 {
    let frame = black_box([depth; 32]);
    recurse(depth + 1) + black_box(frame[7])
}

/// Answers every connection with who the peer is, and who we are.
fn serve(address: &str) {
    let listener = TcpListener::bind(address).unwrap();
    println!("listening {}", listener.local_addr().unwrap());
    for stream in listener.incoming() {
        let mut stream = stream.unwrap();
        let (peer, local) = (stream.peer_addr().unwrap(), stream.local_addr().unwrap());
        writeln!(stream, "peer {} local {local}", peer.ip()).unwrap();
    }
}

/// As many as there may be.
fn sockets() {
    let mut open = Vec::new();
    loop {
        match TcpListener::bind("0.0.0.0:0") {
            Ok(listener) => open.push(listener),
            Err(_) => return println!("{}", open.len()),
        }
    }
}

fn files(path: &str) {
    let mut open = Vec::new();
    while let Ok(file) = std::fs::File::open(path) {
        open.push(file);
    }
    println!("{}", open.len());
}

fn dial(address: &str) {
    match TcpStream::connect(address) {
        Err(error) => println!("refused {:?}", error.kind()),
        Ok(mut stream) => {
            println!("connected to {} from {}", stream.peer_addr().unwrap(), stream.local_addr().unwrap().ip());
            let mut text = String::new();
            stream.read_to_string(&mut text).unwrap();
            print!("{text}");
        }
    }
}
