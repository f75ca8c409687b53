use std::time::{Duration, SystemTime};

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};

use super::*;

const START: SystemTime = SystemTime::UNIX_EPOCH;

struct Fixture {
    logs: Logs,
    uid: PodUid,
    _dir: tempfile::TempDir,
}

impl Fixture {
    fn new(config: LogConfig) -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self { logs: Logs::new(dir.path().join("logs"), config), uid: PodUid("u1".into()), _dir: dir }
    }

    fn owner(&self) -> LogOwner<'_> {
        LogOwner { namespace: "default", name: "web", uid: &self.uid }
    }

    /// One whole run that writes `lines`, a second apart.
    async fn run(&self, restart: u32, lines: impl IntoIterator<Item = &str>) {
        let (sink, live) = self.logs.start(self.owner(), "c", restart).unwrap();
        let sender = sink.channel();
        for (index, text) in lines.into_iter().enumerate() {
            sender.send(line(index as u64, text)).await.unwrap();
        }
        drop(sender);
        live.ended().await;
    }

    async fn read(&self, options: LogOptions) -> String {
        let stream = self.logs.read(self.owner(), "c", options).unwrap();
        let chunks: Vec<Bytes> = stream.try_collect().await.unwrap();
        String::from_utf8(chunks.concat()).unwrap()
    }
}

fn line(second: u64, text: &str) -> LogLine {
    let stream = if text.starts_with('!') { Stream::Stderr } else { Stream::Stdout };
    let (partial, text) = text.strip_suffix('~').map_or((false, text), |text| (true, text));
    LogLine {
        time: START + Duration::from_secs(second),
        stream,
        partial,
        data: Bytes::copy_from_slice(text.as_bytes()),
    }
}

#[tokio::test]
async fn options_choose_what_is_read() {
    let fixture = Fixture::new(LogConfig::default());
    fixture.run(0, ["a", "!b", "c1~", "c2", "d"]).await;
    let read = |options| fixture.read(options);
    let all = LogOptions::default;
    assert_eq!(read(all()).await, "a\n!b\nc1c2\nd\n");
    assert_eq!(read(LogOptions { tail_lines: Some(1), ..all() }).await, "d\n");
    assert_eq!(read(LogOptions { tail_lines: Some(0), ..all() }).await, "");
    assert_eq!(read(LogOptions { tail_lines: Some(99), ..all() }).await, "a\n!b\nc1c2\nd\n");
    assert_eq!(read(LogOptions { stream: Some(Stream::Stderr), ..all() }).await, "!b\n");
    assert_eq!(read(LogOptions { limit_bytes: Some(3), ..all() }).await, "a\n!");
    assert_eq!(read(LogOptions { since: Some(Timestamp::from_second(3).unwrap()), ..all() }).await, "c2\nd\n");
    let times = read(LogOptions { timestamps: true, tail_lines: Some(1), ..all() }).await;
    assert_eq!(times, "1970-01-01T00:00:04.000000000Z d\n");
}

use jiff::Timestamp;

#[tokio::test]
async fn rotation_keeps_the_newest_files_and_their_order() {
    let fixture = Fixture::new(LogConfig { file_bytes_max: 120, files_max: 3 });
    let (sink, live) = fixture.logs.start(fixture.owner(), "c", 0).unwrap();
    let sender = sink.channel();
    let mut written = live.subscribe();
    for number in 0..20 {
        let before = written.borrow_and_update().batches;
        sender.send(line(number, &format!("line {number}"))).await.unwrap();
        written.wait_for(|state| state.batches > before).await.unwrap();
    }
    drop(sender);
    live.ended().await;
    assert_eq!(runs(&fixture.logs.container_dir(fixture.owner(), "c")).count(), 3);
    let text = fixture.read(LogOptions::default()).await;
    let last: Vec<_> = text.lines().collect();
    assert!(last.ends_with(&["line 18", "line 19"]) && last.len() < 20, "{text}");
    assert!(last.windows(2).all(|pair| number(pair[0]) + 1 == number(pair[1])), "{text}");
    assert_eq!(fixture.read(LogOptions { tail_lines: Some(4), ..LogOptions::default() }).await.lines().count(), 4);
}

fn number(line: &str) -> u32 {
    line.rsplit(' ').next().unwrap().parse().unwrap()
}

#[tokio::test]
async fn a_follower_sees_each_line_once_through_rotations_and_ends_with_the_container() {
    let fixture = Fixture::new(LogConfig { file_bytes_max: 100, files_max: 50 });
    let (sink, _live) = fixture.logs.start(fixture.owner(), "c", 0).unwrap();
    let sender = sink.channel();
    let options = LogOptions { follow: true, ..LogOptions::default() };
    let mut follower = fixture.logs.read(fixture.owner(), "c", options).unwrap();
    let mut seen = String::new();
    for number in 0..30 {
        sender.send(line(number, &format!("line {number}"))).await.unwrap();
        while !seen.contains(&format!("line {number}\n")) {
            seen.push_str(std::str::from_utf8(&follower.next().await.unwrap().unwrap()).unwrap());
        }
    }
    drop(sender);
    assert!(follower.next().await.is_none());
    assert_eq!(seen, (0..30).map(|number| format!("line {number}\n")).collect::<String>());
}

#[tokio::test]
async fn the_previous_run_can_be_read_and_older_ones_are_gone() {
    let fixture = Fixture::new(LogConfig::default());
    let previous = LogOptions { previous: true, ..LogOptions::default() };
    assert!(matches!(fixture.logs.read(fixture.owner(), "c", previous.clone()), Err(LogError::Waiting(_))));
    fixture.run(0, ["first"]).await;
    assert!(matches!(fixture.logs.read(fixture.owner(), "c", previous.clone()), Err(LogError::NotFound(_))));
    fixture.run(1, ["second"]).await;
    fixture.run(2, ["third"]).await;
    assert_eq!(fixture.read(previous).await, "second\n");
    assert_eq!(runs(&fixture.logs.container_dir(fixture.owner(), "c")).count(), 2);
}

#[tokio::test]
async fn the_termination_message_is_the_end_of_the_output() {
    let fixture = Fixture::new(LogConfig::default());
    let long = "x".repeat(3000);
    fixture.run(0, ["early", &long, "!thread 'main' panicked"]).await;
    let text = fixture.logs.tail(fixture.owner(), "c", 0, 2048);
    assert_eq!(text.len(), 2048);
    assert!(text.ends_with("x\n!thread 'main' panicked"), "{text}");
    fixture.logs.remove_orphans(|uid| uid != &fixture.uid);
    assert_eq!(fixture.logs.tail(fixture.owner(), "c", 0, 2048), "");
}
