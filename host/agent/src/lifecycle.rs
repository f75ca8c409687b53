//! A pod's life as a state machine: plain values and functions, no clock, no task, no I/O.
//!
//! [`plan`] says what to do for a [`PodView`]; the caller marks each [`Action`] with [`PodState::begin`], carries it
//! out, and reports what came of it to [`PodState::observe`]. [`status`] shows the state as the API does. Time comes in
//! as a value, so a simulator can run this alone.

mod conditions;
mod model;
mod observe;
mod outcome;
mod plan;
mod probe;
mod recover;
mod settings;
mod state;
mod status;

pub(crate) use conditions::OWNED as OWNED_CONDITIONS;
pub use model::{ContainerModel, Intent, PodModel, ProbeKind, ProbeModel, RestartPolicy, Role};
pub use observe::{End, Observation};
pub use outcome::{Outcome, is_ready, outcome};
pub use plan::{Action, Plan, PodView, is_done, plan};
pub use probe::counts_failures;
pub use settings::{Backoff, Settings};
pub use state::{ContainerState, Failure, KillReason, PodState, ProbeState, Run, Setup, Step, Termination, Verdict};
pub use status::{StatusContext, status};

#[cfg(test)]
mod tests;
