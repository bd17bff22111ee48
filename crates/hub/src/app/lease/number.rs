//! Numbers of addresses, as pure functions.
//!
//! The **number** of an address is its distance from the first address of its range: `10.15.0.20` of `10.15.0.0/21` has 20. A
//! machine has one number in a segment, and with it an address of each family: `10.15.0.20` goes with `fd00::14`.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use renkei_types::network::Range;
use renkei_types::segment::Segment;

/// The network's address and the gateway's have 0 and 1 in both families; machines get what follows.
pub const FIRST: u128 = 2;

/// The number of `address` in `range`; none if it is not in it.
pub fn number(range: &Range, address: IpAddr) -> Option<u128> {
    let bits = |address: IpAddr| match address {
        IpAddr::V4(address) => u128::from(address.to_bits()),
        IpAddr::V6(address) => address.to_bits(),
    };
    range.has(address).then(|| bits(address) - bits(range.address()))
}

/// The address with this number in `range`; none if there is no such number.
pub fn address(range: &Range, number: u128) -> Option<IpAddr> {
    let address = match range.address() {
        IpAddr::V4(first) => {
            let number = u32::try_from(number).ok()?;
            IpAddr::V4(Ipv4Addr::from_bits(first.to_bits().checked_add(number)?))
        }
        IpAddr::V6(first) => IpAddr::V6(Ipv6Addr::from_bits(first.to_bits().checked_add(number)?)),
    };
    range.has(address).then_some(address)
}

/// Whether a machine can have the address with this number in `range`.
pub fn usable(range: &Range, number: u128) -> bool {
    let last_is_free = !range.is_v4();
    number >= FIRST && address(range, number).is_some_and(|address| last_is_free || address != range.last())
}

/// What machines of a segment can have, and what of it is taken.
#[derive(Clone, Debug)]
pub struct Numbers {
    v4: Range,
    v6: Option<Range>,
    taken: BTreeSet<u128>,
    /// Whatever is smaller is taken.
    next: u128,
}

impl Numbers {
    /// Those of `segment`, in which these addresses are taken.
    pub fn new(segment: &Segment, taken: impl IntoIterator<Item = IpAddr>) -> Self {
        let mut numbers = Self {
            v4: segment.v4,
            v6: segment.v6,
            taken: BTreeSet::new(),
            next: FIRST,
        };
        for address in taken {
            numbers.taken.extend(numbers.of(address));
        }
        numbers
    }

    /// The number of an address of the segment.
    pub fn of(&self, address: IpAddr) -> Option<u128> {
        let range = if address.is_ipv4() { Some(self.v4) } else { self.v6 };
        number(&range?, address)
    }

    /// Whether a machine can have this number: it needs an address of IPv4.
    pub fn has(&self, number: u128) -> bool {
        usable(&self.v4, number)
    }

    /// Whether this number is taken.
    pub fn is_taken(&self, number: u128) -> bool {
        self.taken.contains(&number)
    }

    /// Takes the first free number.
    pub fn take_first(&mut self) -> Option<u128> {
        while self.taken.contains(&self.next) {
            self.next += 1;
        }
        let number = self.next;
        self.has(number).then(|| {
            self.taken.insert(number);
            number
        })
    }

    /// Takes this number.
    pub fn take(&mut self, number: u128) {
        self.taken.insert(number);
    }

    /// The addresses with this number, that of IPv4 first.
    pub fn addresses(&self, number: u128) -> Vec<IpAddr> {
        let ranges = [Some(self.v4), self.v6].into_iter().flatten();
        ranges.filter_map(|range| address(&range, number)).collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn range(text: &str) -> Range {
        text.parse().unwrap()
    }

    #[test]
    fn both_families_have_the_same_number() {
        let (v4, v6) = (range("10.15.0.0/21"), range("fd00:15::/64"));
        assert_eq!(number(&v4, "10.15.0.20".parse().unwrap()), Some(20));
        assert_eq!(address(&v6, 20).unwrap().to_string(), "fd00:15::14");
        assert_eq!(number(&v4, "10.15.8.0".parse().unwrap()), None);
        assert_eq!(address(&v4, 2048), None);
    }

    #[test]
    fn neither_the_network_nor_the_gateway_nor_the_broadcast_address_is_a_machines() {
        let small = range("192.168.0.8/29");
        let usable: Vec<u128> = (0..10).filter(|number| usable(&small, *number)).collect();
        assert_eq!(usable, [2, 3, 4, 5, 6]);
        assert_eq!(Segment::gateway(&small), address(&small, 1));
        assert_eq!(Segment::gateway(&range("fd00::/64")), address(&range("fd00::/64"), 1));
    }

    proptest! {
        #[test]
        fn an_address_is_found_again_by_its_number(base in any::<u32>(), prefix in 8_u8..=29, number in any::<u32>()) {
            let range = Range::new(IpAddr::V4(Ipv4Addr::from_bits(base)), prefix).unwrap();
            let wanted = u128::from(number);
            match address(&range, wanted) {
                Some(address) => prop_assert_eq!(super::number(&range, address), Some(wanted)),
                None => prop_assert!(wanted >= 1 << (32 - prefix)),
            }
        }
    }
}
