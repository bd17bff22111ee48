//! All gateways of a host: which there are to be, in what order they are made, and what of it went wrong.

use std::collections::{BTreeMap, BTreeSet};

use renkei_types::agent::SegmentIntent;
use renkei_types::id::{ProjectId, SegmentId};
use renkei_types::reach::Networks;

use super::dnsmasq::Reservation;
use super::gateway::{Gateway, Meant};
use super::program::Space;
use super::switch::Switch;
use super::table::Kept;
use super::uplink::Uplink;
use super::{Network, NetworkError, Plan, dnsmasq, label, namespace, outside, pool};

/// A gateway that is looked after.
#[derive(Debug, Default)]
pub(super) struct KeptGateway {
    pub(super) table: Kept,
    /// As it was made, if it is wholly so.
    pub(super) made: Option<Gateway>,
}

impl Network {
    /// Makes the gateways of the projects whose segments were told, and gives the segments whose gateway is not as it should be. One that
    /// fails does not keep the others from being made.
    pub(super) fn make_gateways(
        &mut self,
        plan: &mut Plan,
        (told, uplink): (&BTreeMap<SegmentId, SegmentIntent>, &Uplink),
    ) -> Result<BTreeSet<SegmentId>, NetworkError> {
        let projects: BTreeSet<ProjectId> = told.values().map(|segment| segment.project).collect();
        let switch = &mut plan.switch;
        switch.uplink = Some(uplink.mtu.into());
        switch.outside = Some(uplink.outside.link().to_owned());
        switch.ways = pool::allot(uplink, &switch.ways, &projects);
        let own = switch.ways.clone();
        let networks = Networks::new(told, uplink.v6.as_ref().map(|v6| v6.prefix), &own);
        let mut failed: BTreeSet<SegmentId> = told.keys().copied().collect();
        for segment in networks
            .with_gateway()
            .filter(|segment| own.contains_key(&segment.project))
        {
            switch.gates.insert(segment.id, segment.project);
            failed.remove(&segment.id);
        }
        for id in &failed {
            switch.gates.remove(id);
            self.troubles.push(NetworkError::NoGateway(*id));
        }
        let name = self.space.name().to_owned();
        let reservations = reservations(switch);
        let meant = Meant {
            networks: &networks,
            uplink,
            switch: &name,
            reservations: &reservations,
        };
        let due = self.due(&meant, &projects);
        let mut broken = self.prepare(&due, plan)?;
        if !plan.links.iter().any(|link| link.ifname == label::OUTSIDE) {
            outside::plug(uplink, &self.space)?;
            plan.links = self.links()?;
        }
        self.make_links(plan)?;
        let prepared = due.into_iter().filter(|(project, _)| !broken.contains(project));
        let prepared: Vec<(ProjectId, Gateway)> = prepared.collect();
        broken.extend(self.finish(prepared, uplink));
        if let Some(end) = meant.host_end() {
            end.make(&mut self.outside)?;
        }
        let theirs = told.values().filter(|segment| broken.contains(&segment.project));
        failed.extend(theirs.map(|segment| segment.id));
        Ok(failed)
    }

    /// Makes namespaces and rules, and takes from the switch what leads nowhere. Gives the projects with which that has failed: what there is of
    /// them stays as it is, and no link goes into a namespace that is not there.
    fn prepare(&mut self, due: &[(ProjectId, Gateway)], plan: &mut Plan) -> Result<BTreeSet<ProjectId>, NetworkError> {
        let mut stale: Vec<String> = Vec::new();
        let mut broken = BTreeSet::new();
        for (project, gateway) in due {
            let kept = self.gateways.entry(*project).or_default();
            match gateway.prepare(&mut kept.table).and_then(|()| gateway.astray()) {
                Ok(ends) => stale.extend(ends),
                Err(error) => {
                    broken.insert(*project);
                    kept.made = None;
                    self.troubles.push(error);
                }
            }
        }
        stale.retain(|end| plan.links.iter().any(|link| link.ifname == *end));
        let lines: Vec<String> = stale.iter().map(|end| format!("link del dev {end}")).collect();
        self.space.batch(&lines)?;
        plan.links.retain(|link| !stale.contains(&link.ifname));
        let links = &plan.links;
        let stays =
            |project: &ProjectId, name: &str| !broken.contains(project) || links.iter().any(|link| link.ifname == name);
        let gates = &mut plan.switch.gates;
        gates.retain(|segment, project| stays(project, &label::gate_name(*segment)));
        let ways = &mut plan.switch.ways;
        ways.retain(|project, _| stays(project, &label::way_name(*project)));
        Ok(broken)
    }

