//! What passes the gateway of a project: the table `inet renkei` in the gateway's namespace. A pure function of what is meant.
//!
//! | chain | for | what |
//! | --- | --- | --- |
//! | `claimed` | all that comes in | what says that it comes from where it cannot come from goes |
//! | `mapped` | first packets | outside addresses become inside ones |
//! | `passing` | all that goes through | by its direction to `there` or `back`; without a rule it goes |
//! | `there` | packets in the direction of a flow's first one | out: passes; into a segment: to the segment's rules |
//! | `back` | packets in the other direction | of a flow out: passes; of one into a segment: to its rules, turned round |
//! | `into-…`, `from-…` | a segment's rules, and the same turned round | |
//! | `own` | what is for the gateway itself | DHCP, DNS, ICMP from the segments |
//! | `leaving` | first packets that have passed | the project's own address outside; what goes back into its segment comes from the gateway |
//!
//! **A rule that goes ends the flows that it let in.** So a flow into a segment is not let through because it is an old one: it carries a
//! mark that names the whole set of rules by which it was let in, and as long as that is the set there is, it passes. Once the set is
//! another one, its next packet, in whichever direction, has to pass the rules again. A mapping counts as long as it is there:
//! of a mapped flow, outside and inside address must be one of the mappings that there are. This needs nothing but the transaction that
//! changes the rules, and holds from that moment. What is taken up in the middle of a flow that is not known is dropped
//! (`nf_conntrack_tcp_loose` is 0): a machine's answers would otherwise begin a flow out.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::IpAddr;

use renkei_types::acl::Allowed;
use renkei_types::agent::SegmentIntent;
use renkei_types::id::AclId;
use renkei_types::network::{Protocol, Range};
use renkei_types::segment::Segment;
use serde_json::{Value, json};

use super::rule::{
    accept, at_first, branch, drop, field, flow, goto, has, is, is_not, meta, one_of, pair, ports, rule, within,
};
use super::table::{Chain, Hook, Table};

/// The gateway's link to the outside.
pub(super) const UPLINK: &str = "uplink";

/// A project, as its gateway has to know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Tenant<'a> {
    /// Its segments with the names of the gateway's links into them.
    pub segments: Vec<(String, &'a SegmentIntent)>,
    /// The IPv6 ranges of it that are routed.
    pub routed: Vec<Range>,
    /// From which its machines are seen outside.
    pub own: IpAddr,
}

/// The families, as nftables calls them: of packets, of addresses, of fields.
const FAMILIES: [(&str, &str); 2] = [("ipv4", "ip"), ("ipv6", "ip6")];

fn of_family(address: IpAddr) -> &'static str {
    if address.is_ipv4() { "ip" } else { "ip6" }
}

/// The table of a project's gateway.
pub(super) fn table(tenant: &Tenant<'_>) -> Table {
    let mut chains = vec![
        tenant.hooked("claimed", ("filter", "prerouting", -300, "accept"), tenant.claimed()),
        tenant.hooked("mapped", ("nat", "prerouting", -100, "accept"), tenant.mapped()),
    ];
    for (link, segment) in &tenant.segments {
        for direction in [Direction::There, Direction::Back] {
            chains.push(Chain {
                name: direction.chain(link),
                hook: None,
                rules: rules(segment, direction),
            });
        }
    }
    let inner = |name: &str, rules| Chain {
        name: name.to_owned(),
        hook: None,
        rules,
    };
    chains.push(inner("into", tenant.by_link("oifname", Direction::There)));
    chains.push(inner("there", tenant.there()));
    chains.push(inner("back", tenant.back()));
    let passing = vec![
        rule([has(flow("state"), "invalid"), drop()]),
        // Errors that belong to a flow.
        rule([has(flow("state"), "related"), accept()]),
        rule([is(flow("direction"), json!("original")), goto("there")]),
        rule([goto("back")]),
    ];
    chains.push(tenant.hooked("passing", ("filter", "forward", 0, "drop"), passing));
    chains.push(tenant.hooked("own", ("filter", "input", 0, "drop"), tenant.input()));
    chains.push(tenant.hooked("leaving", ("nat", "postrouting", 100, "accept"), tenant.leaving()));
    Table {
        family: "inet",
        name: "renkei".to_owned(),
        learned: Vec::new(),
        counters: Vec::new(),
        chains,
    }
}

