//! The links of the host's switch: what there is, what is meant, and the commands from one to the other. Pure functions.
//!
//! What is meant follows from the labels that are there, so that whatever somebody removed or changed comes back with the next
//! look, and nothing but the labels has to be kept.

use std::collections::BTreeMap;
use std::net::IpAddr;

use renkei_types::id::{ProjectId, SegmentId, VmId};
use serde::Deserialize;

use super::filter;
use super::label::{self, Bridge, Gate, Label, Tap, Way};

/// The MTU of a segment of which nobody has said anything yet: the hub's default.
const MTU: u16 = 1450;

/// A link as `ip -j link` shows it.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Link {
    pub ifname: String,
    #[serde(default)]
    pub ifalias: Option<String>,
    #[serde(default)]
    pub master: Option<String>,
    pub mtu: u32,
    #[serde(default)]
    pub flags: Vec<String>,
}

impl Link {
    fn has(&self, flag: &str) -> bool {
        self.flags.iter().any(|one| one == flag)
    }

    /// Its label, if it has one that fits its name.
    fn label(&self) -> Option<Label> {
        let label: Label = self.ifalias.as_deref()?.parse().ok()?;
        (label.name() == self.ifname).then_some(label)
    }
}

/// What there is to be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Switch {
    pub bridges: BTreeMap<SegmentId, Bridge>,
    pub taps: BTreeMap<(VmId, u8), Tap>,
    /// Links to gateways, by their segments.
    pub gates: BTreeMap<SegmentId, ProjectId>,
    /// Links between gateways and the outside, with the projects' own addresses.
    pub ways: BTreeMap<ProjectId, IpAddr>,
    /// The bridge that those are in, with its MTU in bytes.
    pub uplink: Option<u32>,
    /// What of the host is plugged into it.
    pub outside: Option<String>,
}

/// A link with a name of ours and another's label.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Foreign {
    pub name: String,
    pub found: String,
}

impl Switch {
    /// What the labels say.
    pub(super) fn of(links: &[Link]) -> Self {
        let mut switch = Self::default();
        for (link, label) in links.iter().filter_map(|link| Some((link, link.label()?))) {
            match label {
                Label::Bridge(bridge) => {
                    switch.bridges.insert(bridge.segment, bridge);
                }
                Label::Tap(tap) => {
                    switch.taps.insert((tap.vm, tap.number), tap);
                }
                Label::Gate(gate) => {
                    switch.gates.insert(gate.segment, gate.project);
                }
                Label::Way(way) => {
                    switch.ways.insert(way.project, way.own);
                }
                Label::Uplink => switch.uplink = Some(link.mtu),
                Label::Outside(of) => switch.outside = Some(of),
            }
        }
        switch
    }

    /// Gives every tap the bridge of its segment; `told` is what is known of segments.
    pub(super) fn complete(&mut self, told: &BTreeMap<SegmentId, Bridge>) {
        for (id, bridge) in told {
            if let Some(mine) = self.bridges.get_mut(id) {
                mine.clone_from(bridge);
            }
        }
        for tap in self.taps.values() {
            self.bridges.entry(tap.segment).or_insert_with(|| {
                let unknown = || Bridge {
                    segment: tap.segment,
                    mtu: MTU,
                    ranges: Vec::new(),
                };
                told.get(&tap.segment).cloned().unwrap_or_else(unknown)
            });
        }
    }

    /// Lines for `ip -batch` that make `links` so; none if they are. Links with labels of ours that are no longer meant go. `switch` is the
    /// name of the switch's namespace, after which those of gateways are named: they must be there.
    ///
    /// # Errors
    /// If a link has the name of one that is meant, and the label of something else.
    pub(super) fn changes(&self, links: &[Link], switch: &str) -> Result<Vec<String>, Foreign> {
        let mut lines = Vec::new();
        for label in links.iter().filter_map(Link::label) {
            let meant = match &label {
                Label::Bridge(bridge) => self.bridges.contains_key(&bridge.segment),
                Label::Tap(tap) => self.taps.contains_key(&(tap.vm, tap.number)),
                Label::Gate(gate) => self.gates.get(&gate.segment) == Some(&gate.project),
                Label::Way(way) => self.ways.contains_key(&way.project),
                Label::Uplink => self.uplink.is_some(),
                Label::Outside(_) => self.outside.is_some(),
            };
            if !meant {
                lines.push(format!("link del dev {}", label.name()));
            }
        }
        for wanted in self.wanted(links, switch) {
            lines.extend(wanted.changes(links)?);
        }
        Ok(lines)
    }

