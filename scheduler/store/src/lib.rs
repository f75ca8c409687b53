//! The revisioned, watchable object store: the one place where cluster state lives.
//!
//! Entry point: the [`Store`] trait, held as `Arc<dyn Store>`. Two backends keep its contract, and one conformance
//! suite (`tests/conformance.rs`) runs over both: [`MemoryStore`] forgets when it is dropped, [`EmbeddedStore`]
//! keeps everything in one redb file.
//!
//! Invariants:
//! - One revision counter. Each transaction that changes something takes the next revision, whole or not at all;
//!   its meaning is the pure function [`wasmk_api::Snapshot::apply`].
//! - A commit is acknowledged, seen by [`Store::snapshot`] and told to watches only after it is durable, and by the
//!   time that it is acknowledged all three are so.
//! - A watch yields every change of its scope after its revision, in order, once; or it says that it cannot.
//! - Memory is bounded: watches are cursors into one shared history for each resource, bounded by count and bytes.
//!   Who falls behind that history gets [`WatchError::Compacted`] and lists again, as Kubernetes' 410 Gone asks.
//!
//! Threads: [`EmbeddedStore`] owns one writer thread, which turns all transactions that wait into one durable write.
//! Neither backend spawns tasks. Deliberately absent: knowledge of kinds, validation, selectors, JSON merging.

mod core;
mod embedded;
mod history;
mod memory;
mod store;
mod watch;

pub use embedded::{EmbeddedStore, OpenError};
pub use history::Batch;
pub use memory::MemoryStore;
pub use store::{CommitError, Committed, Scope, Store, WatchError};
pub use watch::Watch;
