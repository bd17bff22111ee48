//! What a guest may send: the table `bridge renkei` in the namespace of the switch.
//!
//! Each tap has a chain. What it drops is counted there:
//!
//! - `mac`: frames from another hardware address than the adapter's, and ARP that names another as the sender's. Frames with a VLAN
//!   tag as well, as what is in them is not looked at here, and a guest would read the inside of one with number 0.
//! - `gateway`: whoever says that he is the gateway: packets, ARP and neighbour discovery from its addresses, router advertisements
//!   (RFC 4861, section 4.2), and what DHCP servers send.
//!
//! - `range`: packets and ARP from addresses that are not of the segment. Who has none yet sends from 0.0.0.0 or `::`, and IPv6 has
//!   addresses for the link alone.
//!
//! - `claim`: the same from addresses of the segment that were not issued to this adapter, and neighbour advertisements for them. Each is
//!   remembered as a *claim* for an hour after its last packet: somebody may decide to issue it.
//!
//! What is left is let through, and addresses of the segment in it are learned for the tap: the sender's of ARP (RFC 826), the source
//! of IPv4 and IPv6, and the target of neighbour advertisements. Neither an ARP probe, whose sender is 0.0.0.0 (RFC 5227), nor the
//! solicitation of an address that is only tried (RFC 4862, section 5.4.2) is a use of the address.

use std::collections::BTreeMap;
use std::net::IpAddr;

use renkei_types::network::{Mac, Range};
use renkei_types::segment::Segment;
use serde_json::{Value, json};

use super::label::Tap;
use super::rule::{field, is, is_not, one_of, within};
use super::switch::Switch;
use super::table::{Chain, Hook, Learned, Listing, Table};

/// The family and the name of the table.
pub(super) const FAMILY: &str = "bridge";
pub(super) const NAME: &str = "renkei";

/// How many addresses of one family are remembered of an adapter. A guest that uses more is not stopped by that.
const MOST: u32 = 64;
/// For how long an address is remembered that was not used again, seconds: longer than a machine is on.
const REMEMBERED: u32 = 365 * 24 * 3600;
/// For how long a claim is remembered, seconds.
const CLAIMED: u32 = 3600;
/// What was used so many seconds before the latest packet of its family is no longer in use.
const CURRENT: u64 = 60;

/// How many frames of an adapter were dropped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dropped {
    /// From another hardware address than the adapter's.
    pub mac: u64,
    /// That said to be the gateway.
    pub gateway: u64,
    /// From an address that is not of the segment.
    pub range: u64,
    /// From an address of the segment that was not issued to the adapter.
    pub claim: u64,
}

/// The table that a switch needs.
pub(super) fn table(switch: &Switch) -> Table {
    let mut table = Table {
        family: FAMILY,
        name: NAME.to_owned(),
        learned: Vec::new(),
        counters: Vec::new(),
        chains: Vec::new(),
    };
    let mut jumps = Vec::new();
    for tap in switch.taps.values() {
        let ranges = switch.bridges.get(&tap.segment).map(|bridge| bridge.ranges.as_slice());
        let names = Names::of(&tap.name());
        table.learned.extend([
            set(&names.seen4, "ipv4_addr", REMEMBERED),
            set(&names.seen6, "ipv6_addr", REMEMBERED),
            set(&names.claim4, "ipv4_addr", CLAIMED),
            set(&names.claim6, "ipv6_addr", CLAIMED),
        ]);
        table.counters.push(names.mac.clone());
        table.counters.push(names.gateway.clone());
        table.counters.push(names.range.clone());
        table.counters.push(names.claim.clone());
        jumps.push(json!([tap.name(), { "goto": { "target": names.chain } }]));
        table.chains.push(Chain {
            rules: rules(tap, ranges.unwrap_or_default(), &names),
            name: names.chain,
            hook: None,
        });
    }
    let mut enter = Vec::new();
    if !jumps.is_empty() {
        enter.push(json!([{ "vmap": { "key": { "meta": { "key": "iifname" } }, "data": { "set": jumps } } }]));
    }
    // A tap that has no chain, yet or any more.
    enter.push(json!([is(json!({ "meta": { "key": "iifname" } }), json!("t*")), { "drop": null }]));
    table.chains.push(Chain {
        name: "enter".to_owned(),
        // Where the bridge's own filters are (linux/netfilter_bridge.h).
        hook: Some(Hook {
            of: "filter",
            at: "prerouting",
            priority: -200,
            policy: "accept",
        }),
        rules: enter,
    });
    table
}

