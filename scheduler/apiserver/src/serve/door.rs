//! How many connections there may be, by what is known of who is at the other end: nothing before the handshake, and not
//! much of strangers, who show no certificate. Whoever is unknown takes only what is set aside for the unknown, and no
//! address all of that.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use crate::shares::{Share, Shares};

#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Open connections at once, after the handshake.
    pub(super) connections: usize,
    /// Handshakes at once.
    pub(super) handshakes: usize,
    pub(super) handshake: Duration,
    /// Connections without a certificate that have not shown a token.
    pub(super) strangers: usize,
    pub(super) stranger: Duration,
    /// Handshakes and strangers of one address.
    pub(super) each_source: usize,
}

/// A node needs two or three connections, a client one; file descriptors are commonly limited to 20,000, and the store and
/// the node's own listeners need theirs. A handshake takes milliseconds, ten seconds over a very bad line. Thirty seconds
/// are ample to show a token in. The machines behind one address may all come at once after a restart.
pub(super) const LIMITS: Limits = Limits {
    connections: 8192,
    handshakes: 1024,
    handshake: Duration::from_secs(10),
    strangers: 256,
    stranger: Duration::from_secs(30),
    each_source: 64,
};

pub(super) struct Door {
    limits: Limits,
    connections: Arc<Semaphore>,
    handshakes: Arc<Semaphore>,
    strangers: Arc<Semaphore>,
    sources: Arc<Shares<Source>>,
}

/// Where strangers come from, as far as one can have many addresses at no price.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Source {
    V4([u8; 4]),
    /// Networks have this much, so a machine may have all of them.
    V6Network([u16; 4]),
}

/// The right to a handshake.
pub(super) struct Knock {
    _handshake: OwnedSemaphorePermit,
    source: Option<Share<Source>>,
}

/// The right to a connection.
pub(super) struct Entered {
    _connection: OwnedSemaphorePermit,
    /// Of who has shown no certificate.
    pub(super) stranger: Option<Arc<Stranger>>,
}

impl Door {
    pub(super) fn new(limits: Limits) -> Self {
        let semaphore = |permits| Arc::new(Semaphore::new(permits));
        let Limits { connections, handshakes, strangers, each_source, .. } = limits;
        Self {
            limits,
            connections: semaphore(connections),
            handshakes: semaphore(handshakes),
            strangers: semaphore(strangers),
            sources: Shares::new(each_source),
        }
    }

    pub(super) fn handshake_timeout(&self) -> Duration {
        self.limits.handshake
    }

    /// `None` when there is no room for one more of whom nothing is known. Nobody waits: it would be before the door, where
    /// all the others stand too.
    pub(super) fn knock(&self, from: IpAddr) -> Option<Knock> {
        let source = match Source::of(from) {
            Some(source) => Some(self.sources.take(source)?),
            None => None,
        };
        Some(Knock { _handshake: self.handshakes.clone().try_acquire_owned().ok()?, source })
    }

    /// After the handshake; `None` when there is no room.
    pub(super) fn enter(&self, knock: Knock, is_known: bool) -> Option<Entered> {
        let connection = self.connections.clone().try_acquire_owned().ok()?;
        let stranger = match is_known {
            true => None,
            false => {
                let held = (self.strangers.clone().try_acquire_owned().ok()?, knock.source);
                Some(Arc::new(Stranger::new(held, self.limits.stranger)))
            }
        };
        Some(Entered { _connection: connection, stranger })
    }
}

impl Source {
    /// `None` for the machine itself, whose programs may be many.
    fn of(address: IpAddr) -> Option<Self> {
        match address.to_canonical() {
            address if address.is_loopback() => None,
            IpAddr::V4(address) => Some(Self::V4(address.octets())),
            IpAddr::V6(address) => Some(Self::V6Network(network(address))),
        }
    }
}

fn network(address: Ipv6Addr) -> [u16; 4] {
    let [a, b, c, d, ..] = address.segments();
    [a, b, c, d]
}

type Held = (OwnedSemaphorePermit, Option<Share<Source>>);

/// A connection without a certificate: few of them, and not for long, until a request on it shows a token that counts.
pub(crate) struct Stranger {
    held: Mutex<Option<Held>>,
    limit: Duration,
    vouched: CancellationToken,
}

impl Stranger {
    fn new(held: Held, limit: Duration) -> Self {
        Self { held: Mutex::new(Some(held)), limit, vouched: CancellationToken::new() }
    }

    /// From now on it is a connection like others.
    pub(crate) fn vouch(&self) {
        self.vouched.cancel();
        drop(self.held.lock().unwrap_or_else(PoisonError::into_inner).take());
    }

    /// Returns when it has had its time and nobody has vouched for it.
    pub(super) async fn overstays(&self) {
        if tokio::time::timeout(self.limit, self.vouched.cancelled()).await.is_ok() {
            std::future::pending().await
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn door(limits: Limits) -> impl Fn(&str) -> Option<Knock> {
        let door = Door::new(limits);
        move |from| door.knock(from.parse().unwrap())
    }

    #[test]
    fn no_address_takes_every_handshake() {
        let knock = door(Limits { handshakes: 100, each_source: 2, ..LIMITS });
        let _held = [knock("192.0.2.1"), knock("::ffff:192.0.2.1")].map(Option::unwrap);
        assert!(knock("192.0.2.1").is_none() && knock("192.0.2.2").is_some());
        // A network of its own has many addresses.
        let _held = [knock("2001:db8::1"), knock("2001:db8::2:1")].map(Option::unwrap);
        assert!(knock("2001:db8::3").is_none() && knock("2001:db8:0:1::3").is_some());
        let _held = ["127.0.0.1", "127.0.0.1", "::1", "::1", "::1"].map(|own| knock(own).unwrap());
    }

    #[test]
    fn strangers_take_what_is_set_aside_for_them() {
        let door = Door::new(Limits { connections: 3, strangers: 2, each_source: 2, ..LIMITS });
        let enter = |from: &str, is_known| door.enter(door.knock(from.parse().unwrap())?, is_known);
        let first = enter("192.0.2.1", false).unwrap();
        let _second = enter("192.0.2.2", false).unwrap();
        assert!(enter("192.0.2.3", false).is_none());
        let known = enter("192.0.2.1", true);
        assert!(known.is_some() && enter("192.0.2.1", true).is_none());
        drop(known);
        first.stranger.as_ref().unwrap().vouch();
        let _third = enter("192.0.2.1", false).unwrap();
    }

    #[test]
    fn a_stranger_counts_for_its_address_until_somebody_vouches() {
        let door = Door::new(Limits { each_source: 1, ..LIMITS });
        let knock = || door.knock("192.0.2.1".parse().unwrap());
        let known = door.enter(knock().unwrap(), true).unwrap();
        let stranger = door.enter(knock().unwrap(), false).unwrap();
        assert!(known.stranger.is_none() && knock().is_none());
        stranger.stranger.unwrap().vouch();
        assert!(knock().is_some());
    }
}
