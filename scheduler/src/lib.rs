//! The control plane: the store, the API and the control loops, put together and served.
//!
//! Entry point: [`Server::start`] with a [`ServerConfig`]. It opens the store in the data directory, loads or makes the
//! cluster's keys, binds the listeners, writes the cluster's own objects and the kubeconfig, and returns a [`Server`] that
//! is ready. Whatever is wrong is a [`ServerError`], before a port is bound where that can be.
//!
//! Tasks, all ended and awaited by [`Server::shutdown`]:
//! - one accept loop a listener, with one task a connection (`wasmk-apiserver`);
//! - *controllers*: snapshot → [`wasmk_controllers::Planner`] → `wasmk_api`'s preparation → one guarded transaction a plan;
//! - *placement*: all waiting pods at once, bound in one transaction; asleep while nobody waits or nothing changed;
//! - *system*: the cluster's own namespaces and the `kubernetes` Service;
//! - *events*: writes what the loops tell, and counts repeats.
//!
//! Invariants: a loop keeps nothing that it could not read again, so each may break down and begin anew; no loop runs hot:
//! a failing or restless one slows down; planners run off the runtime's threads, so that requests do not wait for them.
//!
//! Deliberately absent: decisions (they are in `wasmk-controllers` and `wasmk-placement`), and everything of a node.

mod client;
mod config;
mod controllers;
mod error;
mod events;
mod node_client;
mod pace;
mod placement;
mod prepare;
mod runtime;
mod server;
mod supervise;
mod system;

pub use config::ServerConfig;
pub use error::ServerError;
pub use server::{NodeCredentials, Server};
