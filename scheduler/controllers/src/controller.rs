use std::collections::BTreeSet;

use wasmk_api::{Change, Key};

use crate::{Clock, Plan, View};

/// One control loop.
pub struct Controller {
    pub name: &'static str,
    /// The resources whose changes can affect a key of this controller; empty means all.
    pub reads: &'static [&'static str],
    /// Its plan tells the user about refused writes. Others are simply left alone for a while.
    pub shows_refusals: bool,
    /// The keys to plan again after a change. At the start each object counts as added.
    pub affected: fn(&View, &Change, &mut BTreeSet<Key>),
    /// What to do about one key, which may be gone by now.
    pub plan: fn(&View, &Key, &Clock) -> Plan,
}

/// All of them.
pub fn controllers() -> &'static [Controller] {
    &[
        crate::service_account::CONTROLLER,
        crate::node_cidr::CONTROLLER,
        crate::node_health::CONTROLLER,
        crate::deployment::CONTROLLER,
        crate::replica_set::CONTROLLER,
        crate::replica_set::REPLICATION_CONTROLLER,
        crate::disruption::CONTROLLER,
        crate::endpoint_slice::CONTROLLER,
        crate::load_balancer::CONTROLLER,
        crate::garbage::CONTROLLER,
        crate::pod_garbage::CONTROLLER,
        crate::pod_garbage::FINISHED,
        crate::namespace::CONTROLLER,
        crate::custom_resource_definition::CONTROLLER,
        crate::event_expiry::CONTROLLER,
        crate::role_aggregation::CONTROLLER,
        crate::root_certificate::CONTROLLER,
        crate::endpoints::CONTROLLER,
    ]
}