/// What there is of a tap in the table.
struct Names {
    chain: String,
    seen4: String,
    seen6: String,
    claim4: String,
    claim6: String,
    mac: String,
    gateway: String,
    range: String,
    claim: String,
}

impl Names {
    fn of(tap: &str) -> Self {
        Self {
            chain: format!("from-{tap}"),
            seen4: format!("seen4-{tap}"),
            seen6: format!("seen6-{tap}"),
            mac: format!("mac-{tap}"),
            gateway: format!("gateway-{tap}"),
            range: format!("range-{tap}"),
            claim: format!("claim-{tap}"),
            claim4: format!("claim4-{tap}"),
            claim6: format!("claim6-{tap}"),
        }
    }
}

fn set(name: &str, of: &'static str, seconds: u32) -> Learned {
    Learned {
        name: name.to_owned(),
        of,
        size: MOST,
        seconds,
    }
}

/// The target of neighbour discovery: 16 bytes behind the first 8 (RFC 4861, sections 4.3 and 4.4). nft 1.0.6 has no word for it.
fn target(bits: u32) -> Value {
    json!({ "payload": { "base": "th", "offset": 64, "len": bits } })
}

fn hexadecimal(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => format!("{:#010x}", address.to_bits()),
        IpAddr::V6(address) => format!("{:#034x}", address.to_bits()),
    }
}

fn rules(tap: &Tap, ranges: &[Range], names: &Names) -> Vec<Value> {
    let mac = json!(tap.mac.to_string());
    let drop = |matches: &[Value], counter: &str| {
        let mut rule = matches.to_vec();
        rule.extend([json!({ "counter": counter }), json!({ "drop": null })]);
        Value::Array(rule)
    };
    let discovery = |types: &[&str]| is(field("icmpv6", "type"), json!({ "set": types }));
    let mut rules = vec![
        drop(&[is_not(field("ether", "saddr"), mac.clone())], &names.mac),
        drop(
            &[is(field("ether", "type"), json!({ "set": ["8021q", "8021ad"] }))],
            &names.mac,
        ),
        drop(&[is_not(field("arp", "saddr ether"), mac)], &names.mac),
        drop(
            &[is(field("icmpv6", "type"), json!("nd-router-advert"))],
            &names.gateway,
        ),
        drop(
            &[
                is(field("udp", "sport"), json!(67)),
                is(field("udp", "dport"), json!(68)),
            ],
            &names.gateway,
        ),
        drop(
            &[
                is(field("udp", "sport"), json!(547)),
                is(field("udp", "dport"), json!(546)),
            ],
            &names.gateway,
        ),
    ];
    for gateway in ranges.iter().filter_map(Segment::gateway) {
        let address = json!(gateway.to_string());
        match gateway {
            IpAddr::V4(_) => {
                rules.push(drop(&[is(field("arp", "saddr ip"), address.clone())], &names.gateway));
                rules.push(drop(&[is(field("ip", "saddr"), address)], &names.gateway));
            }
            IpAddr::V6(_) => {
                rules.push(drop(&[is(field("ip6", "saddr"), address)], &names.gateway));
                rules.push(drop(
                    &[
                        discovery(&["nd-neighbor-advert"]),
                        is(target(128), json!(hexadecimal(gateway))),
                    ],
                    &names.gateway,
                ));
            }
        }
    }
    if !ranges.is_empty() {
        let of = |v4: bool| ranges.iter().filter(move |range| range.is_v4() == v4).map(within);
        let v4: Vec<Value> = of(true).chain([json!("0.0.0.0")]).collect();
        let local = json!({ "prefix": { "addr": "fe80::", "len": 10 } });
        let v6: Vec<Value> = of(false).chain([local, json!("::")]).collect();
        for (source, from) in [
            (field("arp", "saddr ip"), &v4),
            (field("ip", "saddr"), &v4),
            (field("ip6", "saddr"), &v6),
        ] {
            rules.push(drop(&[is_not(source, one_of(from.iter().cloned()))], &names.range));
        }
    }
    for range in ranges {
        rules.extend(uses(tap, range, names));
    }
    rules
}

