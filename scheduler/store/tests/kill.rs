//! A writer process is killed at random moments, again and again, over one file. After each death every write that
//! it acknowledged is there, and no transaction is half there.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rand::RngExt;
use serde_json::json;
use tempfile::TempDir;
use wasmk_api::{Op, Precondition, Snapshot, Transaction};
use wasmk_store::{EmbeddedStore, Store};

use crate::support::key;

const KILLS: usize = 200;
/// A writer lives this long at most: long enough for a few hundred transactions.
const LIFETIME_MS_MAX: u64 = 120;
const CLIENTS: u64 = 8;
/// Objects that every transaction of a client writes together.
const PARTS: u64 = 3;
const PATH_VARIABLE: &str = "WASMK_STORE_KILL_TEST_PATH";

/// Client → the number that it wrote last.
type Numbers = BTreeMap<u64, u64>;

#[test]
fn what_was_acknowledged_survives_kill_9() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("store");
    let mut acknowledged = Numbers::new();
    let mut writes = 0;
    for kill in 0..KILLS {
        let before = acknowledged.clone();
        run_writer_and_kill_it(&path, &mut acknowledged);
        writes += acknowledged.iter().map(|(client, number)| number - before.get(client).unwrap_or(&0)).sum::<u64>();
        let found = EmbeddedStore::open(&path).map(|store| store.snapshot()).expect("the file opens after a kill");
        // What was on its way when the writer died may be there as well: then the next writer goes on from it.
        acknowledged = check_snapshot(&found, &acknowledged, kill);
    }
    assert!(writes > KILLS as u64, "the writers did write: {writes}");
}

/// Not a test of its own: the writer's process, which ends only when it is killed.
#[test]
fn writer_process() {
    let Ok(path) = std::env::var(PATH_VARIABLE) else { return };
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let store: &dyn Store = Box::leak(Box::new(EmbeddedStore::open(path).unwrap()));
        futures::future::join_all((0..CLIENTS).map(|client| write_for_ever(store, client))).await;
    });
}

async fn write_for_ever(store: &dyn Store, client: u64) {
    let snapshot = store.snapshot();
    let mut number = snapshot.get(&key("pods", &part(client, 0))).map_or(0, |object| number_of(object.value()));
    loop {
        number += 1;
        store.commit(transaction(client, number)).await.unwrap();
        // One `write` of a whole line, so that a kill does not leave half a line that looks like another number.
        let line = format!("\nacknowledged {client} {number} .\n");
        std::io::stdout().lock().write_all(line.as_bytes()).unwrap();
    }
}

/// All parts get the same number, a marker with the number in its name comes, and the one before goes.
fn transaction(client: u64, number: u64) -> Transaction {
    let put = |name: String| {
        let value =
            json!({"metadata": {"name": name, "namespace": "default"}, "number": number, "text": "x".repeat(300)});
        Op::Put { key: key("pods", &name), value, precondition: Precondition::Any }
    };
    let mut ops: Vec<Op> = (0..PARTS).map(|index| put(part(client, index))).collect();
    ops.push(put(marker(client, number)));
    if number > 1 {
        ops.push(Op::Delete { key: key("pods", &marker(client, number - 1)), precondition: Precondition::Present });
    }
    Transaction { ops }
}

fn run_writer_and_kill_it(path: &Path, acknowledged: &mut Numbers) {
    let mut child = spawn_writer(path);
    let output = BufReader::new(child.stdout.take().unwrap());
    let deadline = Instant::now() + Duration::from_millis(rand::rng().random_range(0..LIFETIME_MS_MAX));
    let killer = std::thread::spawn(move || {
        std::thread::sleep(deadline.saturating_duration_since(Instant::now()));
        child.kill().unwrap();
        child.wait().unwrap()
    });
    for line in output.lines() {
        if let Some((client, number)) = line.ok().as_deref().and_then(parse_acknowledgement) {
            acknowledged.insert(client, number);
        }
    }
    let status = killer.join().unwrap();
    assert!(!status.success(), "the writer ended by itself");
}

fn spawn_writer(path: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["kill::writer_process", "--exact", "--nocapture"])
        .env(PATH_VARIABLE, path)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

fn parse_acknowledgement(line: &str) -> Option<(u64, u64)> {
    let mut words = line.strip_prefix("acknowledged ")?.strip_suffix(" .")?.split(' ');
    Some((words.next()?.parse().ok()?, words.next()?.parse().ok()?))
}

#[track_caller]
fn check_snapshot(snapshot: &Snapshot, acknowledged: &Numbers, kill: usize) -> Numbers {
    let mut found = Numbers::new();
    for client in 0..CLIENTS {
        let numbers: Vec<u64> = (0..PARTS)
            .map(|index| snapshot.get(&key("pods", &part(client, index))).map_or(0, |object| number_of(object.value())))
            .collect();
        let number = numbers[0];
        assert!(numbers.iter().all(|other| *other == number), "kill {kill}: client {client} is torn: {numbers:?}");
        let marked = snapshot.get(&key("pods", &marker(client, number))).is_some();
        assert_eq!(marked, number > 0, "kill {kill}: client {client} has its marker of {number}");
        let least = acknowledged.get(&client).copied().unwrap_or(0);
        assert!(number >= least, "kill {kill}: client {client} lost {least}, has {number}");
        found.insert(client, number);
    }
    let markers = snapshot.iter().filter(|object| object.name().starts_with("marker")).count();
    assert_eq!(markers, found.values().filter(|number| **number > 0).count(), "kill {kill}: no old marker is left");
    found
}

fn part(client: u64, index: u64) -> String {
    format!("part-{client}-{index}")
}

fn marker(client: u64, number: u64) -> String {
    format!("marker-{client}-{number}")
}

fn number_of(value: &serde_json::Value) -> u64 {
    value["number"].as_u64().unwrap()
}
