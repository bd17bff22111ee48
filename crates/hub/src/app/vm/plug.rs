//! Adapters: into which networks a machine is plugged, with which addresses.

use renkei_store::Stored;
use renkei_types::id::{SegmentId, SiteId, VmId};
use renkei_types::network::Mac;
use renkei_types::problem::{Problem, ProblemKind};
use renkei_types::project::Project;
use renkei_types::segment::Segment;
use renkei_types::site::Site;
use renkei_types::vm::{Adapter, NewAdapter};

use crate::app::decision::Draft;
use crate::app::lease::{Taken, Wanted};
use crate::app::{App, Asked, state};

/// The networks that a machine is to be plugged into, all at one site.
#[derive(Clone, Debug)]
pub struct Plugs {
    /// The site.
    pub site: SiteId,
    /// In the order of the adapters' numbers.
    of: Vec<(Stored<Segment>, NewAdapter)>,
}

impl Plugs {
    /// The networks, in the order of the adapters' numbers.
    pub fn segments(&self) -> impl Iterator<Item = SegmentId> {
        self.of.iter().map(|(segment, _)| segment.value.id)
    }

    /// Whether an adapter asks for a certain address.
    pub fn asks_for_an_address(&self) -> bool {
        self.of.iter().any(|(_, adapter)| adapter.address.is_some())
    }
}

impl App {
    /// What was asked for, or else the project's default network.
    pub(super) async fn plugs(&self, project: &Project, asked_for: &[NewAdapter]) -> Result<Plugs, Problem> {
        let invalid = |title: String, field: String| Problem::new(ProblemKind::Invalid, title).field(field);
        if asked_for.is_empty() {
            let Some(segment) = self.default_segment(project.id).await? else {
                return Err(Self::no_default_segment(project));
            };
            let adapter = NewAdapter {
                segment: segment.value.id,
                address: None,
            };
            let site = segment.value.site().ok_or_else(|| nowhere(&segment.value))?;
            let of = vec![(segment, adapter)];
            return Ok(Plugs { site, of });
        }
        let mut of: Vec<(Stored<Segment>, NewAdapter)> = Vec::new();
        for (number, adapter) in asked_for.iter().enumerate() {
            let field = format!("adapters.{number}.segment");
            let found = self.store.state.get::<Segment>(adapter.segment.0).await;
            let found = found.map_err(|error| state(&error))?;
            let Some(segment) = found.filter(|found| found.value.project == project.id) else {
                let title = format!("project `{}` has no segment `{}`", project.name, adapter.segment);
                return Err(invalid(title, field).hint("`renkei segment list` shows those that it has"));
            };
            of.push((segment, adapter.clone()));
        }
        let mut sites = Vec::new();
        for (segment, _) in &of {
            sites.push(segment.value.site().ok_or_else(|| nowhere(&segment.value))?);
        }
        let site = sites[0];
        if let Some(number) = sites.iter().position(|other| *other != site) {
            let (here, there) = (self.site_name(site).await?, self.site_name(sites[number]).await?);
            let (one, other) = (&of[0].0.value.name, &of[number].0.value.name);
            let title = format!("segment `{one}` is at site `{here}` and segment `{other}` at site `{there}`");
            let problem = invalid(title, format!("adapters.{number}.segment"));
            return Err(problem.hint("a machine is at one site: name segments of one"));
        }
        Ok(Plugs { site, of })
    }

    /// Plugs a machine in: its addresses are its own from this commit on. An adapter that stays in its network keeps what it has.
    pub(super) async fn plug(
        &self,
        (asked, draft, taken): (&Asked, &mut Draft, &mut Taken),
        plugs: &Plugs,
        vm: VmId,
        so_far: &[Adapter],
    ) -> Result<Vec<Adapter>, Problem> {
        let mut adapters = Vec::new();
        for (number, (segment, wanted)) in (1..).zip(&plugs.of) {
            let stays = so_far.iter().find(|adapter| {
                let same = adapter.number == number && adapter.segment == segment.value.id;
                same && wanted
                    .address
                    .is_none_or(|address| adapter.addresses.contains(&address))
            });
            if let Some(adapter) = stays {
                adapters.push(adapter.clone());
                continue;
            }
            let wanted = Wanted {
                segment,
                address: wanted.address,
                vm,
                now: asked.now,
            };
            let addresses = self.lease(draft, taken, &wanted).await;
            let addresses = addresses.map_err(|problem| match problem.field.as_deref() {
                Some("address") => problem.field(format!("adapters.{}.address", number - 1)),
                _ => problem,
            })?;
            adapters.push(Adapter {
                number,
                segment: segment.value.id,
                mac: self.mac(asked),
                addresses,
            });
        }
        Ok(adapters)
    }

    /// A hardware address that nobody else has: locally administered, unicast, the rest drawn by chance.
    fn mac(&self, asked: &Asked) -> Mac {
        let [.., a, b, c, d, e] = self.draw(asked.now).into_bytes();
        Mac([0x52, a, b, c, d, e])
    }

    /// What people call a site.
    pub(super) async fn site_name(&self, site: SiteId) -> Result<String, Problem> {
        let found = self.store.state.get::<Site>(site.0).await;
        let found = found.map_err(|error| state(&error))?;
        Ok(found.map_or_else(|| site.to_string(), |site| site.value.name.to_string()))
    }
}

fn nowhere(segment: &Segment) -> Problem {
    let title = format!("segment `{}` is at no site", segment.name);
    Problem::new(ProblemKind::Conflict, title).hint("make another one")
}
