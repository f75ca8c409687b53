use std::net::{Ipv4Addr, TcpListener};

/// The port of the claim; nothing listens there for long, and no node has this address.
const CLAIM_PORT: u16 = 4999;

/// A pod network and node addresses that no other cluster on this machine uses: `10.N.0.0/16`, backed by `127.N.0.0/16`.
#[derive(Debug)]
pub struct Subnet {
    number: u8,
    /// Held for as long as the subnet is in use: it is what makes the number ours.
    _claim: TcpListener,
}

impl Subnet {
    /// Claims a free one.
    pub fn claim() -> Self {
        let free = (65..=127).find_map(|number| {
            let claim = TcpListener::bind((Ipv4Addr::new(127, number, 255, 254), CLAIM_PORT)).ok()?;
            Some(Self { number, _claim: claim })
        });
        free.expect("fewer than 63 clusters at once")
    }

    pub fn cluster_cidr(&self) -> String {
        format!("10.{}.0.0/16", self.number)
    }

    /// The address of the `index`th node; 0 is the server.
    pub fn node(&self, index: u8) -> String {
        format!("127.{}.255.{}", self.number, index + 1)
    }
}
