//! The network of a node: virtual pod addresses, Services, names, and the mesh between nodes. All in user space.
//!
//! Entry point: [`Network`]. [`Network::update`] takes the whole state (Services, EndpointSlices, nodes) and computes
//! an immutable [`ServiceTable`]; [`Network::attach`] connects a pod and gives a [`PodPort`], on which the agent
//! registers what the pod serves: an [`HttpReplica`] that is *called*, or TCP listeners. Guests use their pod's
//! [`GuestNet`]. [`MeshServer`] is the node port.
//!
//! Tasks: one for each open Service port, client connection and bridge (ended by [`Network::shutdown`], which
//! waits for what is in flight); one for each other node that was ever needed (ends when the node leaves).
//!
//! Invariants:
//! - The path of a request to a called replica takes no lock and copies no table.
//! - Only ready endpoints get traffic (terminating ones that still serve when none is ready). Endpoints on a node
//!   whose connection broke get none until it is back.
//! - A request that no replica looked at goes to another one; one that a replica may have acted upon is sent again
//!   only if it is idempotent.
//! - What comes over the mesh is served by a pod of this node or refused, never sent on.
//! - Guests see virtual addresses only and reach nothing of the host itself.
//!
//! Deliberately absent: UDP, NetworkPolicy, `externalIPs`, TLS between pods, anything about wasm.

mod address;
mod backend;
mod body;
mod egress;
mod forward;
mod guest;
mod headers;
mod l7;
mod listeners;
mod load;
mod mesh;
mod network;
mod pod_stream;
mod pods;
mod replay;
mod stream;
mod table;
mod upgrade;

pub use address::{AddressPlan, EphemeralPlan, LoopbackPlan, native_plan};
pub use body::{Body, BoxError, boxed, empty, full};
pub use egress::{DefaultEgress, DenyEgress, EgressError, EgressPolicy};
pub use guest::{BindError, ConnectError, GuestNet, HttpError, ResolveError, Resolved};
pub use listeners::{ListenerProblem, ListenerProblemReason};
pub use load::{Load, Loads};
pub use mesh::{IdentityError, MeshIdentity, MeshServer, NodeApi, PeerIdentity};
pub use network::{Network, NetworkConfig};
pub use pod_stream::PodStream;
pub use pods::{CallError, Drained, HttpReplica, HttpServing, PodIdentity, PodPort, Ports};
pub use table::{
    AppProtocol, Endpoint, NoEndpoint, NodeAddress, NodeRoute, Place, Resolution, ServiceEntry, ServiceKind,
    ServiceName, ServicePort, ServiceTable, TableInput,
};