/// What uses an address of the segment: learned where it was issued to the adapter, remembered and dropped where it was not.
fn uses(tap: &Tap, range: &Range, names: &Names) -> Vec<Value> {
    let v4 = range.is_v4();
    let (seen, claims) = match v4 {
        true => (&names.seen4, &names.claim4),
        false => (&names.seen6, &names.claim6),
    };
    let issued: Vec<IpAddr> = tap
        .addresses
        .iter()
        .copied()
        .filter(|address| range.has(*address))
        .collect();
    let update =
        |set: &str, address: &Value| json!({ "set": { "op": "update", "elem": address, "set": format!("@{set}") } });
    let mut rules = Vec::new();
    let mut add = |within: &[Value], address: Value, plain: &dyn Fn(IpAddr) -> Value| {
        let mine: Vec<Value> = issued.iter().map(|one| plain(*one)).collect();
        let others = (!mine.is_empty()).then(|| is_not(address.clone(), one_of(mine)));
        let claimed: Vec<Value> = within.iter().cloned().chain(others).collect();
        // A rule ends where it cannot remember any more, so that the one that drops is another one.
        for what in [
            vec![update(claims, &address)],
            vec![json!({ "counter": names.claim }), json!({ "drop": null })],
        ] {
            rules.push(Value::Array(claimed.iter().cloned().chain(what).collect()));
        }
        if !issued.is_empty() {
            rules.push(Value::Array(
                within.iter().cloned().chain([update(seen, &address)]).collect(),
            ));
        }
    };
    let written = |one: IpAddr| json!(one.to_string());
    let protocols: &[&str] = if v4 { &["arp", "ip"] } else { &["ip6"] };
    for protocol in protocols {
        let source = field(protocol, if *protocol == "arp" { "saddr ip" } else { "saddr" });
        add(&[is(source.clone(), within(range))], source, &written);
    }
    if let IpAddr::V6(first) = range.address() {
        // nft cannot compare a raw field with a prefix, but it can look at so many bits less.
        let prefix = u32::from(range.prefix());
        let bits = format!("{:#x}", first.to_bits().checked_shr(128 - prefix).unwrap_or_default());
        let advert = is(field("icmpv6", "type"), json!("nd-neighbor-advert"));
        let matches = [advert, is(target(prefix), json!(bits))];
        add(&matches, target(128), &|one| json!(hexadecimal(one)));
    }
    rules
}

/// The addresses that each adapter uses, IPv4 before IPv6, the one that was used last first.
pub(super) fn seen(switch: &Switch, listing: &Listing) -> BTreeMap<Mac, Vec<IpAddr>> {
    let mut seen = BTreeMap::new();
    for tap in switch.taps.values() {
        let names = Names::of(&tap.name());
        let addresses: &mut Vec<IpAddr> = seen.entry(tap.mac).or_default();
        for set in [&names.seen4, &names.seen6] {
            let read = |(text, expires): (String, u64)| Some((text.parse().ok()?, expires));
            let learned = listing.learned(set).into_iter().filter_map(read).collect();
            addresses.extend(current(learned));
        }
    }
    seen
}

/// The addresses that each adapter has claimed of late.
pub(super) fn claims(switch: &Switch, listing: &Listing) -> BTreeMap<Mac, Vec<IpAddr>> {
    let mut claims = BTreeMap::new();
    for tap in switch.taps.values() {
        let names = Names::of(&tap.name());
        let sets = [&names.claim4, &names.claim6].into_iter();
        let learned = sets.flat_map(|set| listing.learned(set));
        // One that was issued meanwhile is no claim any more.
        let open = learned
            .filter_map(|(text, _)| text.parse().ok())
            .filter(|one| !tap.addresses.contains(one));
        let open: Vec<IpAddr> = open.collect();
        if !open.is_empty() {
            claims.insert(tap.mac, open);
        }
    }
    claims
}

/// Of addresses and the seconds in which each is forgotten those that are in use, the latest first.
fn current(mut learned: Vec<(IpAddr, u64)>) -> Vec<IpAddr> {
    learned.sort_by_key(|(address, expires)| (std::cmp::Reverse(*expires), *address));
    let latest = learned.first().map_or(0, |(_, expires)| *expires);
    let current = learned.into_iter().filter(|(_, expires)| expires + CURRENT >= latest);
    current.map(|(address, _)| address).collect()
}

/// What was dropped of each adapter's since it was plugged in.
pub(super) fn dropped(switch: &Switch, listing: &Listing) -> BTreeMap<Mac, Dropped> {
    let of = |tap: &Tap| {
        let names = Names::of(&tap.name());
        let dropped = Dropped {
            mac: listing.counted(&names.mac),
            gateway: listing.counted(&names.gateway),
            range: listing.counted(&names.range),
            claim: listing.counted(&names.claim),
        };
        (tap.mac, dropped)
    };
    switch.taps.values().map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_used_last_comes_first_and_what_was_left_goes() {
        let address = |last: u8| IpAddr::from([10, 15, 0, last]);
        let learned = vec![(address(5), 900), (address(7), 1000), (address(6), 941)];
        assert_eq!(current(learned), [address(7), address(6)]);
        assert_eq!(current(vec![]), Vec::<IpAddr>::new());
    }
}