/// Which packets of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Direction {
    There,
    Back,
}

impl Direction {
    fn chain(self, link: &str) -> String {
        match self {
            Self::There => format!("into-{link}"),
            Self::Back => format!("from-{link}"),
        }
    }

    /// The fields of a packet that have what the first one has as source and as destination.
    fn fields(self) -> (&'static str, &'static str) {
        match self {
            Self::There => ("saddr", "daddr"),
            Self::Back => ("daddr", "saddr"),
        }
    }

    fn ports(self) -> (&'static str, &'static str) {
        match self {
            Self::There => ("sport", "dport"),
            Self::Back => ("dport", "sport"),
        }
    }
}

impl Tenant<'_> {
    fn hooked(
        &self,
        name: &str,
        (of, at, priority, policy): (&'static str, &'static str, i32, &'static str),
        rules: Vec<Value>,
    ) -> Chain {
        Chain {
            name: name.to_owned(),
            hook: Some(Hook {
                of,
                at,
                priority,
                policy,
            }),
            rules,
        }
    }

    fn ranges(&self) -> impl Iterator<Item = Range> {
        let ranges = self.segments.iter();
        ranges.flat_map(|(_, segment)| [Some(segment.v4), segment.v6].into_iter().flatten())
    }

    /// Outside and inside addresses of a family.
    fn mappings(&self, family: &str) -> BTreeMap<IpAddr, IpAddr> {
        let mut mappings = BTreeMap::new();
        for (_, segment) in &self.segments {
            for (outside, inside) in segment.dnats.values() {
                if of_family(*outside) == family {
                    mappings.entry(*outside).or_insert(*inside);
                }
            }
        }
        mappings
    }

    /// Outside and inside addresses of both families.
    pub(super) fn all_mappings(&self) -> BTreeSet<(IpAddr, IpAddr)> {
        FAMILIES.iter().flat_map(|(_, family)| self.mappings(family)).collect()
    }

    fn claimed(&self) -> Vec<Value> {
        let mut rules = Vec::new();
        for (link, segment) in &self.segments {
            // Who has no address yet asks for one, or looks who else has it.
            let v4 = [within(&segment.v4), json!("0.0.0.0")];
            let v6 = segment.v6.iter().map(within);
            let v6 = v6.chain([json!({ "prefix": { "addr": "fe80::", "len": 10 } }), json!("::")]);
            for (family, from) in [("ip", one_of(v4)), ("ip6", one_of(v6))] {
                let here = is(meta("iifname"), json!(link));
                rules.push(rule([here, is_not(field(family, "saddr"), from), drop()]));
            }
        }
        for (_, family) in FAMILIES {
            let mine: Vec<Value> = self
                .ranges()
                .filter(|range| of_family(range.address()) == family)
                .map(|range| within(&range))
                .collect();
            if !mine.is_empty() {
                let from = is(field(family, "saddr"), one_of(mine));
                rules.push(rule([is(meta("iifname"), json!(UPLINK)), from, drop()]));
            }
        }
        rules
    }

    fn mapped(&self) -> Vec<Value> {
        let mut rules = Vec::new();
        for (_, family) in FAMILIES {
            let mappings = self.mappings(family);
            if mappings.is_empty() {
                continue;
            }
            let cases: Vec<Value> = mappings
                .iter()
                .map(|(outside, inside)| json!([outside.to_string(), inside.to_string()]))
                .collect();
            let inside = json!({ "map": { "key": field(family, "daddr"), "data": { "set": cases } } });
            rules.push(rule([json!({ "dnat": { "family": family, "addr": inside } })]));
        }
        rules
    }

    /// Ends flows through mappings that are no longer there.
    fn through_a_mapping(&self, direction: Direction) -> Vec<Value> {
        let of = |(protocol, family): (&str, &str)| {
            let mapped = [is(meta("nfproto"), json!(protocol)), has(flow("status"), "dnat")];
            let mappings = self.mappings(family);
            let (_, inside) = direction.fields();
            let known = (!mappings.is_empty()).then(|| {
                let pairs = mappings
                    .iter()
                    .map(|(outside, inside)| pair(json!(outside.to_string()), json!(inside.to_string())));
                let both = pair(at_first(&format!("{family} daddr")), field(family, inside));
                is_not(both, one_of(pairs))
            });
            rule(mapped.into_iter().chain(known).chain([drop()]))
        };
        FAMILIES.into_iter().map(of).collect()
    }

    fn by_link(&self, key: &str, direction: Direction) -> Vec<Value> {
        let cases = self
            .segments
            .iter()
            .map(|(link, _)| (json!(link), goto(&direction.chain(link))));
        let cases: Vec<(Value, Value)> = cases.collect();
        if cases.is_empty() {
            return Vec::new();
        }
        vec![rule([branch(meta(key), cases)])]
    }

    /// What goes out of a segment and back into it has reached it by a mapping.
    fn returning(&self) -> Vec<Value> {
        let returning = |(link, _): &(String, &SegmentIntent)| {
            let link = json!(link);
            rule([is(meta("iifname"), link.clone()), is(meta("oifname"), link), accept()])
        };
        self.segments.iter().map(returning).collect()
    }

    fn there(&self) -> Vec<Value> {
        let from_outside = || is(meta("iifname"), json!(UPLINK));
        let to_outside = || is(meta("oifname"), json!(UPLINK));
        let mut rules = vec![rule([from_outside(), to_outside(), drop()])];
        rules.extend(self.through_a_mapping(Direction::There));
        rules.push(rule([to_outside(), is(meta("nfproto"), json!("ipv4")), accept()]));
        let routed: Vec<Value> = self.routed.iter().map(within).collect();
        if !routed.is_empty() {
            let mine = |way: &str| is(field("ip6", way), one_of(routed.iter().cloned()));
            rules.push(rule([to_outside(), mine("saddr"), accept()]));
            rules.push(rule([from_outside(), mine("daddr"), goto("into")]));
        }
        rules.push(rule([to_outside(), drop()]));
        rules.push(rule([from_outside(), has(flow("status"), "dnat"), goto("into")]));
        rules.push(rule([from_outside(), drop()]));
        rules.extend(self.returning());
        rules.push(rule([goto("into")]));
        rules
    }

    fn back(&self) -> Vec<Value> {
        // Answers from outside: the flow began inside.
        let mut rules = vec![rule([is(meta("iifname"), json!(UPLINK)), accept()])];
        rules.extend(self.through_a_mapping(Direction::Back));
        rules.extend(self.returning());
        rules.extend(self.by_link("iifname", Direction::Back));
        rules
    }

    fn input(&self) -> Vec<Value> {
        let discovery = ["nd-neighbor-solicit", "nd-neighbor-advert", "nd-router-solicit"];
        let mut rules = vec![
            rule([is(meta("iifname"), json!("lo")), accept()]),
            rule([
                json!({ "match": { "op": "in", "left": flow("state"), "right": ["established", "related"] } }),
                accept(),
            ]),
            rule([
                is(field("icmpv6", "type"), one_of(discovery.map(|of| json!(of)))),
                accept(),
            ]),
        ];
        for (link, segment) in &self.segments {
            let here = || is(meta("iifname"), json!(link));
            let asked = |port: u16| [is(field("udp", "dport"), json!(port))];
            // From no address to all.
            rules.push(rule(
                [here(), is(meta("nfproto"), json!("ipv4"))]
                    .into_iter()
                    .chain(asked(67))
                    .chain([accept()]),
            ));
            let servers = is(field("ip6", "daddr"), json!("ff02::1:2"));
            rules.push(rule([here(), servers].into_iter().chain(asked(547)).chain([accept()])));
            for range in [Some(segment.v4), segment.v6].into_iter().flatten() {
                let Some(gateway) = Segment::gateway(&range) else {
                    continue;
                };
                let family = of_family(gateway);
                let icmp = if gateway.is_ipv4() { "icmp" } else { "ipv6-icmp" };
                let services = if gateway.is_ipv4() { [53, 67] } else { [53, 547] };
                let to = || [here(), is(field(family, "daddr"), json!(gateway.to_string()))];
                let services = one_of(services.map(|port| json!(port)));
                let last = [
                    is(meta("l4proto"), json!(icmp)),
                    is(field("tcp", "dport"), json!(53)),
                    is(field("udp", "dport"), services),
                ];
                rules.extend(last.map(|last| rule(to().into_iter().chain([last, accept()]))));
            }
        }
        rules
    }

    fn leaving(&self) -> Vec<Value> {
        let mut rules: Vec<Value> = Vec::new();
        for (link, _) in &self.segments {
            let same = [is(meta("iifname"), json!(link)), is(meta("oifname"), json!(link))];
            rules.push(rule(same.into_iter().chain([json!({ "masquerade": null })])));
        }
        let inside: BTreeSet<Range> = self.ranges().filter(Range::is_v4).collect();
        if !inside.is_empty() {
            rules.push(rule([
                is(meta("oifname"), json!(UPLINK)),
                is(field("ip", "saddr"), one_of(inside.iter().map(within))),
                json!({ "snat": { "family": "ip", "addr": self.own.to_string() } }),
            ]));
        }
        rules
    }
}

