//! A guest: a network namespace of its own, with one adapter.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::Duration;

use renkei_testkit::{Namespace, wait};
use renkei_types::network::Mac;

/// A guest.
pub struct Guest {
    pub space: Namespace,
    mac: Mac,
}

/// What somebody has sent to a guest.
pub struct Sent {
    receiver: UdpSocket,
}

impl Guest {
    /// One whose adapter is plugged in where a tap was.
    pub fn in_place_of(switch: &Namespace, tap: &str, mac: Mac) -> Self {
        let space = Namespace::create("guest").unwrap();
        let shown = switch.command("ip").args(["-j", "link", "show", "dev", tap]).output();
        let shown: serde_json::Value = serde_json::from_slice(&shown.unwrap().stdout).unwrap();
        let alias = shown[0]["ifalias"].as_str().unwrap();
        switch.ip(&["link", "del", "dev", tap]).unwrap();
        let pair = [
            "link",
            "add",
            tap,
            "type",
            "veth",
            "peer",
            "name",
            "eth0",
            "netns",
            space.name(),
        ];
        switch.ip(&pair).unwrap();
        switch.ip(&["link", "set", "dev", tap, "alias", alias]).unwrap();
        let guest = Self { space, mac };
        guest.pretend(mac);
        guest
    }

    /// Its adapter's hardware address.
    pub fn mac(&self) -> Mac {
        self.mac
    }

    /// It sends from another hardware address.
    pub fn pretend(&self, mac: Mac) {
        let set = ["link", "set", "dev", "eth0", "address", &mac.to_string(), "up"];
        self.space.ip(&set).unwrap();
    }

    /// It takes an address, and does not wait until it knows that nobody else has it.
    pub fn take(&self, address: &str) {
        let mut words = vec!["addr", "add", address, "dev", "eth0"];
        if address.contains(':') {
            words.push("nodad");
        }
        self.space.ip(&words).unwrap();
    }

    fn socket(&self, address: SocketAddr) -> UdpSocket {
        self.space.inside(move || Ok(UdpSocket::bind(address)?)).unwrap()
    }

    /// Whether what it sends to an address of the other arrives; tried until it does.
    pub fn reaches(&self, other: &Self, address: IpAddr) -> bool {
        let sent = self.shout(other, address);
        let arrived = wait::until_some("a packet to arrive", wait::PATIENCE, || {
            let again = self.shout(other, address);
            (sent.arrived() + again.arrived() > 0).then_some(())
        });
        arrived.is_ok()
    }

    /// Sends something to an address of the other.
    pub fn shout(&self, other: &Self, address: IpAddr) -> Sent {
        let receiver = other.socket(SocketAddr::new(address, 0));
        receiver.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
        let port = receiver.local_addr().unwrap().port();
        let any: SocketAddr = match address {
            IpAddr::V4(_) => "0.0.0.0:0".parse().unwrap(),
            IpAddr::V6(_) => "[::]:0".parse().unwrap(),
        };
        // Whether it can be sent at all is part of the question.
        let _ = self.socket(any).send_to(b"hello", (address, port));
        Sent { receiver }
    }
}

impl Sent {
    /// How many packets have arrived.
    pub fn arrived(&self) -> usize {
        let mut buffer = [0; 16];
        std::iter::from_fn(|| self.receiver.recv(&mut buffer).ok()).count()
    }
}
