use crate::support::*;
use std::time::{Duration, Instant};
use wasmk_runtime::*;

const MIB: u64 = 1 << 20;

#[tokio::test]
async fn a_spinning_guest_dies_when_killed() {
    let guest = start(&command_p2(), &["spin"], |_| ()).await;
    eventually("the guest spins", || guest.container.usage().cpu_time > Duration::from_millis(20)).await;
    guest.killed().await;
    assert_eq!(guest.container.usage().memory_bytes, 0);
}

#[tokio::test]
async fn a_guest_that_waits_for_the_host_dies_when_killed() {
    let guest = start(&command_p2(), &["sleep"], |_| ()).await;
    eventually("the guest runs", || guest.container.usage().memory_bytes > 0).await;
    guest.killed().await;
}

#[tokio::test]
async fn a_container_dies_with_its_last_handle() {
    let mut guest = start(&command_p2(), &["spin"], |_| ()).await;
    drop(guest.container);
    assert!(tokio::time::timeout(DEADLINE, guest.logs.recv()).await.expect("the guest ends").is_none());
}

#[tokio::test]
async fn spinning_guests_leave_their_neighbours_responsive() {
    let runtime = runtime();
    let mut spinners = Vec::new();
    for _ in 0..4 {
        spinners.push(start_on(&runtime, &command_p2(), &["spin"], |_| ()).await);
    }
    let neighbour = start_on(&runtime, &http_p2(), &[], |_| ()).await;
    for spinner in &spinners {
        eventually("all spin", || spinner.container.usage().cpu_time > Duration::from_millis(5)).await;
    }
    let mut times = Vec::new();
    for _ in 0..20 {
        let start = Instant::now();
        neighbour.call("/").await.unwrap();
        times.push(start.elapsed());
    }
    times.sort();
    // Without epochs it would be never; 2 ms is usual, the rest is for busy machines.
    assert!(times[10] < Duration::from_millis(250), "{times:?}");
}

#[tokio::test]
async fn a_cpu_quota_holds() {
    let guest = start(&command_p2(), &["spin"], |spec| spec.cpu_millis_max = Some(100)).await;
    let start = Instant::now();
    let spent = Duration::from_millis(100);
    eventually("the guest spends its quota", || guest.container.usage().cpu_time > spent).await;
    // A tenth of a CPU, less what it has in hand at the start (10 ms) and a slice or two.
    assert!(start.elapsed() > Duration::from_millis(700), "{:?}", start.elapsed());
    guest.killed().await;
}

#[tokio::test]
async fn a_memory_bomb_ends_at_its_ceiling() {
    for wasm in [command_p1(), command_p2()] {
        let ended = run(&wasm, &["memory"], |spec| spec.memory_bytes_max = Some(32 * MIB)).await;
        let ExitReason::OutOfMemory { message } = &ended.reason else { panic!("{:?}", ended.reason) };
        assert!(message.contains("the limit is 33554432 bytes"), "{message}");
        assert!(ended.stderr.contains(message), "{:?}", ended.stderr);
        assert!((16 * MIB..=32 * MIB).contains(&ended.usage.memory_bytes_peak), "{:?}", ended.usage);
    }
}

#[tokio::test]
async fn a_ceiling_too_low_to_start_is_out_of_memory() {
    for wasm in [command_p2(), http_p2()] {
        let ended = run(&wasm, &["exit", "0"], |spec| spec.memory_bytes_max = Some(65536)).await;
        assert!(matches!(ended.reason, ExitReason::OutOfMemory { .. }), "{:?}", ended.reason);
    }
}

#[tokio::test]
async fn endless_recursion_is_a_stack_overflow_in_so_many_words() {
    for wasm in [command_p1(), command_p2()] {
        let ended = run(&wasm, &["recurse"], |_| ()).await;
        let ExitReason::Trapped { message, backtrace } = &ended.reason else { panic!("{:?}", ended.reason) };
        assert!(message.starts_with("stack overflow"), "{message}");
        assert!(backtrace.iter().any(|frame| frame.contains("recurse")), "{backtrace:?}");
        assert!(backtrace.len() < 100, "a backtrace is cut: {}", backtrace.len());
    }
}

#[tokio::test]
async fn a_flood_of_output_waits_for_its_reader_and_can_be_killed() {
    let mut guest = start(&command_p2(), &["flood"], |_| ()).await;
    eventually("the log is full", || guest.logs.len() == guest.logs.max_capacity()).await;
    let before = guest.container.usage().cpu_time;
    assert_eq!(guest.line().await, "line 0");
    for _ in 0..1000 {
        guest.line().await;
    }
    assert!(guest.container.usage().memory_bytes < 4 * MIB);
    assert!(guest.container.usage().cpu_time >= before);
    guest.killed().await;
}

#[tokio::test]
async fn sockets_and_files_are_few_enough_for_the_node() {
    let network = std::sync::Arc::new(TestNetwork::new(30));
    let ended = run(&command_p2(), &["sockets"], |spec| spec.network = network).await;
    assert_eq!(ended.stdout, ["1024"]);
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("file"), "").unwrap();
    let mounts = vec![Mount { host: dir.path().to_owned(), guest: "/data".into(), read_only: true }];
    let ended = run(&command_p2(), &["files", "/data/file"], |spec| spec.mounts = mounts).await;
    assert!(matches!(ended.reason, ExitReason::Trapped { .. }), "{ended:?}");
}
