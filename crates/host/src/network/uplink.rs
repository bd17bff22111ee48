//! Where the networks of a site meet the outside: what its operator says.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};

use renkei_types::network::Range;

/// The transit range without another: of those for measuring devices (RFC 2544, appendix C.2.2), which no site should use otherwise.
const TRANSIT: (Ipv4Addr, u8) = (Ipv4Addr::new(198, 18, 240, 0), 20);

/// Where the networks of a site meet the outside. The gateway host has it, the others do not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Uplink {
    /// How.
    pub outside: Outside,
    /// The addresses on it; the projects' own ones are of these.
    pub v4: Range,
    /// Where on it everything else is. With [`Outside::Host`] the host has this address.
    pub router: IpAddr,
    /// From where each project has one address, from which its machines are seen outside. Within `v4`, or the same.
    pub snat_pool: Range,
    /// For IPv6.
    pub v6: Option<UplinkV6>,
    /// Bytes in the largest packet.
    pub mtu: u16,
    /// Name servers for segments that have none of their own.
    pub dns: Vec<IpAddr>,
    /// Time servers for segments that have none of their own.
    pub ntp: Vec<IpAddr>,
    /// Where the segments' name services have their configuration.
    pub folder: PathBuf,
}

/// IPv6 outside: routed, never translated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UplinkV6 {
    /// The addresses on the uplink, /96 or shorter.
    pub range: Range,
    /// Where on it everything else is. With [`Outside::Host`] the host has this address.
    pub router: IpAddr,
    /// What is given to the site: segments within it are reached from outside, as far as their rules allow.
    pub prefix: Range,
}

/// What is at the other end of the uplink.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outside {
    /// The host, which forwards and masquerades.
    Host {
        /// The one link that appears in the host's own namespace, at most 15 bytes.
        link: String,
        /// The link by which the host reaches the outside: what comes back on it is forwarded too. Without, the host itself is all that can
        /// be reached, unless it forwards already.
        by: Option<String>,
    },
    /// A link that is given to the networks: it leaves the host's namespace.
    Link(String),
}

impl Uplink {
    /// The default: the host forwards and masquerades what comes from a transit range that only it knows.
    pub fn transit(link: &str, by: Option<&str>, folder: &Path) -> Self {
        let (address, prefix) = TRANSIT;
        let v4 = Range::new(address.into(), prefix).unwrap_or(Range::of(address.into()));
        Self {
            outside: Outside::Host {
                link: link.to_owned(),
                by: by.map(str::to_owned),
            },
            v4,
            router: v4.hosts().next().unwrap_or(v4.address()),
            snat_pool: v4,
            v6: None,
            mtu: 1500,
            dns: Vec::new(),
            ntp: Vec::new(),
            folder: folder.to_owned(),
        }
    }

    /// The IPv6 address on the uplink of the project that has this IPv4 address there: that address in the last 32 bits.
    pub(super) fn beside(&self, own: IpAddr) -> Option<IpAddr> {
        match (&self.v6, own) {
            (Some(v6), IpAddr::V4(own)) => match v6.range.address() {
                IpAddr::V6(first) => {
                    let bits = first.to_bits() | u128::from(own.to_bits());
                    Some(Ipv6Addr::from_bits(bits).into())
                }
                IpAddr::V4(_) => None,
            },
            _ => None,
        }
    }
}