/// The rules of a segment.
fn rules(segment: &SegmentIntent, direction: Direction) -> Vec<Value> {
    let mark = mark(&segment.acls);
    let mut rules = vec![rule([is(flow("mark"), json!(mark)), accept()])];
    rules.extend(segment.acls.values().map(|allowed| allows(allowed, direction, mark)));
    rules
}

fn allows(allowed: &Allowed, direction: Direction, mark: u32) -> Value {
    let family = of_family(allowed.source.address());
    let (source, destination) = direction.fields();
    let mut all = vec![
        is(field(family, source), within(&allowed.source)),
        is(field(family, destination), within(&allowed.destination)),
    ];
    let protocol = match (allowed.protocol, family) {
        (Protocol::Tcp, _) => "tcp",
        (Protocol::Udp, _) => "udp",
        (Protocol::Icmp, "ip") => "icmp",
        (Protocol::Icmp, _) => "ipv6-icmp",
    };
    all.push(is(meta("l4proto"), json!(protocol)));
    if allowed.protocol != Protocol::Icmp {
        let (source, destination) = direction.ports();
        for (name, span) in [(source, allowed.source_ports), (destination, allowed.destination_ports)] {
            all.extend(ports(span).map(|span| is(field(protocol, name), span)));
        }
    }
    all.push(json!({ "mangle": { "key": flow("mark"), "value": mark } }));
    all.push(accept());
    rule(all)
}

/// Names a set of rules: equal sets have equal marks. Never 0, which new flows have. That two sets of one segment get the same by chance
/// in 2³⁰ keeps flows; it lets none in.
fn mark(rules: &BTreeMap<AclId, Allowed>) -> u32 {
    let mut hasher = DefaultHasher::new();
    for allowed in rules.values() {
        allowed.hash(&mut hasher);
    }
    let hash = hasher.finish();
    u32::try_from(hash >> 33).unwrap_or_default() | 1
}

#[cfg(test)]
mod tests;
