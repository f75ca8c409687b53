use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use dashmap::DashMap;

/// Clients remembered by one service port: 100 bytes each, so a few MB at most. Above it new clients are not sticky.
const CLIENTS_MAX: usize = 65_536;

/// `sessionAffinity: ClientIP`: which endpoint a client was last sent to.
pub(super) struct Affinity {
    pub(super) timeout: Duration,
    clients: DashMap<IpAddr, (SocketAddr, Instant)>,
}

impl Affinity {
    pub(super) fn new(timeout: Duration) -> Self {
        Self { timeout, clients: DashMap::new() }
    }

    pub(super) fn of(&self, client: IpAddr, now: Instant) -> Option<SocketAddr> {
        let entry = self.clients.get(&client)?;
        let (endpoint, used) = *entry;
        (now.saturating_duration_since(used) < self.timeout).then_some(endpoint)
    }

    pub(super) fn remember(&self, client: IpAddr, endpoint: SocketAddr, now: Instant) {
        if self.clients.len() >= CLIENTS_MAX && !self.clients.contains_key(&client) {
            self.clients.retain(|_, (_, used)| now.saturating_duration_since(*used) < self.timeout);
            if self.clients.len() >= CLIENTS_MAX {
                return;
            }
        }
        self.clients.insert(client, (endpoint, now));
    }
}
