use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use dashmap::DashMap;

/// Where the virtual addresses of pods live on this machine.
///
/// Guests only ever see virtual addresses; sockets only ever see real ones.
pub trait AddressPlan: Send + Sync + 'static {
    /// The real address to bind when a guest of `pod` listens on `port` (0: any).
    fn bind_address(&self, pod: Ipv4Addr, port: u16) -> SocketAddr;
    /// The real source address of connections that `pod` opens, when it has one of its own.
    fn source_address(&self, pod: Ipv4Addr) -> Option<IpAddr>;
    /// The virtual address behind a real one, `None` when it belongs to no pod.
    fn virtual_address(&self, real: SocketAddr) -> Option<SocketAddr>;
    /// A guest of `pod` listens on virtual `port` at `real`.
    fn listening(&self, pod: Ipv4Addr, port: u16, real: SocketAddr);
    fn closed(&self, real: SocketAddr);
}

/// The plan for the system this is compiled for.
pub fn native_plan() -> Box<dyn AddressPlan> {
    if cfg!(any(target_os = "linux", target_os = "windows")) {
        Box::new(LoopbackPlan)
    } else {
        Box::new(EphemeralPlan::default())
    }
}

/// Virtual 10.a.b.c is real 127.a.b.c: all of 127/8 is local on Linux and Windows without any set-up.
pub struct LoopbackPlan;

impl AddressPlan for LoopbackPlan {
    fn bind_address(&self, pod: Ipv4Addr, port: u16) -> SocketAddr {
        SocketAddr::new(with_first_octet(pod, 127).into(), port)
    }

    fn source_address(&self, pod: Ipv4Addr) -> Option<IpAddr> {
        Some(with_first_octet(pod, 127).into())
    }

    fn virtual_address(&self, real: SocketAddr) -> Option<SocketAddr> {
        match real.ip().to_canonical() {
            // 127.0.x.y stays the host's own: pods start at 10.1.0.0 or above.
            IpAddr::V4(ip) if ip.octets()[0] == 127 && ip.octets()[1] != 0 => {
                Some(SocketAddr::new(with_first_octet(ip, 10).into(), real.port()))
            }
            _ => None,
        }
    }

    fn listening(&self, _pod: Ipv4Addr, _port: u16, _real: SocketAddr) {}

    fn closed(&self, _real: SocketAddr) {}
}

fn with_first_octet(ip: Ipv4Addr, first: u8) -> Ipv4Addr {
    let [_, b, c, d] = ip.octets();
    Ipv4Addr::new(first, b, c, d)
}

/// Every listener is on 127.0.0.1 with a port of the system's choice (macOS has no other loopback address).
#[derive(Default)]
pub struct EphemeralPlan {
    listeners: DashMap<SocketAddr, SocketAddr>,
}

impl AddressPlan for EphemeralPlan {
    fn bind_address(&self, _pod: Ipv4Addr, _port: u16) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, 0).into()
    }

    fn source_address(&self, _pod: Ipv4Addr) -> Option<IpAddr> {
        None
    }

    fn virtual_address(&self, real: SocketAddr) -> Option<SocketAddr> {
        self.listeners.get(&real).map(|entry| *entry)
    }

    fn listening(&self, pod: Ipv4Addr, port: u16, real: SocketAddr) {
        self.listeners.insert(real, (pod, port).into());
    }

    fn closed(&self, real: SocketAddr) {
        self.listeners.remove(&real);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_plan_keeps_the_low_bits_both_ways() {
        let pod = Ipv4Addr::new(10, 64, 3, 7);
        let real = LoopbackPlan.bind_address(pod, 8080);
        assert_eq!(real, "127.64.3.7:8080".parse().unwrap());
        assert_eq!(LoopbackPlan.virtual_address(real), Some("10.64.3.7:8080".parse().unwrap()));
        assert_eq!(LoopbackPlan.virtual_address("127.0.0.1:80".parse().unwrap()), None);
        assert_eq!(LoopbackPlan.virtual_address("192.168.1.1:80".parse().unwrap()), None);
    }

    #[test]
    fn ephemeral_plan_remembers_listeners_until_they_close() {
        let plan = EphemeralPlan::default();
        let real = "127.0.0.1:50001".parse().unwrap();
        plan.listening(Ipv4Addr::new(10, 64, 3, 7), 8080, real);
        assert_eq!(plan.virtual_address(real), Some("10.64.3.7:8080".parse().unwrap()));
        plan.closed(real);
        assert_eq!(plan.virtual_address(real), None);
    }
}
