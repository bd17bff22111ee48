//! The links of the host's switch: what there is, what is meant, and the commands from one to the other. Pure functions.
//!
//! What is meant follows from the labels that are there, so that whatever somebody removed or changed comes back with the next
//! look, and nothing but the labels has to be kept.

use std::collections::BTreeMap;

use renkei_types::id::{SegmentId, VmId};
use serde::Deserialize;

use super::label::{Bridge, Label, Tap};

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
        for label in links.iter().filter_map(Link::label) {
            match label {
                Label::Bridge(bridge) => {
                    switch.bridges.insert(bridge.segment, bridge);
                }
                Label::Tap(tap) => {
                    switch.taps.insert((tap.vm, tap.number), tap);
                }
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

    /// Lines for `ip -batch` that make `links` so; none if they are. Links with labels of ours that are no longer meant go.
    ///
    /// # Errors
    /// If a link has the name of one that is meant, and the label of something else.
    pub(super) fn changes(&self, links: &[Link]) -> Result<Vec<String>, Foreign> {
        let mut lines = Vec::new();
        for label in links.iter().filter_map(Link::label) {
            let meant = match &label {
                Label::Bridge(bridge) => self.bridges.contains_key(&bridge.segment),
                Label::Tap(tap) => self.taps.contains_key(&(tap.vm, tap.number)),
            };
            if !meant {
                lines.push(format!("link del dev {}", label.name()));
            }
        }
        for bridge in self.bridges.values() {
            let wanted = Wanted {
                label: Label::Bridge(bridge.clone()),
                mtu: bridge.mtu,
                master: None,
            };
            lines.extend(wanted.changes(links)?);
        }
        for tap in self.taps.values() {
            let wanted = Wanted {
                label: Label::Tap(for_its_user(tap, links)),
                mtu: self.bridges.get(&tap.segment).map_or(MTU, |bridge| bridge.mtu),
                master: Some(super::label::bridge_name(tap.segment)),
            };
            lines.extend(wanted.changes(links)?);
        }
        Ok(lines)
    }
}

/// A link that is meant.
struct Wanted {
    label: Label,
    mtu: u16,
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
            lines.push(match &self.label {
                // No spanning tree and no waiting: the bridge is a star. No snooping: nobody would ask for memberships.
                Label::Bridge(_) => {
                    format!("link add {name} type bridge stp_state 0 forward_delay 0 mcast_snooping 0")
                }
                Label::Tap(tap) => format!("tuntap add dev {name} mode tap user {}", tap.owner),
            });
        }
        let mut set = String::new();
        if link.is_none_or(|link| link.mtu != u32::from(self.mtu)) {
            set.push_str(&format!(" mtu {}", self.mtu));
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
            (Label::Bridge(_), _) => false,
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
        assert_eq!(switch.changes(&links(&switch)), Ok(vec![]));
        assert_eq!(Switch::of(&links(&switch)), switch);
        assert_eq!(switch.changes(&[]).unwrap().len(), 4);
    }

    #[test]
    fn a_bridge_that_is_gone_comes_back_and_takes_its_taps() {
        let whole = switch();
        let mut links = links(&whole);
        links.remove(0);
        links[0].master = None;
        let mut found = Switch::of(&links);
        found.complete(&BTreeMap::new());
        let lines = found.changes(&links).unwrap();
        assert!(lines[0].starts_with("link add b"), "{lines:?}");
        assert_eq!(lines[2], "link set dev t00000000000101 master b000000000002");
    }

    #[test]
    fn a_tap_for_another_user_is_made_anew_unless_somebody_has_it_open() {
        let before = switch();
        let mut after = before.clone();
        after.taps.values_mut().for_each(|tap| tap.owner = 8);
        let mut links = links(&before);
        let lines = after.changes(&links).unwrap();
        assert_eq!(lines[0], "link del dev t00000000000101");
        assert_eq!(lines[1], "tuntap add dev t00000000000101 mode tap user 8");
        links[1].flags.push("LOWER_UP".to_owned());
        assert_eq!(after.changes(&links), Ok(vec![]));
    }

    #[test]
    fn what_another_has_made_is_not_taken() {
        let switch = switch();
        let mut links = links(&switch);
        links[1].ifalias = Some("somebody's".to_owned());
        let foreign = switch.changes(&links).unwrap_err();
        assert_eq!(foreign.found, "somebody's");
    }
}
