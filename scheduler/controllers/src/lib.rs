//! The control loops of wasmk, as pure decisions: no async, no clock, no I/O.
//!
//! Entry point: [`Planner`]. It holds a [`View`] (a snapshot and an index over it) and what there is to look at again.
//! Its driver does, for ever:
//! 1. [`Planner::observe`] with the store's latest snapshot; what changed is found by comparing snapshots, so a wake-up
//!    carries no data, and a start, a retry and the happy path are the same path;
//! 2. [`Planner::plan`]: the plans of the keys that those changes touch, or whose time has come;
//! 3. commits each [`Plan`], one transaction a plan, every write guarded by the revision it was planned at; a conflict needs
//!    nothing (the next observation looks again), a refusal is reported to [`Planner::refused`];
//! 4. when no plan writes anything, sleeps until the store changes or until [`Planner::wake_at`].
//!
//! A controller is one entry in the table [`controllers`]: what it reads, which keys a change affects, and the plan for one
//! key. A plan costs what its key owns, not what the cluster holds.
//!
//! Invariants, each a property test: planning twice is free (`plan(apply(s, plan(s)))` writes nothing once it has settled),
//! the same snapshot and time give the same plan to the byte (names of new pods included), and an index kept up to date by
//! changes equals one built anew.
//!
//! Deliberately absent: expectations and slow start: snapshots are consistent.

mod clock;
mod controller;
mod custom_resource_definition;
mod deployment;
mod disruption;
mod endpoint_slice;
mod endpoints;
mod event_expiry;
mod garbage;
mod json;
mod load_balancer;
mod names;
mod namespace;
mod node_cidr;
mod node_health;
mod plan;
mod planner;
mod pod;
mod pod_garbage;
mod reason;
mod replica_set;
mod role_aggregation;
mod root_certificate;
mod service_account;
mod view;

#[cfg(test)]
mod sim;
#[cfg(test)]
mod tests;

pub use clock::{Clock, Settings};
pub use controller::{Controller, controllers};
pub use plan::{Action, EventRecord, EventType, Plan, Write};
pub use planner::{Broken, Planned, Planner};
pub use reason::Reason;
pub use view::View;
