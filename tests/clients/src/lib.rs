//! Stock clients against real clusters: what a person sees who uses `kubectl`, Helm or a client library.
//!
//! A [`Transcript`] is a text file with one row a command: the command, and below it what it prints and how it ends. It is
//! played on a [`Stage`], which is a cluster with images and a directory of files. Scripts in other languages run as a
//! [`Script`]. The clients themselves are fetched by `cargo xtask clients` and found by [`tools`].
//!
//! On Unix only: commands are lines of shell, and are ended as groups of processes.
#![cfg(unix)]

mod matching;
mod play;
mod script;
mod stage;
pub mod tools;
mod transcript;

pub use play::play;
pub use script::Script;
pub use stage::Stage;
pub use transcript::Transcript;