    /// Bridges before what is plugged into them.
    fn wanted(&self, links: &[Link], switch: &str) -> Vec<Wanted> {
        // No spanning tree and no waiting: a bridge here is a star. No snooping: nobody would ask for memberships.
        let bridge = |label: Label, mtu: u32| Wanted {
            make: Some(format!(
                "link add {} type bridge stp_state 0 forward_delay 0 mcast_snooping 0",
                label.name()
            )),
            label,
            mtu: Some(mtu),
            master: None,
        };
        let pair = |label: Label, peer: String, project: ProjectId| {
            let gateway = label::gateway_name(switch, project);
            let make = format!("link add {} type veth peer name {peer} netns {gateway}", label.name());
            (label, make)
        };
        let mtu = |segment: &SegmentId| self.bridges.get(segment).map_or(MTU.into(), |bridge| bridge.mtu.into());
        let mut wanted = Vec::new();
        for one in self.bridges.values() {
            wanted.push(bridge(Label::Bridge(one.clone()), one.mtu.into()));
        }
        wanted.extend(self.uplink.map(|mtu| bridge(Label::Uplink, mtu)));
        for tap in self.taps.values() {
            wanted.push(Wanted {
                make: Some(format!("tuntap add dev {} mode tap user {}", tap.name(), tap.owner)),
                label: Label::Tap(for_its_user(tap, links)),
                mtu: Some(mtu(&tap.segment)),
                master: Some(label::bridge_name(tap.segment)),
            });
        }
        for (segment, project) in &self.gates {
            let gate = Label::Gate(Gate {
                segment: *segment,
                project: *project,
            });
            let (label, make) = pair(gate, label::leg_name(*segment), *project);
            wanted.push(Wanted {
                make: Some(make),
                label,
                mtu: Some(mtu(segment)),
                master: Some(label::bridge_name(*segment)),
            });
        }
        for (project, own) in &self.ways {
            let way = Label::Way(Way {
                project: *project,
                own: *own,
            });
            let (label, make) = pair(way, filter::UPLINK.to_owned(), *project);
            wanted.push(Wanted {
                make: Some(make),
                label,
                mtu: self.uplink,
                master: Some(label::UPLINK.to_owned()),
            });
        }
        // It comes from the host.
        wanted.extend(self.outside.iter().map(|of| Wanted {
            make: None,
            label: Label::Outside(of.clone()),
            mtu: None,
            master: Some(label::UPLINK.to_owned()),
        }));
        wanted
    }
}

/// A link that is meant.
struct Wanted {
    label: Label,
    /// The line that makes it, if we do.
    make: Option<String>,
    mtu: Option<u32>,
    master: Option<String>,
}

impl Wanted {
    fn changes(&self, links: &[Link]) -> Result<Vec<String>, Foreign> {
        let name = self.label.name();
        let link = links.iter().find(|link| link.ifname == name);
        let found = link.and_then(|link| link.ifalias.as_deref()).unwrap_or_default();
        let before = found.parse::<Label>().ok();
        // Without a label it is one of ours that was just made when its maker was ended.
        if !found.is_empty() && !before.as_ref().is_some_and(|label| label.is_of(&self.label)) {
            return Err(Foreign {
                name,
                found: found.to_owned(),
            });
        }
        let mut lines = Vec::new();
        let mut link = link;
        if link.is_some() && self.is_for_another(before.as_ref()) {
            lines.push(format!("link del dev {name}"));
            link = None;
        }
        if link.is_none() {
            match &self.make {
                Some(make) => lines.push(make.clone()),
                None => return Ok(lines),
            }
        }
        let mut set = String::new();
        match self.mtu {
            Some(mtu) if link.is_none_or(|link| link.mtu != mtu) => set.push_str(&format!(" mtu {mtu}")),
            _ => {}
        }
        if before.as_ref().filter(|_| link.is_some()) != Some(&self.label) {
            set.push_str(&format!(" alias {}", self.label));
        }
        match &self.master {
            Some(master) if link.is_none_or(|link| link.master.as_ref() != Some(master)) => {
                set.push_str(&format!(" master {master}"));
            }
            _ => {}
        }
        if !link.is_some_and(|link| link.has("UP")) {
            set.push_str(" up");
        }
        if !set.is_empty() {
            lines.push(format!("link set dev {name}{set}"));
        }
        Ok(lines)
    }

