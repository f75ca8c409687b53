use std::net::Ipv4Addr;
use std::ops::RangeInclusive;

use jiff::Timestamp;

use crate::Snapshot;

/// What a write depends on besides the object: time and chance come in as values and closures.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    pub now: Timestamp,
    /// A fresh uid.
    pub uid: &'a dyn Fn() -> String,
    /// Five characters to end a `generateName` with; also the chance behind addresses and ports.
    pub name_suffix: &'a dyn Fn() -> String,
    /// Who is recorded as the writer of fields. `None` leaves `managedFields` as they come, as after a server-side
    /// apply, which did its own book-keeping.
    pub field_manager: Option<&'a str>,
    pub validation: FieldValidation,
    pub snapshot: &'a Snapshot,
    pub settings: &'a Settings,
}

/// What happens to fields that the kind does not have.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum FieldValidation {
    Ignore,
    /// They are dropped, with a warning each.
    #[default]
    Warn,
    Strict,
}

/// What the cluster's operator decides.
#[derive(Clone, PartialEq, Debug)]
pub struct Settings {
    /// `tolerationSeconds` of pods that say nothing about nodes that are not ready or unreachable. Kubernetes: 300;
    /// a wasm replica restarts in microseconds, so waiting is worth less here.
    pub unhealthy_node_toleration_seconds: i64,
    pub service_network: (Ipv4Addr, u8),
    pub node_ports: RangeInclusive<u16>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            unhealthy_node_toleration_seconds: 1,
            service_network: (Ipv4Addr::new(10, 43, 0, 0), 16),
            node_ports: 30000..=32767,
        }
    }
}
