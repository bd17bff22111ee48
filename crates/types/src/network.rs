//! Words that all network nouns share: address ranges, hardware addresses, protocols, ports.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A range of addresses as `address/prefix`. What stands behind the prefix is cut off: `10.0.1.7/21` is `10.0.0.0/21`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(try_from = "String", into = "String")]
#[schema(value_type = String, example = "10.15.0.0/21")]
pub struct Range(IpNet);

/// A text that is no range of addresses.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{0}` is not a range of addresses: write it as `10.15.0.0/21` or `2001:db8::/64`")]
pub struct NotARange(pub String);

impl Range {
    /// The range around `address` with this prefix; nothing if the prefix is too long for the address.
    pub fn new(address: IpAddr, prefix: u8) -> Option<Self> {
        IpNet::new(address, prefix).ok().map(|net| Self(net.trunc()))
    }

    /// A single address.
    pub fn of(address: IpAddr) -> Self {
        Self(IpNet::from(address))
    }

    /// Every address of the same family as `like`.
    pub fn any(like: IpAddr) -> Self {
        let unspecified: IpAddr = match like {
            IpAddr::V4(_) => std::net::Ipv4Addr::UNSPECIFIED.into(),
            IpAddr::V6(_) => std::net::Ipv6Addr::UNSPECIFIED.into(),
        };
        Self::new(unspecified, 0).unwrap_or(Self::of(unspecified))
    }

    /// Its first address.
    pub fn address(&self) -> IpAddr {
        self.0.network()
    }

    /// Its last address: the broadcast address where there is one.
    pub fn last(&self) -> IpAddr {
        self.0.broadcast()
    }

    /// How many leading bits are fixed.
    pub fn prefix(&self) -> u8 {
        self.0.prefix_len()
    }

    /// Whether it has this address.
    pub fn has(&self, address: IpAddr) -> bool {
        self.0.contains(&address)
    }

    /// Whether some address is in both.
    pub fn overlaps(&self, other: &Self) -> bool {
        self.has(other.address()) || other.has(self.address())
    }

    /// Whether it has all of these addresses.
    pub fn holds(&self, other: &Self) -> bool {
        self.has(other.address()) && self.prefix() <= other.prefix()
    }

    /// The addresses that are in both: of two ranges that share an address, one has the other.
    pub fn common(&self, other: &Self) -> Option<Self> {
        match (self.holds(other), other.holds(self)) {
            (true, _) => Some(*other),
            (false, true) => Some(*self),
            (false, false) => None,
        }
    }

    /// Whether it is of IPv4.
    pub fn is_v4(&self) -> bool {
        self.address().is_ipv4()
    }

    /// Its addresses that a machine can have, in their order: without the network's and the broadcast address of IPv4, without the
    /// subnet-router anycast address of IPv6 (RFC 4291, section 2.6.1). Do not collect a /64.
    pub fn hosts(&self) -> impl Iterator<Item = IpAddr> {
        let skip = usize::from(!self.is_v4() && self.prefix() < 127);
        self.0.hosts().skip(skip)
    }
}

impl FromStr for Range {
    type Err = NotARange;

    fn from_str(text: &str) -> Result<Self, NotARange> {
        let net = match text.parse::<IpAddr>() {
            Ok(address) => IpNet::from(address),
            Err(_) => text.parse::<IpNet>().map_err(|_| NotARange(text.to_owned()))?,
        };
        Ok(Self(net.trunc()))
    }
}

impl TryFrom<String> for Range {
    type Error = NotARange;

    fn try_from(text: String) -> Result<Self, NotARange> {
        text.parse()
    }
}

impl From<Range> for String {
    fn from(range: Range) -> Self {
        range.to_string()
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0.to_string())
    }
}

/// A hardware address: six bytes, written `52:54:00:12:34:56`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(try_from = "String", into = "String")]
#[schema(value_type = String, pattern = "^([0-9a-f]{2}:){5}[0-9a-f]{2}$", example = "52:54:00:12:34:56")]
pub struct Mac(pub [u8; 6]);

/// A text that is no hardware address.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{0}` is not a hardware address: write it as `52:54:00:12:34:56`")]
pub struct NotAMac(pub String);

impl Mac {
    /// A locally administered unicast address with QEMU's prefix 52:54:00 from three drawn bytes.
    pub fn drawn(drawn: [u8; 3]) -> Self {
        let [a, b, c] = drawn;
        Self([0x52, 0x54, 0x00, a, b, c])
    }
}

impl FromStr for Mac {
    type Err = NotAMac;

    fn from_str(text: &str) -> Result<Self, NotAMac> {
        let refused = || NotAMac(text.to_owned());
        let mut bytes = [0; 6];
        let mut parts = text.split(':');
        for byte in &mut bytes {
            let part = parts.next().filter(|part| part.len() == 2).ok_or_else(refused)?;
            *byte = u8::from_str_radix(part, 16).map_err(|_| refused())?;
        }
        match parts.next() {
            None => Ok(Self(bytes)),
            Some(_) => Err(refused()),
        }
    }
}

impl TryFrom<String> for Mac {
    type Error = NotAMac;

    fn try_from(text: String) -> Result<Self, NotAMac> {
        text.parse()
    }
}