    /// Whether the tap that is there is for another user, or for nobody knows whom.
    fn is_for_another(&self, before: Option<&Label>) -> bool {
        match (&self.label, before) {
            (Label::Tap(meant), Some(Label::Tap(tap))) => tap.owner != meant.owner,
            (Label::Tap(_), _) => true,
            _ => false,
        }
    }
}

/// Whoever has a tap open keeps it, with its owner: who may open it counts at the next start.
fn for_its_user(meant: &Tap, links: &[Link]) -> Tap {
    let mut meant = meant.clone();
    let name = meant.name();
    let open = links.iter().find(|link| link.ifname == name && link.has("LOWER_UP"));
    if let Some(Label::Tap(before)) = open.and_then(Link::label) {
        meant.owner = before.owner;
    }
    meant
}

#[cfg(test)]
mod tests {
    use renkei_types::network::Mac;
    use uuid::Uuid;

    use super::*;

    fn switch() -> Switch {
        let tap = Tap {
            vm: VmId(Uuid::from_u128(1)),
            number: 1,
            segment: SegmentId(Uuid::from_u128(2)),
            mac: Mac::drawn([0, 0, 1]),
            owner: 7,
            addresses: Vec::new(),
        };
        let mut switch = Switch::default();
        switch.taps.insert((tap.vm, tap.number), tap);
        switch.complete(&BTreeMap::new());
        switch
    }

    fn link(label: &Label, master: Option<&str>) -> Link {
        Link {
            ifname: label.name(),
            ifalias: Some(label.to_string()),
            master: master.map(str::to_owned),
            mtu: MTU.into(),
            flags: vec!["UP".to_owned()],
        }
    }

    fn links(switch: &Switch) -> Vec<Link> {
        let bridges = switch
            .bridges
            .values()
            .map(|bridge| link(&Label::Bridge(bridge.clone()), None));
        let taps = switch.taps.values().map(|tap| {
            let master = super::super::label::bridge_name(tap.segment);
            link(&Label::Tap(tap.clone()), Some(&master))
        });
        bridges.chain(taps).collect()
    }

    #[test]
    fn what_is_so_needs_no_command_and_is_read_from_its_labels() {
        let switch = switch();
        assert_eq!(switch.changes(&links(&switch), "renkei"), Ok(vec![]));
        assert_eq!(Switch::of(&links(&switch)), switch);
        assert_eq!(switch.changes(&[], "renkei").unwrap().len(), 4);
    }

    #[test]
    fn a_bridge_that_is_gone_comes_back_and_takes_its_taps() {
        let whole = switch();
        let mut links = links(&whole);
        links.remove(0);
        links[0].master = None;
        let mut found = Switch::of(&links);
        found.complete(&BTreeMap::new());
        let lines = found.changes(&links, "renkei").unwrap();
        assert!(lines[0].starts_with("link add b"), "{lines:?}");
        assert_eq!(lines[2], "link set dev t00000000000101 master b000000000002");
    }

    #[test]
    fn a_tap_for_another_user_is_made_anew_unless_somebody_has_it_open() {
        let before = switch();
        let mut after = before.clone();
        after.taps.values_mut().for_each(|tap| tap.owner = 8);
        let mut links = links(&before);
        let lines = after.changes(&links, "renkei").unwrap();
        assert_eq!(lines[0], "link del dev t00000000000101");
        assert_eq!(lines[1], "tuntap add dev t00000000000101 mode tap user 8");
        links[1].flags.push("LOWER_UP".to_owned());
        assert_eq!(after.changes(&links, "renkei"), Ok(vec![]));
    }

    #[test]
    fn what_another_has_made_is_not_taken() {
        let switch = switch();
        let mut links = links(&switch);
        links[1].ifalias = Some("somebody's".to_owned());
        let foreign = switch.changes(&links, "renkei").unwrap_err();
        assert_eq!(foreign.found, "somebody's");
    }
}
