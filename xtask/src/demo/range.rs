//! The addresses between this computer and the networks of its machines.

use std::net::Ipv4Addr;
use std::process::Command;

use anyhow::{Context, Result};

use crate::tool;

/// Bits of the prefix.
const PREFIX: u32 = 20;
/// The one that `renkei up` takes by itself, and then the others of 198.18.0.0/15: a hub of the user's own may run here already.
const FIRST: Ipv4Addr = Ipv4Addr::new(198, 18, 240, 0);
const ALL: (Ipv4Addr, u32) = (Ipv4Addr::new(198, 18, 0, 0), 15);

/// A range that leads nowhere else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range(Ipv4Addr);

impl Range {
    /// One to which this computer has no route yet.
    pub fn free() -> Result<Self> {
        let routes = tool::output(Command::new("ip").args(["-4", "-j", "route", "show", "table", "all"]))?;
        let routes: serde_json::Value = serde_json::from_str(&routes).context("cannot understand `ip -j route`")?;
        let routes = routes.as_array().into_iter().flatten();
        let used: Vec<&str> = routes.filter_map(|route| route["dst"].as_str()).collect();
        Self::beside(&used).context("every range between 198.18.0.0 and 198.19.255.255 is used on this computer")
    }

    fn beside(used: &[&str]) -> Option<Self> {
        let step = 1 << (32 - PREFIX);
        let (first, prefix) = ALL;
        let all = (0..1 << (PREFIX - prefix)).map(|number: u32| Ipv4Addr::from_bits(first.to_bits() + number * step));
        let mut ranges = [FIRST].into_iter().chain(all);
        let used: Vec<(u32, u32)> = used.iter().filter_map(|route| read(route)).collect();
        let is_free = |range: &Ipv4Addr| {
            let range = range.to_bits();
            used.iter()
                .all(|(other, prefix)| differ(range, *other, (*prefix).min(PREFIX)))
        };
        ranges.find(is_free).map(Self)
    }

    /// As `--transit` takes it; nothing where it is the one that is taken without.
    pub fn unusual(self) -> Option<String> {
        (self.0 != FIRST).then(|| format!("{}/{PREFIX}", self.0))
    }

    /// This computer's own address in it.
    pub fn own(self) -> Ipv4Addr {
        Ipv4Addr::from_bits(self.0.to_bits() + 1)
    }

    /// One for a machine.
    pub fn outside(self) -> Ipv4Addr {
        Ipv4Addr::from_bits(self.0.to_bits() + 5 * 256 + 7)
    }
}

/// Whether the first bits, of which there are `prefix`, are not the same.
fn differ(one: u32, other: u32, prefix: u32) -> bool {
    (one ^ other).checked_shr(32 - prefix).unwrap_or(0) != 0
}

/// The default route leads to everything that is not used here, so it is none of them.
fn read(route: &str) -> Option<(u32, u32)> {
    let (address, prefix) = route.split_once('/').unwrap_or((route, "32"));
    let address: Ipv4Addr = address.parse().ok()?;
    Some((address.to_bits(), prefix.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn beside(used: &[&str]) -> Option<String> {
        Range::beside(used).map(|range| range.0.to_string())
    }

    #[test]
    fn a_range_is_free_if_no_route_but_the_default_one_leads_there() {
        assert_eq!(
            beside(&["default", "10.0.0.0/8", "198.20.0.0/15"]).unwrap(),
            "198.18.240.0"
        );
        assert_eq!(beside(&["198.18.240.0/20"]).unwrap(), "198.18.0.0");
        assert_eq!(beside(&["198.18.240.0/24", "198.18.0.9"]).unwrap(), "198.18.16.0");
        assert_eq!(beside(&["198.18.0.0/16"]).unwrap(), "198.19.0.0");
        assert_eq!(beside(&["198.16.0.0/12"]), None);
    }

    #[test]
    fn what_is_unusual_has_to_be_said() {
        let usual = Range(FIRST);
        assert_eq!((usual.unusual(), usual.own()), (None, Ipv4Addr::new(198, 18, 240, 1)));
        assert_eq!(usual.outside(), Ipv4Addr::new(198, 18, 245, 7));
        let other = Range::beside(&["198.18.0.0/16"]).unwrap();
        assert_eq!(other.unusual().unwrap(), "198.19.0.0/20");
    }
}
