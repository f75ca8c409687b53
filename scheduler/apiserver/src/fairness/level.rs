use http::{HeaderName, HeaderValue};
use sha2::{Digest, Sha256};

use crate::Identity;

/// How important a request is, by who asks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Level {
    /// The control plane itself: it never waits.
    Exempt,
    /// Leases and the status of pods: if these stand still, nodes seem to die.
    Nodes,
    /// Components that run the cluster.
    System,
    /// People, and what runs in the cluster.
    Users,
}

const FLOW_SCHEMA: HeaderName = HeaderName::from_static("x-kubernetes-pf-flowschema-uid");
const PRIORITY_LEVEL: HeaderName = HeaderName::from_static("x-kubernetes-pf-prioritylevel-uid");

impl Level {
    pub(crate) fn of(identity: &Identity) -> Self {
        let user = identity.user.as_str();
        if identity.is_control_plane() {
            Self::Exempt
        } else if identity.node_name().is_some() {
            Self::Nodes
        } else if is_component(user) {
            Self::System
        } else {
            Self::Users
        }
    }

    /// Requests at once. Each may hold a body of 3 MiB, so a thousand together are what a small machine bears; half of
    /// them are for people and workloads, most of the rest for nodes, of which there may be thousands.
    pub(super) fn seats(self) -> usize {
        match self {
            Self::Exempt => usize::MAX,
            Self::Nodes => 384,
            Self::System => 128,
            Self::Users => 512,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Exempt => "exempt",
            Self::Nodes => "node-high",
            Self::System => "system",
            Self::Users => "workload",
        }
    }

    /// By which a client can tell how its request was classified.
    pub(crate) fn headers(self) -> [(HeaderName, HeaderValue); 2] {
        [(FLOW_SCHEMA, uid("flowschema", self)), (PRIORITY_LEVEL, uid("prioritylevel", self))]
    }
}

fn is_component(user: &str) -> bool {
    match user.strip_prefix("system:") {
        Some("anonymous") | None => false,
        Some(rest) => !rest.starts_with("serviceaccount:") || rest.starts_with("serviceaccount:kube-system:"),
    }
}

/// The same one each time.
fn uid(of: &str, level: Level) -> HeaderValue {
    let digest = Sha256::digest(format!("{of}/{}", level.name()));
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest[..16]);
    let uid = uuid::Builder::from_random_bytes(bytes).into_uuid();
    HeaderValue::try_from(uid.to_string()).expect("a uuid is a header value")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_asks_decides() {
        let level = |user: &str, group: &str| Level::of(&Identity::new(user, [group]));
        assert_eq!(Level::of(&Identity::control_plane()), Level::Exempt);
        assert_eq!(level("system:node:a", "system:nodes"), Level::Nodes);
        assert_eq!(level("system:kube-controller-manager", ""), Level::System);
        assert_eq!(level("system:serviceaccount:kube-system:x", ""), Level::System);
        assert_eq!(level("system:serviceaccount:default:x", ""), Level::Users);
        assert_eq!(level("wasmk-admin", "system:masters"), Level::Users);
        assert_eq!(level("system:anonymous", ""), Level::Users);
        // Somebody who only has the name of a node is none.
        assert_eq!(level("system:node:a", ""), Level::System);
    }
}
