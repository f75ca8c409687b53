//! A container's files as its guest sees them, and small programs that work on them: what `exec` runs where there is
//! no wasm file of that name, so that `kubectl cp` and a look around work in images that hold one module and no more.
//!
//! Entry points: [`Tree::open`] with a container's mounts; [`find`] for a tool by name, and [`Tool::run`].
//!
//! **Invariants.** A [`Tree`] reaches nothing but the directories it was given: every path is resolved beneath a
//! directory handle, name by name, and what leads out of it (`..`, an absolute link, a link that somebody swaps
//! meanwhile) is an error. What is mounted read-only is never written to. Tools hold no more than a buffer in memory.
//!
//! No tasks: tools block, on a thread that the caller gives them, and end when the caller's pipes break.
//!
//! Deliberately absent: a shell, running other programs, owners and special permission bits (WASI has neither).

mod path;
mod tool;
mod tools;
mod tree;
mod words;

pub use path::GuestPath;
pub use tool::{Call, Tool, find, names};
pub use tree::{Details, Kind, Mount, Tree};
