//! One suite for every backend: what [`wasmk_store::Store`] promises.

use std::sync::Arc;
use std::time::Duration;

use crate::support::{Backend, delete, key, names, put, within};
use futures::StreamExt;
use serde_json::json;
use wasmk_api::{ChangeKind, Op, Precondition, Transaction};
use wasmk_store::{CommitError, Scope, Store, WatchError};

macro_rules! conformance {
    ($($test:ident)*) => {
        mod memory { $(#[tokio::test(flavor = "multi_thread")] async fn $test() { super::$test(crate::support::Memory).await })* }
        mod embedded { $(#[tokio::test(flavor = "multi_thread")] async fn $test() { super::$test(crate::support::Embedded::new()).await })* }
    };
}

conformance! {
    a_commit_is_seen_at_once_and_has_the_next_revision
    a_transaction_is_whole_or_nothing
    preconditions_hold_or_conflict
    a_transaction_that_only_checks_takes_no_revision
    a_snapshot_does_not_change
    concurrent_commits_get_distinct_revisions_in_order
    of_concurrent_creations_exactly_one_succeeds
    a_watch_yields_what_came_after_its_revision
    a_watch_sees_only_its_scope
    a_watch_gets_one_batch_a_transaction
    a_watch_is_not_woken_by_other_resources
    a_dropped_next_loses_nothing
    progress_moves_on_without_changes_in_scope
    progress_does_not_pass_what_is_not_given_out
    an_old_revision_is_compacted
    a_future_revision_is_refused
    a_slow_watch_is_told_that_it_missed_something
    a_busy_resource_does_not_push_out_the_history_of_another
    the_past_can_be_listed
    a_closed_store_ends_watches_and_refuses_writes
    what_is_acknowledged_is_told_to_watches
}

async fn a_commit_is_seen_at_once_and_has_the_next_revision(backend: impl Backend) {
    let store = backend.open();
    let first = store.commit(put("pods", "a", 1)).await.unwrap();
    assert_eq!(first.revision, 1);
    assert_eq!(store.snapshot().revision(), 1);
    let second = store.commit(put("pods", "a", 2)).await.unwrap();
    assert_eq!((second.revision, second.changes[0].kind), (2, ChangeKind::Modified));
    let snapshot = store.snapshot();
    let object = snapshot.get(&key("pods", "a")).unwrap();
    assert_eq!(object.value()["spec"]["number"], 2);
    assert_eq!(object.value()["metadata"]["resourceVersion"], "2");
}

async fn a_transaction_is_whole_or_nothing(backend: impl Backend) {
    let store = backend.open();
    store.commit(put("pods", "a", 1)).await.unwrap();
    let mut both = put("pods", "b", 1);
    both.ops.push(Op::Delete { key: key("pods", "a"), precondition: Precondition::Revision(99) });
    let error = store.commit(both).await.unwrap_err();
    assert!(matches!(error, CommitError::Conflict(conflict) if conflict.key == key("pods", "a")));
    assert_eq!(names(&store.snapshot(), "pods"), ["a"]);
    assert_eq!(store.snapshot().revision(), 1);
}

async fn preconditions_hold_or_conflict(backend: impl Backend) {
    let store = backend.open();
    store.commit(put("pods", "there", 1)).await.unwrap();
    let cases = [
        ("there", Precondition::Any, true),
        ("there", Precondition::Absent, false),
        ("there", Precondition::Present, true),
        ("there", Precondition::Revision(1), true),
        ("there", Precondition::Revision(2), false),
        ("missing", Precondition::Any, true),
        ("missing", Precondition::Absent, true),
        ("missing", Precondition::Present, false),
        ("missing", Precondition::Revision(1), false),
    ];
    for (name, precondition, holds) in cases {
        let check = Transaction { ops: vec![Op::Check { key: key("pods", name), precondition }] };
        assert_eq!(store.commit(check).await.is_ok(), holds, "{name} {precondition:?}");
    }
}

async fn a_transaction_that_only_checks_takes_no_revision(backend: impl Backend) {
    let store = backend.open();
    store.commit(put("pods", "a", 1)).await.unwrap();
    let check = Op::Check { key: key("pods", "a"), precondition: Precondition::Present };
    let committed = store.commit(Transaction { ops: vec![check] }).await.unwrap();
    assert_eq!((committed.revision, committed.changes.len()), (1, 0));
    let missing = store.commit(delete("pods", "missing")).await.unwrap();
    assert_eq!((missing.revision, missing.changes.len()), (1, 0));
}

async fn a_snapshot_does_not_change(backend: impl Backend) {
    let store = backend.open();
    store.commit(put("pods", "a", 1)).await.unwrap();
    let before = store.snapshot();
    store.commit(put("pods", "b", 1)).await.unwrap();
    store.commit(delete("pods", "a")).await.unwrap();
    assert_eq!(names(&before, "pods"), ["a"]);
    assert_eq!(names(&store.snapshot(), "pods"), ["b"]);
}

async fn concurrent_commits_get_distinct_revisions_in_order(backend: impl Backend) {
    const CLIENTS: u64 = 16;
    const EACH: u64 = 20;
    let store = backend.open();
    let clients = (0..CLIENTS).map(|client| {
        let store = store.clone();
        tokio::spawn(async move {
            let mut revisions = Vec::new();
            for number in 0..EACH {
                let committed = store.commit(put("pods", &format!("p{client}"), number)).await.unwrap();
                revisions.push(committed.revision);
            }
            assert!(revisions.is_sorted(), "a client's own commits keep their order");
            revisions
        })
    });
    let mut all: Vec<u64> = futures::future::join_all(clients).await.into_iter().flat_map(Result::unwrap).collect();
    all.sort();
    assert_eq!(all, (1..=CLIENTS * EACH).collect::<Vec<_>>());
}

async fn of_concurrent_creations_exactly_one_succeeds(backend: impl Backend) {
    let store = backend.open();
    let create = || {
        let mut transaction = put("pods", "only", 1);
        let Op::Put { precondition, .. } = &mut transaction.ops[0] else { unreachable!() };
        *precondition = Precondition::Absent;
        store.commit(transaction)
    };
    let results = futures::future::join_all((0..32).map(|_| create())).await;
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1);
}

async fn a_watch_yields_what_came_after_its_revision(backend: impl Backend) {
    let store = backend.open();
    store.commit(put("pods", "before", 1)).await.unwrap();
    let mut watch = store.watch(1, Scope::all("pods")).unwrap();
    assert!(matches!(watch.try_next(), Some(Ok(None))));
    store.commit(put("pods", "after", 1)).await.unwrap();
    store.commit(delete("pods", "before")).await.unwrap();

    let added = within(watch.next()).await.unwrap().unwrap();
    assert_eq!((added.revision, added.changes[0].kind), (2, ChangeKind::Added));
    let deleted = within(watch.next()).await.unwrap().unwrap();
    let change = &deleted.changes[0];
    assert_eq!((deleted.revision, change.kind, change.object.revision()), (3, ChangeKind::Deleted, 3));
    assert_eq!(change.previous.as_ref().unwrap().revision(), 1);

    // From further back the same watch yields the past as well.
    let again: Vec<u64> = within(store.watch(0, Scope::all("pods")).unwrap().into_stream().take(3).collect::<Vec<_>>())
        .await
        .into_iter()
        .map(|batch| batch.unwrap().revision)
        .collect();
    assert_eq!(again, [1, 2, 3]);
}

async fn a_watch_sees_only_its_scope(backend: impl Backend) {
    let store = backend.open();
    let mut namespaced = store.watch(0, Scope::all("pods").in_namespace("default")).unwrap();
    let mut named = store.watch(0, Scope::all("pods").in_namespace("default").named("b")).unwrap();
    let elsewhere = wasmk_api::Key::new("pods", "other", "b");
    let value = json!({"metadata": {"name": "b", "namespace": "other"}});
    let op = Op::Put { key: elsewhere, value, precondition: Precondition::Any };
    store.commit(Transaction { ops: vec![op] }).await.unwrap();
    store.commit(put("leases", "b", 1)).await.unwrap();
    store.commit(put("pods", "a", 1)).await.unwrap();
    store.commit(put("pods", "b", 1)).await.unwrap();
    assert_eq!(within(namespaced.next()).await.unwrap().unwrap().revision, 3);
    assert_eq!(within(namespaced.next()).await.unwrap().unwrap().revision, 4);
    assert_eq!(within(named.next()).await.unwrap().unwrap().revision, 4);
    assert!(matches!(named.try_next(), Some(Ok(None))));
}

async fn a_watch_gets_one_batch_a_transaction(backend: impl Backend) {
    let store = backend.open();
    let mut watch = store.watch(0, Scope::all("pods")).unwrap();
    let mut mixed = put("pods", "a", 1);
    mixed.ops.extend(put("leases", "l", 1).ops);
    mixed.ops.extend(put("pods", "b", 1).ops);
    store.commit(mixed).await.unwrap();
    let batch = within(watch.next()).await.unwrap().unwrap();
    let seen: Vec<&str> = batch.changes.iter().map(|change| change.object.name()).collect();
    assert_eq!(seen, ["a", "b"]);
}

async fn a_watch_is_not_woken_by_other_resources(backend: impl Backend) {
    let store = backend.open();
    let mut pods = store.revisions_of(&"pods".into());
    let mut any = store.revisions();
    pods.borrow_and_update();
    any.borrow_and_update();
    store.commit(put("leases", "l", 1)).await.unwrap();
    assert!(!pods.has_changed().unwrap());
    assert!(any.has_changed().unwrap());
    store.commit(put("pods", "a", 1)).await.unwrap();
    within(pods.changed()).await.unwrap();
    assert_eq!(*pods.borrow(), 2);
}

async fn a_dropped_next_loses_nothing(backend: impl Backend) {
    let store = backend.open();
    let mut watch = store.watch(0, Scope::all("pods")).unwrap();
    for number in 0..50 {
        // Polled once and dropped, at a moment when nothing is there.
        assert!(futures::poll!(std::pin::pin!(watch.next())).is_pending());
        store.commit(put("pods", "a", number)).await.unwrap();
        assert_eq!(within(watch.next()).await.unwrap().unwrap().revision, number + 1);
    }
}

async fn progress_moves_on_without_changes_in_scope(backend: impl Backend) {
    let store = backend.open();
    let mut watch = store.watch(0, Scope::all("pods").in_namespace("quiet")).unwrap();
    let mut never_used = store.watch(0, Scope::all("secrets")).unwrap();
    store.commit(put("leases", "l", 1)).await.unwrap();
    store.commit(put("pods", "a", 1)).await.unwrap();
    assert_eq!(watch.progress(), 2);
    assert_eq!(never_used.progress(), 2);
}

async fn progress_does_not_pass_what_is_not_given_out(backend: impl Backend) {
    let store = backend.open();
    let mut watch = store.watch(0, Scope::all("pods")).unwrap();
    store.commit(put("leases", "l", 1)).await.unwrap();
    store.commit(put("pods", "a", 1)).await.unwrap();
    store.commit(put("pods", "a", 2)).await.unwrap();
    store.commit(put("leases", "l", 2)).await.unwrap();
    assert!(watch.progress() < 2);
    within(watch.next()).await.unwrap().unwrap();
    assert_eq!(watch.progress(), 2);
    within(watch.next()).await.unwrap().unwrap();
    assert_eq!(watch.progress(), 4);
}

async fn an_old_revision_is_compacted(backend: impl Backend) {
    let store = backend.open_with_history(4);
    for number in 0..10 {
        store.commit(put("pods", "a", number)).await.unwrap();
    }
    let error = store.watch(5, Scope::all("pods")).err().unwrap();
    assert!(matches!(error, WatchError::Compacted { oldest: 6 }), "{error:?}");
    let error = store.snapshot_at(5, &"pods".into()).unwrap_err();
    assert!(matches!(error, WatchError::Compacted { oldest: 6 }), "{error:?}");
    let mut watch = store.watch(6, Scope::all("pods")).unwrap();
    assert_eq!(within(watch.next()).await.unwrap().unwrap().revision, 7);
}

async fn a_future_revision_is_refused(backend: impl Backend) {
    let store = backend.open();
    store.commit(put("pods", "a", 1)).await.unwrap();
    assert!(matches!(store.watch(2, Scope::all("pods")).err(), Some(WatchError::Future { current: 1 })));
    assert!(matches!(store.snapshot_at(2, &"pods".into()), Err(WatchError::Future { current: 1 })));
}

async fn a_slow_watch_is_told_that_it_missed_something(backend: impl Backend) {
    let store = backend.open_with_history(4);
    let mut watch = store.watch(0, Scope::all("pods")).unwrap();
    for number in 0..10 {
        store.commit(put("pods", "a", number)).await.unwrap();
    }
    let error = within(watch.next()).await.unwrap().unwrap_err();
    assert!(matches!(error, WatchError::Compacted { oldest: 6 }), "{error:?}");
    assert!(within(watch.next()).await.is_none(), "nothing comes after a failure");
}

async fn a_busy_resource_does_not_push_out_the_history_of_another(backend: impl Backend) {
    let store = backend.open_with_history(4);
    store.commit(put("pods", "a", 1)).await.unwrap();
    for number in 0..20 {
        store.commit(put("leases", "l", number)).await.unwrap();
    }
    let mut watch = store.watch(0, Scope::all("pods")).unwrap();
    assert_eq!(within(watch.next()).await.unwrap().unwrap().revision, 1);
}

async fn the_past_can_be_listed(backend: impl Backend) {
    let store = backend.open();
    let past = [
        store.snapshot(),
        store.commit(put("pods", "a", 1)).await.map(|_| store.snapshot()).unwrap(),
        store.commit(put("pods", "b", 1)).await.map(|_| store.snapshot()).unwrap(),
        store.commit(put("pods", "a", 2)).await.map(|_| store.snapshot()).unwrap(),
        store.commit(delete("pods", "b")).await.map(|_| store.snapshot()).unwrap(),
    ];
    for expected in past {
        let found = store.snapshot_at(expected.revision(), &"pods".into()).unwrap();
        let versions = |snapshot: &wasmk_api::Snapshot| {
            snapshot.iter().map(|object| (object.key().clone(), object.revision())).collect::<Vec<_>>()
        };
        assert_eq!(found.revision(), expected.revision());
        assert_eq!(versions(&found), versions(&expected));
    }
}

async fn a_closed_store_ends_watches_and_refuses_writes(backend: impl Backend) {
    let store = backend.open();
    store.commit(put("pods", "a", 1)).await.unwrap();
    let mut watch = store.watch(1, Scope::all("pods")).unwrap();
    let mut revisions = store.revisions();
    let waiting = tokio::spawn(async move { watch.next().await.is_none() });
    store.close().await;
    store.close().await;
    assert!(within(waiting).await.unwrap());
    assert!(within(revisions.changed()).await.is_err());
    assert!(matches!(store.commit(put("pods", "b", 1)).await, Err(CommitError::Closed)));
    assert!(matches!(store.watch(1, Scope::all("pods")).err(), Some(WatchError::Closed)));
    assert_eq!(names(&store.snapshot(), "pods"), ["a"]);
}

/// Many writers, many watchers, each watcher slower or faster: each sees each revision once and in order.
async fn what_is_acknowledged_is_told_to_watches(backend: impl Backend) {
    const WRITERS: u64 = 8;
    const EACH: u64 = 25;
    let store = backend.open();
    let readers = (0..10).map(|_| {
        let mut watch = store.watch(0, Scope::all("pods")).unwrap();
        tokio::spawn(async move {
            for expected in 1..=WRITERS * EACH {
                assert_eq!(watch.next().await.unwrap().unwrap().revision, expected);
            }
        })
    });
    let readers: Vec<_> = readers.collect();
    let writers = (0..WRITERS).map(|writer| {
        let store: Arc<dyn Store> = store.clone();
        tokio::spawn(async move {
            for number in 0..EACH {
                let name = format!("p{writer}");
                let committed = store.commit(put("pods", &name, number)).await.unwrap();
                assert!(store.snapshot().revision() >= committed.revision);
            }
        })
    });
    futures::future::join_all(writers).await.into_iter().for_each(Result::unwrap);
    let all = futures::future::join_all(readers);
    let all = tokio::time::timeout(Duration::from_secs(20), all).await.expect("every reader sees everything");
    all.into_iter().for_each(Result::unwrap);
}
