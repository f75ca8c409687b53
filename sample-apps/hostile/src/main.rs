//! Misbehaves in the way that its first argument names. None of these may hurt the node or another pod.

use std::hint::black_box;
use std::thread;
use std::time::Duration;

fn main() {
    let way = std::env::args().nth(1).unwrap_or_default();
    println!("about to {way}");
    match way.as_str() {
        "spin" => spin(),
        "memory" => fill_memory(),
        "flood" => flood_log(),
        "crash" => read_past_the_end(&[1, 2, 3]),
        "recurse" => println!("{}", recurse(black_box(1))),
        "sleep" => thread::sleep(Duration::from_secs(1_000_000)),
        "exit" => std::process::exit(7),
        _ => println!("ways: spin, memory, flood, crash, recurse, sleep, exit"),
    }
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

fn flood_log() {
    for line in 0u64.. {
        println!("line {line} of a flood that does not end by itself");
    }
}

#[inline(never)]
fn read_past_the_end(numbers: &[usize]) {
    let index = black_box(numbers.len());
    println!("{}", numbers[index]);
}

#[inline(never)]
#[expect(unconditional_recursion, reason = "that is what this guest is for")]
fn recurse(depth: u64) -> u64 {
    let frame = black_box([depth; 32]);
    recurse(depth + 1) + black_box(frame[7])
}
