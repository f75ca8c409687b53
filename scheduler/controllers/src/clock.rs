use jiff::{SignedDuration, Timestamp};

/// Time and settings, handed in so that a test or a simulation can hold them still.
#[derive(Clone, Copy, Debug)]
pub struct Clock<'a> {
    pub now: Timestamp,
    pub settings: &'a Settings,
}

/// What an operator may tune about the control loops.
#[derive(Clone, PartialEq, Debug)]
pub struct Settings {
    /// A node that did not renew its Lease for this long is not ready. Kubernetes: 40–50 s; here leases are renewed each
    /// second.
    pub node_grace: SignedDuration,
    /// `tolerationSeconds` for `not-ready` and `unreachable`, for pods that do not say. Kubernetes: 300 s; here a replica
    /// elsewhere starts in microseconds.
    pub unreachable_toleration: SignedDuration,
    /// A pod may name a node that has not joined yet for this long before it is garbage. Kubernetes: 40 s.
    pub absent_node_grace: SignedDuration,
    /// Finished pods kept in the cluster, the newest first. Kubernetes: 12,500.
    pub finished_pods_max: usize,
    /// Kubernetes: 1 h.
    pub event_ttl: SignedDuration,
    /// First address and prefix length of the range that nodes get their pod addresses from.
    pub pod_cidr: (std::net::Ipv4Addr, u8),
    /// Prefix length of one node's part. /20 is 4096 addresses, 1024 nodes in a /10.
    pub node_prefix: u8,
    /// The authority's certificate (PEM), for every namespace; empty where there is none to publish.
    pub root_certificate: String,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            node_grace: SignedDuration::from_secs(4),
            unreachable_toleration: SignedDuration::from_secs(1),
            absent_node_grace: SignedDuration::from_secs(40),
            finished_pods_max: 12_500,
            event_ttl: SignedDuration::from_hours(1),
            pod_cidr: (std::net::Ipv4Addr::new(10, 64, 0, 0), 10),
            node_prefix: 20,
            root_certificate: String::new(),
        }
    }
}

impl Clock<'_> {
    /// Now, as Kubernetes writes a time: whole seconds, cut off.
    pub(crate) fn stamp(&self) -> String {
        stamp(self.now)
    }
}

pub(crate) fn stamp(time: Timestamp) -> String {
    let whole = Timestamp::from_second(time.as_second()).expect("invariant: a whole second of a valid time is valid");
    whole.to_string()
}
