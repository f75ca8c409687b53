use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use redb::{Database, DatabaseError, ReadableDatabase, ReadableTable, StorageError, TableDefinition};
use serde_json::Value;
use wasmk_api::{Change, ChangeKind, Key, Object, Snapshot};

use super::OpenError;

/// Raised when a file that this version writes can not be read by versions before it.
const FORMAT: u64 = 1;
/// Everything is in memory anyway; the file's cache only has to hold the pages that a write touches.
const CACHE_BYTES: usize = 16 << 20;

/// `resource/namespace/name` → the object's JSON, which carries its revision in `metadata.resourceVersion`.
const OBJECTS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("objects");
const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");
const META_FORMAT: &str = "format";
const META_REVISION: &str = "revision";

/// The store's file, locked against other processes.
pub(super) struct File {
    database: Database,
}

impl File {
    pub(super) fn open(path: &Path) -> Result<(Self, Snapshot), OpenError> {
        if !path.exists() {
            create(path)?;
        }
        let database = builder().open(path).map_err(|error| open_error(path, error))?;
        let snapshot = load(&database).map_err(|error| error.at(path))?;
        Ok((Self { database }, snapshot))
    }

    /// An empty store over any storage; for tests of storage that fails.
    #[cfg(test)]
    pub(super) fn over(storage: impl redb::StorageBackend) -> Self {
        let database = builder().create_with_backend(storage).expect("the storage works at first");
        initialize(&database).expect("the storage works at first");
        Self { database }
    }

    /// Durable when it returns. Of several changes to one object only the last is written.
    pub(super) fn write<'a>(&self, revision: u64, changes: impl Iterator<Item = &'a Change>) -> io::Result<()> {
        // Sorted, so that neighbours go into the same pages.
        let last: BTreeMap<String, &Change> = changes.map(|change| (row(change.object.key()), change)).collect();
        let transaction = self.database.begin_write().map_err(to_io)?;
        {
            let mut objects = transaction.open_table(OBJECTS).map_err(to_io)?;
            for (row, change) in &last {
                match change.kind {
                    ChangeKind::Deleted => drop(objects.remove(row.as_str()).map_err(to_io)?),
                    _ => drop(objects.insert(row.as_str(), &*change.object.encoded()).map_err(to_io)?),
                }
            }
            transaction.open_table(META).map_err(to_io)?.insert(META_REVISION, revision).map_err(to_io)?;
        }
        // One flush. `set_quick_repair` would cost a second one with each commit, to spare a crashed file its check
        // on opening; but opening reads every object anyway, which takes longer than the check.
        transaction.commit().map_err(to_io)
    }
}

/// A file that exists is complete: it gets its name only once its first write is durable.
fn create(path: &Path) -> Result<(), OpenError> {
    let io = |source| OpenError::Io { path: path.to_owned(), source };
    let unfinished = unfinished(path);
    // What a crash left behind while creating has no data in it. A file that another process is creating right now
    // is locked, on some systems against removal and on all against opening.
    let database = match builder().create(&unfinished) {
        Err(DatabaseError::DatabaseAlreadyOpen) => return Err(OpenError::InUse { path: path.to_owned() }),
        Err(_) => {
            std::fs::remove_file(&unfinished).map_err(io)?;
            builder().create(&unfinished).map_err(|error| open_error(path, error))?
        }
        Ok(database) => database,
    };
    initialize(&database).map_err(|error| io(to_io(error)))?;
    drop(database);
    std::fs::rename(&unfinished, path).map_err(io)?;
    sync_directory(path).map_err(io)
}

fn initialize(database: &Database) -> Result<(), redb::Error> {
    let transaction = database.begin_write()?;
    {
        transaction.open_table(OBJECTS)?;
        let mut meta = transaction.open_table(META)?;
        meta.insert(META_FORMAT, FORMAT)?;
        meta.insert(META_REVISION, 0)?;
    }
    Ok(transaction.commit()?)
}

