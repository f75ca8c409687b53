//! Pod addresses out of the node's `spec.podCIDR`.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::sync::Mutex;
use std::time::Duration;

use ipnet::Ipv4Net;
use tokio::sync::watch;

use crate::PodUid;

const RANGE_TIMEOUT: Duration = Duration::from_secs(2);

/// One address a pod, the same as long as the pod is on this node.
pub(crate) struct Addresses {
    cidr: watch::Sender<Option<Ipv4Net>>,
    pool: Mutex<Pool>,
}

/// The pure part.
#[derive(Default)]
struct Pool {
    by_pod: BTreeMap<PodUid, Ipv4Addr>,
    taken: BTreeSet<Ipv4Addr>,
    /// The search goes on here, so that an address rests as long as it can before another pod has it.
    next: u32,
}

#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub(crate) enum NoAddress {
    #[error("no address is left in the node's podCIDR {0}")]
    Exhausted(Ipv4Net),
    #[error("the control plane has not given the node a podCIDR yet")]
    NoRange,
}

impl Addresses {
    pub(crate) fn new(cidr: Option<Ipv4Net>) -> Self {
        Self { cidr: watch::Sender::new(cidr), pool: Mutex::default() }
    }

    /// The control plane gave the node its range.
    pub(crate) fn set_cidr(&self, cidr: Ipv4Net) {
        self.cidr.send_if_modified(|known| known.replace(cidr) != Some(cidr));
    }

    pub(crate) fn subscribe(&self) -> watch::Receiver<Option<Ipv4Net>> {
        self.cidr.subscribe()
    }

    /// Keeps the address that a pod had before the agent was restarted.
    pub(crate) fn reserve(&self, pod: &PodUid, ip: Ipv4Addr) {
        self.pool.lock().expect("no panic while held").reserve(pod, ip);
    }

    /// Waits a little for the node's range, which comes right after the node registered.
    pub(crate) async fn allocate(&self, pod: &PodUid) -> Result<Ipv4Addr, NoAddress> {
        let mut cidr = self.cidr.subscribe();
        let known = tokio::time::timeout(RANGE_TIMEOUT, cidr.wait_for(Option::is_some)).await;
        let cidr = known.ok().and_then(Result::ok).and_then(|cidr| *cidr).ok_or(NoAddress::NoRange)?;
        self.pool.lock().expect("no panic while held").allocate(pod, cidr)
    }

    pub(crate) fn release(&self, pod: &PodUid) {
        self.pool.lock().expect("no panic while held").release(pod);
    }
}

impl Pool {
    fn reserve(&mut self, pod: &PodUid, ip: Ipv4Addr) {
        if self.taken.insert(ip) {
            self.by_pod.insert(pod.clone(), ip);
        }
    }

    fn allocate(&mut self, pod: &PodUid, cidr: Ipv4Net) -> Result<Ipv4Addr, NoAddress> {
        if let Some(ip) = self.by_pod.get(pod).filter(|ip| cidr.contains(*ip)) {
            return Ok(*ip);
        }
        self.release(pod);
        // Neither the network's own address, nor the first (the node's), nor the broadcast address.
        let (first, last) = (u32::from(cidr.network()) + 2, u32::from(cidr.broadcast()).saturating_sub(1));
        let count = (last + 1).saturating_sub(first);
        for step in 0..count {
            let offset = (self.next + step) % count;
            let ip = Ipv4Addr::from(first + offset);
            if self.taken.insert(ip) {
                self.next = (offset + 1) % count;
                self.by_pod.insert(pod.clone(), ip);
                return Ok(ip);
            }
        }
        Err(NoAddress::Exhausted(cidr))
    }

    fn release(&mut self, pod: &PodUid) {
        if let Some(ip) = self.by_pod.remove(pod) {
            self.taken.remove(&ip);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uid(number: usize) -> PodUid {
        PodUid(number.to_string())
    }

    #[test]
    fn each_pod_has_its_own_until_none_is_left() {
        let cidr = "10.64.0.0/28".parse().unwrap();
        let mut pool = Pool::default();
        let ips: BTreeSet<_> = (0..13).map(|number| pool.allocate(&uid(number), cidr).unwrap()).collect();
        assert_eq!(ips.len(), 13);
        assert_eq!(*ips.first().unwrap(), Ipv4Addr::new(10, 64, 0, 2));
        assert_eq!(*ips.last().unwrap(), Ipv4Addr::new(10, 64, 0, 14));
        assert!(pool.allocate(&uid(99), cidr).is_err());
        pool.release(&uid(4));
        assert_eq!(pool.allocate(&uid(99), cidr), Ok(Ipv4Addr::new(10, 64, 0, 6)));
    }

    #[test]
    fn addresses_are_kept_and_rest_before_reuse() {
        let cidr = "10.64.0.0/24".parse().unwrap();
        let mut pool = Pool::default();
        pool.reserve(&uid(7), Ipv4Addr::new(10, 64, 0, 2));
        assert_eq!(pool.allocate(&uid(7), cidr), Ok(Ipv4Addr::new(10, 64, 0, 2)));
        let first = pool.allocate(&uid(1), cidr).unwrap();
        assert_eq!(pool.allocate(&uid(1), cidr), Ok(first));
        pool.release(&uid(1));
        assert_ne!(pool.allocate(&uid(2), cidr), Ok(first));
    }
}
