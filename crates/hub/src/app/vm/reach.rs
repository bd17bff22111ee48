//! What can reach a machine, and what it can reach, as it is meant.
//!
//! It is computed from the same intents of segments that the gateway is told, so that nothing else can be told than what is enforced once
//! the gateway has confirmed it. The hub knows neither which IPv6 ranges are routed to a site nor whether its pool of addresses for what
//! goes out is used up: it takes global unicast ranges as routed, and the pool as large enough.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv6Addr};

use jiff::Timestamp;
use renkei_store::Stored;
use renkei_store::noun::vm::VmRow;
use renkei_types::action::Action;
use renkei_types::agent::SegmentIntent;
use renkei_types::id::{ProjectId, SegmentId, SiteId, VmId};
use renkei_types::network::Range;
use renkei_types::problem::Problem;
use renkei_types::reach::{Direction, Networks, OfVm, Reach, Way, differ};
use renkei_types::segment::Segment;
use renkei_types::vm::Vm;

use super::act::Target;
use crate::app::decision::Draft;
use crate::app::segment::intent::intent;
use crate::app::{App, Asked, Mode};

/// Where global unicast addresses of IPv6 begin (RFC 4291, section 2.4, and IANA's registry of them): 2000::/3.
const GLOBAL: (IpAddr, u8) = (IpAddr::V6(Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0)), 3);

/// What is meant for the segments of a site.
pub(in crate::app) type Site = BTreeMap<SegmentId, SegmentIntent>;

impl App {
    /// What can reach a machine, and what it can reach.
    pub async fn reach(&self, asked: &Asked, id: VmId) -> Result<Reach, Problem> {
        let Target { row, .. } = self.target(asked, Action::VmRead, id).await?;
        let meant = self.meant_at((row.vm.project, row.vm.site), asked.now).await?;
        Ok(of(&meant, &row.vm))
    }

    /// Tells in a plan what comes in to machines of a project after `change` and did not before, and the other way round.
    pub(in crate::app) async fn plan_reach(
        &self,
        asked: &Asked,
        draft: &mut Draft,
        segments: &[&Stored<Segment>],
        change: impl Fn(&mut Site),
    ) -> Result<(), Problem> {
        if asked.mode != Mode::Plan {
            return Ok(());
        }
        let told = |segment: &&Stored<Segment>| Some((segment.value.project, segment.value.site()?));
        let sites: BTreeSet<(ProjectId, SiteId)> = segments.iter().filter_map(told).collect();
        for (project, site) in sites {
            let before = self.meant_at((project, site), asked.now).await?;
            let mut after = before.clone();
            change(&mut after);
            let machines = self.every::<VmRow>("project", &project.to_string()).await?;
            for VmRow { vm, .. } in machines.into_iter().map(|row| row.value) {
                if vm.site != site || vm.meant.tombstone {
                    continue;
                }
                let (opens, closes) = differ(&incoming(&before, &vm), &incoming(&after, &vm));
                let of_vm = |way: Way| OfVm {
                    vm: vm.id,
                    name: vm.name.clone(),
                    way,
                };
                draft.open(opens.into_iter().map(of_vm));
                draft.close(closes.into_iter().map(of_vm));
            }
        }
        Ok(())
    }

    /// What is meant at a site now. Of the segments of other projects only which addresses they have: that decides which IPv6 ranges are
    /// routed, and their rules are nobody else's business.
    async fn meant_at(&self, (project, site): (ProjectId, SiteId), now: Timestamp) -> Result<Site, Problem> {
        let mut meant = Site::new();
        for row in self.every::<Segment>("site", &site.to_string()).await? {
            let segment = row.value;
            let one = match segment.project == project {
                true => self.segment_intent(segment.id, now).await?,
                false => Some(intent(&segment, &[], &[], now)),
            };
            meant.extend(one.map(|one| (one.id, one)));
        }
        Ok(meant)
    }
}

fn of(meant: &Site, vm: &Vm) -> Reach {
    let (address, prefix) = GLOBAL;
    Networks::new(meant, Range::new(address, prefix), &BTreeMap::new()).of_vm(vm)
}

fn incoming(meant: &Site, vm: &Vm) -> Vec<Way> {
    let mut ways = of(meant, vm).ways;
    ways.retain(|way| way.direction == Direction::In);
    ways
}

#[cfg(test)]
mod tests;