fn load(database: &Database) -> Result<Snapshot, LoadError> {
    let transaction = database.begin_read().map_err(LoadError::of)?;
    let meta = transaction.open_table(META).map_err(LoadError::of)?;
    let number = |name: &'static str| -> Result<u64, LoadError> {
        let found = meta.get(name).map_err(LoadError::of)?;
        found.map(|value| value.value()).ok_or_else(|| LoadError::of(Damage::Meta(name)))
    };
    let format = number(META_FORMAT)?;
    if format > FORMAT {
        return Err(LoadError::Newer(format));
    }
    let revision = number(META_REVISION)?;
    let table = transaction.open_table(OBJECTS).map_err(LoadError::of)?;
    let rows = table.iter().map_err(LoadError::of)?;
    let objects = rows.map(|entry| {
        let (row, json) = entry.map_err(LoadError::of)?;
        parse(row.value(), json.value(), revision)
    });
    let objects: Vec<Arc<Object>> = objects.collect::<Result<_, LoadError>>()?;
    Ok(Snapshot::from_objects(revision, objects))
}

fn parse(row: &str, json: &[u8], revision_max: u64) -> Result<Arc<Object>, LoadError> {
    let damage = |what| LoadError::of(Damage::Object { row: row.to_owned(), what });
    let mut parts = row.split('/');
    let (Some(resource), Some(namespace), Some(name), None) = (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(damage("its row has no resource, namespace and name"));
    };
    let value: Value = serde_json::from_slice(json).map_err(LoadError::of)?;
    let revision = value["metadata"]["resourceVersion"].as_str().and_then(|text| text.parse().ok());
    let revision = revision.filter(|revision| *revision <= revision_max);
    let revision = revision.ok_or_else(|| damage("its resourceVersion is missing or too large"))?;
    Ok(Object::new(Key::new(resource, namespace, name), revision, value))
}

/// Neither resources, namespaces nor names have a slash in them.
fn row(key: &Key) -> String {
    format!("{}/{}/{}", key.resource, key.namespace, key.name)
}

enum LoadError {
    Newer(u64),
    Damaged(Box<dyn std::error::Error + Send + Sync>),
}

#[derive(Debug, thiserror::Error)]
enum Damage {
    #[error("it has no {0}")]
    Meta(&'static str),
    #[error("object {row}: {what}")]
    Object { row: String, what: &'static str },
}

impl LoadError {
    fn of(error: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self::Damaged(Box::new(error))
    }

    fn at(self, path: &Path) -> OpenError {
        let path = path.to_owned();
        match self {
            Self::Newer(found) => OpenError::NewerFormat { path, found, known: FORMAT },
            Self::Damaged(source) => OpenError::Damaged { path, source },
        }
    }
}

fn builder() -> redb::Builder {
    let mut builder = Database::builder();
    builder.set_cache_size(CACHE_BYTES);
    builder
}

fn open_error(path: &Path, error: DatabaseError) -> OpenError {
    let path = path.to_owned();
    match error {
        DatabaseError::DatabaseAlreadyOpen => OpenError::InUse { path },
        // redb says `InvalidData` of a file that is not one of its own.
        DatabaseError::Storage(StorageError::Io(source)) if source.kind() != io::ErrorKind::InvalidData => {
            OpenError::Io { path, source }
        }
        DatabaseError::UpgradeRequired(_) | DatabaseError::RepairAborted | DatabaseError::Storage(_) => {
            OpenError::Damaged { path, source: Box::new(error) }
        }
        other => OpenError::Io { path, source: io::Error::other(other) },
    }
}

fn to_io(error: impl Into<redb::Error>) -> io::Error {
    match error.into() {
        redb::Error::Io(source) => source,
        other => io::Error::other(other),
    }
}

fn unfinished(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    path.with_file_name(name)
}

/// Makes the file's name durable. Windows does so with the rename.
fn sync_directory(path: &Path) -> io::Result<()> {
    if cfg!(windows) {
        return Ok(());
    }
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::fs::File::open(parent)?.sync_all()
}