    /// Makes what comes after the links, and gives the projects with which that has failed.
    fn finish(&mut self, due: Vec<(ProjectId, Gateway)>, uplink: &Uplink) -> BTreeSet<ProjectId> {
        let mut broken = BTreeSet::new();
        for (project, gateway) in due {
            let kept = self.gateways.entry(project).or_default();
            let before = kept.made.take();
            match gateway.make() {
                Ok(links) => {
                    let mut faults = gateway.serve(&uplink.folder, &links);
                    if before.is_none_or(|before| before.mappings != gateway.mappings) {
                        faults.extend(gateway.forget().err());
                    }
                    kept.made = faults.is_empty().then_some(gateway);
                    // What passes is so all the same.
                    self.troubles.extend(faults);
                }
                Err(error) => {
                    broken.insert(project);
                    self.troubles.push(error);
                }
            }
        }
        broken
    }

    /// Tells the services of a segment what has changed with its machines. What fails is made so by the next call of
    /// [`Network::segments`].
    pub(super) fn tell_services(&mut self, plan: &Plan, segment: SegmentId) {
        let Some((uplink, project)) = self.uplink.as_ref().zip(self.told.get(&segment).map(|one| one.project)) else {
            return;
        };
        let networks = Networks::new(&self.told, uplink.v6.as_ref().map(|v6| v6.prefix), &plan.switch.ways);
        let reservations = reservations(&plan.switch);
        let meant = Meant {
            networks: &networks,
            uplink,
            switch: self.space.name(),
            reservations: &reservations,
        };
        let made = self.gateways.get_mut(&project).and_then(|kept| kept.made.as_mut());
        if let Some((made, gateway)) = made.zip(meant.gateway(project))
            && made.services != gateway.services
            && let Ok(links) = gateway.numbers()
            && gateway.serve(&uplink.folder, &links).is_empty()
        {
            made.services = gateway.services;
        }
    }

    /// The gateways that have to be made: those of which something else is meant than they were made for, and of the others the next one, in
    /// case somebody has changed it.
    fn due(&mut self, meant: &Meant<'_>, projects: &BTreeSet<ProjectId>) -> Vec<(ProjectId, Gateway)> {
        let after = |last: &ProjectId| projects.range(last..).find(|project| *project > last);
        let next = self.looked_at.as_ref().and_then(after).or_else(|| projects.first());
        self.looked_at = next.copied();
        let due = |project: &ProjectId| {
            let gateway = meant.gateway(*project)?;
            let made = self.gateways.get(project).and_then(|kept| kept.made.as_ref());
            let due = made != Some(&gateway) || self.looked_at == Some(*project);
            due.then_some((*project, gateway))
        };
        projects.iter().filter_map(due).collect()
    }

    /// Removes the gateways of projects whose last segment is to be gone.
    pub(super) fn remove_gateways(
        &mut self,
        meant: &BTreeMap<SegmentId, SegmentIntent>,
        plan: &Plan,
    ) -> Result<(), NetworkError> {
        let gone = || meant.values().filter(|intent| intent.tombstone);
        if let Some(uplink) = &self.uplink {
            for segment in gone() {
                dnsmasq::stop(&uplink.folder, segment.id)?;
            }
        }
        let projects: BTreeSet<ProjectId> = gone().map(|intent| intent.project).collect();
        for project in projects {
            let told = self.told.values().any(|segment| segment.project == project);
            if told || plan.switch.gates.values().any(|of| *of == project) {
                continue;
            }
            self.gateways.remove(&project);
            let name = label::gateway_name(self.space.name(), project);
            // Its links go with it, also their ends in the switch.
            namespace::remove(&Space::named(&name)?)?;
        }
        Ok(())
    }
}

/// What the machines that are plugged in are told of themselves.
fn reservations(switch: &Switch) -> BTreeMap<SegmentId, Vec<Reservation>> {
    let mut reservations: BTreeMap<SegmentId, Vec<Reservation>> = BTreeMap::new();
    for tap in switch.taps.values() {
        reservations.entry(tap.segment).or_default().push(Reservation {
            mac: tap.mac,
            addresses: tap.addresses.clone(),
        });
    }
    reservations
}
