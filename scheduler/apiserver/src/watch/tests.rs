use futures::StreamExt;
use serde_json::{Value, json};
use wasmk_api::{Key, Op, Precondition, Transaction, kind};
use wasmk_store::MemoryStore;

use super::*;
use crate::request::Query;
use crate::shares::Shares;

fn request(query: &str) -> WatchRequest {
    let kind = kind::by_path("", "v1", "configmaps").unwrap();
    let options = ListOptions::parse_watch(&Query::parse(query)).unwrap();
    WatchRequest {
        kind,
        namespace: "default".to_owned(),
        selection: Selection::parse(kind, &options).unwrap(),
        presenter: Presenter::json(kind),
        options,
    }
}

fn start(store: &Arc<dyn Store>, query: &str) -> WatchStream {
    let stream = WatchStream::begin(store, request(query), CancellationToken::new());
    stream.unwrap_or_else(|_| panic!("the watch begins"))
}

fn store() -> Arc<dyn Store> {
    Arc::new(MemoryStore::new())
}

async fn put(store: &dyn Store, name: &str) {
    let value = json!({"metadata": {"namespace": "default", "name": name}});
    let op = Op::Put { key: Key::new("configmaps", "default", name), value, precondition: Precondition::Any };
    store.commit(Transaction { ops: vec![op] }).await.unwrap();
}

#[tokio::test]
async fn bookmarks_come_again_and_again() {
    let store = store();
    put(&*store, "a").await;
    let mut stream = start(&store, "resourceVersion=1&allowWatchBookmarks=true");
    stream.bookmarks = Some(every(Duration::from_millis(5)));
    for _ in 0..3 {
        let bytes = stream.next().await.unwrap();
        let event: Value = serde_json::from_slice(&bytes).unwrap();
        assert_eq!(
            (&event["type"], &event["object"]["metadata"]["resourceVersion"]),
            (&json!("BOOKMARK"), &json!("1"))
        );
    }
}

#[test]
fn times_are_those_of_kubernetes() {
    assert_eq!(BOOKMARK_INTERVAL, Duration::from_secs(60));
    let seconds = |query: &str| timeout_seconds(&request(query).options);
    assert_eq!(seconds("timeoutSeconds=7"), 7);
    assert!((1800..3600).contains(&seconds("")));
    assert!((1800..3600).contains(&seconds("timeoutSeconds=0")));
    // Where Kubernetes' own arithmetic overflows.
    assert_eq!(seconds("timeoutSeconds=9223372036854775807"), 24 * 60 * 60);
}

proptest::proptest! {
    #[test]
    fn a_watch_begins_whatever_its_timeout(seconds: i64) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let _entered = runtime.enter();
        let stream = start(&store(), &format!("timeoutSeconds={seconds}"));
        proptest::prop_assert!(stream.deadline <= Instant::now() + Duration::from_secs(TIMEOUT_SECONDS_MAX));
    }
}

#[tokio::test]
async fn who_stops_reading_what_is_there_is_dropped() {
    let store = store();
    for number in 0..2000 {
        put(&*store, &format!("a-config-map-with-quite-a-long-name-{number}")).await;
    }
    let (tasks, shares) = (TaskTracker::new(), Shares::new(1));
    let share = shares.take("eve".to_owned());
    let mut body = start(&store, "").into_body(share, Duration::from_millis(20), &tasks).into_data_stream();
    assert!(body.next().await.unwrap().is_ok());
    // Ends with what it looks after: the objects and the user's share.
    tasks.close();
    tasks.wait().await;
    assert!(shares.take("eve".to_owned()).is_some());
    assert!(body.next().await.unwrap().is_err());
}

#[tokio::test]
async fn who_reads_too_slowly_must_list_again() {
    let store = store();
    for number in 0..2000 {
        put(&*store, &format!("a-config-map-with-quite-a-long-name-{number}")).await;
    }
    let mut stream = start(&store, "allowWatchBookmarks=true");
    stream.next().await.unwrap();
    stream.deadline = Instant::now();
    let event: Value = serde_json::from_slice(&stream.next().await.unwrap()).unwrap();
    assert_eq!((&event["type"], &event["object"]["reason"]), (&json!("ERROR"), &json!("Expired")));
    assert_eq!(stream.next().await, None);
}

#[tokio::test]
async fn what_waits_is_written_in_pieces() {
    let store = store();
    for number in 0..2000 {
        put(&*store, &format!("a-config-map-with-quite-a-long-name-{number}")).await;
    }
    let mut stream = start(&store, "");
    let mut events = 0;
    while events < 2000 {
        let bytes = stream.next().await.unwrap();
        assert!(bytes.len() < 2 * CHUNK_BYTES, "{}", bytes.len());
        events += bytes.iter().filter(|byte| **byte == b'\n').count();
    }
}
