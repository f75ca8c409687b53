mod client;
mod identity;
mod server;

pub(crate) use client::MeshClient;
pub use identity::{IdentityError, MeshIdentity, PeerIdentity};
pub use server::{MeshServer, NodeApi};

use std::time::Duration;

use http::HeaderName;

/// On a request: the pod and port it is for. What has it, and came over a trusted connection, is served by a local
/// pod and never sent on, so requests cannot go in circles.
const POD: HeaderName = HeaderName::from_static("wasmk-pod");
/// On an answer: no pod looked at the request, it may go elsewhere.
const REFUSED: HeaderName = HeaderName::from_static("wasmk-refused");

/// Both sides ask every second whether the other is still there, and give up two seconds later.
const PING_EVERY: Duration = Duration::from_secs(1);
const PING_TIMEOUT: Duration = Duration::from_secs(2);
/// For TCP, TLS and HTTP/2 together.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// Requests and tunnels at once between two nodes.
const STREAMS_MAX: u32 = 8192;
/// What one stream may have under way: 512 KiB fill 4 Gbit/s at 1 ms.
const STREAM_WINDOW: u32 = 512 * 1024;
/// The connection as a whole is not limited: else a few streams that nobody reads would stop all others.
const CONNECTION_WINDOW: u32 = (1 << 31) - 1;
