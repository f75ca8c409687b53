//! What only a store in a file can get wrong.

use std::sync::Arc;

use redb::{Database, TableDefinition};
use tempfile::TempDir;
use wasmk_store::{EmbeddedStore, OpenError, Scope, Store, WatchError};

use crate::support::{delete, key, names, put};

#[tokio::test]
async fn everything_is_there_after_reopening() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("store");
    let store = EmbeddedStore::open(&path).unwrap();
    store.commit(put("pods", "a", 1)).await.unwrap();
    store.commit(put("pods", "b", 2)).await.unwrap();
    store.commit(put("nodes", "n", 3)).await.unwrap();
    store.commit(delete("pods", "a")).await.unwrap();
    let before = store.snapshot();
    drop(store);

    let store = EmbeddedStore::open(&path).unwrap();
    let after = store.snapshot();
    assert_eq!(after.revision(), 4);
    assert_eq!(names(&after, "pods"), ["b"]);
    assert_eq!(names(&after, "nodes"), ["n"]);
    for object in before.iter() {
        let again = after.get(object.key()).unwrap();
        assert_eq!((again.revision(), again.value()), (object.revision(), object.value()));
    }
    // Revisions go on where they were, and what came before is known to be unknown.
    assert_eq!(store.commit(put("pods", "c", 1)).await.unwrap().revision, 5);
    assert!(matches!(store.watch(3, Scope::all("pods")).err(), Some(WatchError::Compacted { oldest: 4 })));
}

#[tokio::test]
async fn the_file_is_free_once_the_store_is_closed() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("store");
    let store = EmbeddedStore::open(&path).unwrap();
    store.commit(put("pods", "a", 1)).await.unwrap();
    store.close().await;
    let again = EmbeddedStore::open(&path).unwrap();
    assert_eq!(names(&again.snapshot(), "pods"), ["a"]);
}

#[tokio::test]
async fn transactions_that_wait_when_the_store_closes_are_finished() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("store");
    let store: Arc<dyn Store> = Arc::new(EmbeddedStore::open(&path).unwrap());
    let clients: Vec<_> = (0..50)
        .map(|number| {
            let store = store.clone();
            tokio::spawn(async move { store.commit(put("pods", &format!("p{number}"), number)).await.is_ok() })
        })
        .collect();
    tokio::task::yield_now().await;
    store.close().await;
    let acknowledged = futures::future::join_all(clients).await.into_iter().filter(|ok| *ok.as_ref().unwrap()).count();
    let again = EmbeddedStore::open(&path).unwrap();
    assert_eq!(names(&again.snapshot(), "pods").len(), acknowledged);
}

#[test]
fn a_second_opener_is_told_who_holds_the_file() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("store");
    let _store = EmbeddedStore::open(&path).unwrap();
    let error = EmbeddedStore::open(&path).err().unwrap();
    assert!(matches!(error, OpenError::InUse { .. }));
    assert!(error.to_string().contains("another wasmk uses"), "{error}");
    assert!(error.to_string().contains(&path.display().to_string()), "{error}");
}

#[test]
fn a_file_of_a_newer_format_is_refused() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("store");
    drop(EmbeddedStore::open(&path).unwrap());
    let database = Database::open(&path).unwrap();
    let write = database.begin_write().unwrap();
    write.open_table(TableDefinition::<&str, u64>::new("meta")).unwrap().insert("format", 99).unwrap();
    write.commit().unwrap();
    drop(database);
    let error = EmbeddedStore::open(&path).err().unwrap();
    assert!(matches!(error, OpenError::NewerFormat { found: 99, .. }), "{error}");
}

#[test]
fn a_file_that_is_no_store_is_refused_and_left_alone() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("store");
    std::fs::write(&path, "kind: Pod\n").unwrap();
    let error = EmbeddedStore::open(&path).err().unwrap();
    assert!(matches!(error, OpenError::Damaged { .. }), "{error:?}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "kind: Pod\n");
}

#[test]
fn a_torn_creation_begins_anew() {
    let directory = TempDir::new().unwrap();
    std::fs::write(directory.path().join("store.new"), b"redb torn").unwrap();
    let store = EmbeddedStore::open(directory.path().join("store")).unwrap();
    assert_eq!(store.snapshot().revision(), 0);
}

#[test]
fn a_directory_that_is_missing_is_named() {
    let directory = TempDir::new().unwrap();
    let error = EmbeddedStore::open(directory.path().join("missing").join("store")).err().unwrap();
    assert!(matches!(error, OpenError::Io { .. }), "{error:?}");
    assert!(error.to_string().contains("missing"), "{error}");
}

#[tokio::test]
async fn an_object_with_a_broken_row_is_named() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("store");
    let store = EmbeddedStore::open(&path).unwrap();
    store.commit(put("pods", "a", 1)).await.unwrap();
    assert!(store.snapshot().get(&key("pods", "a")).is_some());
    drop(store);
    let database = Database::open(&path).unwrap();
    let write = database.begin_write().unwrap();
    let objects = TableDefinition::<&str, &[u8]>::new("objects");
    write.open_table(objects).unwrap().insert("pods/default/a", b"{}".as_slice()).unwrap();
    write.commit().unwrap();
    drop(database);
    let error = EmbeddedStore::open(&path).err().unwrap();
    let OpenError::Damaged { source, .. } = error else { panic!("{error:?}") };
    assert!(source.to_string().contains("pods/default/a"), "{source}");
}