impl From<Mac> for String {
    fn from(mac: Mac) -> Self {
        mac.to_string()
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

/// What a packet is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// ICMP, or ICMPv6 between IPv6 addresses.
    Icmp,
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Icmp => "icmp",
        })
    }
}

/// Ports: `any`, one (`443`), or a range (`8000-8080`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(try_from = "String", into = "String")]
#[schema(value_type = String, pattern = "^(any|[0-9]{1,5}(-[0-9]{1,5})?)$", example = "443")]
pub struct Ports(Option<(u16, u16)>);

/// A text that names no ports.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{0}` names no ports: write `any`, a port from 1 to 65535, or a range such as `8000-8080`")]
pub struct NotPorts(pub String);

impl Ports {
    /// Every port.
    pub const ANY: Self = Self(None);

    /// The first and the last; nothing for every port.
    pub fn span(self) -> Option<(u16, u16)> {
        self.0
    }

    /// Whether it has this port.
    pub fn has(self, port: u16) -> bool {
        self.0.is_none_or(|(first, last)| (first..=last).contains(&port))
    }

    /// Whether it has all of these ports.
    pub fn holds(self, other: Self) -> bool {
        match (self.0, other.0) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some((first, last)), Some((lower, upper))) => first <= lower && upper <= last,
        }
    }
}

impl FromStr for Ports {
    type Err = NotPorts;

    fn from_str(text: &str) -> Result<Self, NotPorts> {
        let refused = || NotPorts(text.to_owned());
        if text.eq_ignore_ascii_case("any") {
            return Ok(Self::ANY);
        }
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        let port = |text: &str| {
            text.trim()
                .parse::<u16>()
                .ok()
                .filter(|port| *port > 0)
                .ok_or_else(refused)
        };
        let (first, last) = (port(first)?, port(last)?);
        if first > last {
            return Err(refused());
        }
        Ok(Self(Some((first, last))))
    }
}

impl TryFrom<String> for Ports {
    type Error = NotPorts;

    fn try_from(text: String) -> Result<Self, NotPorts> {
        text.parse()
    }
}

impl From<Ports> for String {
    fn from(ports: Ports) -> Self {
        ports.to_string()
    }
}

impl fmt::Display for Ports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            None => f.pad("any"),
            Some((first, last)) if first == last => f.pad(&first.to_string()),
            Some((first, last)) => f.pad(&format!("{first}-{last}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_cut_at_its_prefix() {
        let range: Range = "10.0.1.7/21".parse().unwrap();
        assert_eq!(range.to_string(), "10.0.0.0/21");
        assert!(range.has("10.0.7.255".parse().unwrap()));
        assert!(!range.has("10.0.8.0".parse().unwrap()));
        assert_eq!("10.0.0.1".parse::<Range>().unwrap().prefix(), 32);
        for text in ["", "10.0.0.0/33", "lab", "10.0.0/8"] {
            assert!(text.parse::<Range>().is_err(), "{text}");
        }
    }

    #[test]
    fn of_two_ranges_that_meet_one_holds_the_other() {
        let range = |text: &str| text.parse::<Range>().unwrap();
        let (wide, narrow) = (range("10.0.0.0/8"), range("10.15.0.0/21"));
        assert!(wide.holds(&narrow) && wide.holds(&wide) && !narrow.holds(&wide));
        assert_eq!(wide.common(&narrow), Some(narrow));
        assert_eq!(narrow.common(&wide), Some(narrow));
        for apart in ["192.0.2.0/24", "::/0"] {
            assert_eq!(wide.common(&range(apart)), None);
        }
    }

    #[test]
    fn ports_hold_what_is_between_their_ends() {
        let ports = |text: &str| text.parse::<Ports>().unwrap();
        assert!(Ports::ANY.holds(ports("22")) && !ports("1-65535").holds(Ports::ANY));
        assert!(ports("20-22").holds(ports("22")) && !ports("20-22").holds(ports("22-23")));
    }

    #[test]
    fn machines_get_neither_the_first_nor_the_broadcast_address() {
        let hosts = |text: &str| -> Vec<String> {
            let range: Range = text.parse().unwrap();
            range.hosts().map(|address| address.to_string()).collect()
        };
        assert_eq!(hosts("10.0.0.0/30"), ["10.0.0.1", "10.0.0.2"]);
        assert_eq!(hosts("2001:db8::/126"), ["2001:db8::1", "2001:db8::2", "2001:db8::3"]);
    }

    #[test]
    fn ports_are_read_in_any_case_and_written_in_one() {
        assert_eq!("Any".parse::<Ports>().unwrap().to_string(), "any");
        assert_eq!("8000-8080".parse::<Ports>().unwrap().to_string(), "8000-8080");
        assert!("22".parse::<Ports>().unwrap().has(22));
        for text in ["0", "2-1", "65536", "-1", "x", ""] {
            assert!(text.parse::<Ports>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_hardware_address_is_read_back() {
        let mac: Mac = "52:54:00:AB:cd:01".parse().unwrap();
        assert_eq!(mac.to_string(), "52:54:00:ab:cd:01");
        for text in ["", "52:54:00:ab:cd", "52:54:00:ab:cd:01:02", "52:54:00:ab:cd:1"] {
            assert!(text.parse::<Mac>().is_err(), "{text}");
        }
    }
}
