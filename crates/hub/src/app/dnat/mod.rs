//! Mappings of outside addresses to addresses inside.
//!
//! A mapping is part of what is meant for its segment, as a rule is. Its outside address belongs to its project, also when the
//! mapping is gone.

#[cfg(test)]
mod tests;

use std::net::IpAddr;

use jiff::Timestamp;
use renkei_store::Stored;
use renkei_types::action::Action;
use renkei_types::dnat::{Dnat, NewDnat};
use renkei_types::global_ip::GlobalIp;
use renkei_types::id::{DnatId, ProjectId, SegmentId, SiteId};
use renkei_types::page::Page;
use renkei_types::problem::{Problem, ProblemKind};
use renkei_types::segment::Segment;
use renkei_types::site::Site;
use serde_json::Value;

use super::acl::to_come;
use super::decision::{Decision, Draft};
use super::lease::is_for_machines;
use super::list::Paging;
use super::project::Tenant;
use super::segment::{Asking, next, stays};
use super::subject::{Subject, json};
use super::vm::reach as meant;
use super::{Answer, App, Asked, Versioned};

const VERB: Action = Action::DnatWrite;

impl Subject for Dnat {
    const NOUN: &'static str = DnatId::NOUN;

    fn name(&self) -> String {
        format!("{} to {}", self.global_ip, self.destination)
    }

    fn shown(&self) -> Value {
        json(self)
    }

    fn project(&self) -> Option<ProjectId> {
        Some(self.project)
    }
}

/// Filters of the list.
#[derive(Clone, Debug, Default)]
pub struct Dnats {
    /// Only those into this segment.
    pub segment: Option<SegmentId>,
}

impl App {
    /// Those of a project, in the order in which they were made.
    pub async fn dnats(
        &self,
        asked: &Asked,
        project: ProjectId,
        filter: &Dnats,
        paging: &Paging,
    ) -> Result<Page<Dnat>, Problem> {
        self.project_may(asked, Action::SegmentRead, project).await?;
        let segment = filter.segment.map(|segment| ("segment", segment.to_string()));
        let equals = [("project", project.to_string())].into_iter().chain(segment);
        self.page::<Dnat>(paging, None, equals.collect(), None).await
    }

    /// One.
    pub async fn dnat(&self, asked: &Asked, id: DnatId) -> Result<Versioned<Dnat>, Problem> {
        let (_, found) = self.in_project::<Dnat>(asked, Action::SegmentRead, id.0).await?;
        Ok(found.into())
    }

    /// Maps an outside address, and takes it for the project if it is free.
    pub async fn create_dnat(
        &self,
        asked: &Asked,
        project: ProjectId,
        new: NewDnat,
    ) -> Result<Answer<Versioned<Dnat>>, Problem> {
        sound(&new, asked.now)?;
        self.decide(asked, || self.dnat_creation(asked, project, &new)).await
    }

    /// Puts another mapping in the place of one.
    pub async fn replace_dnat(
        &self,
        asked: &Asked,
        id: DnatId,
        new: NewDnat,
    ) -> Result<Answer<Versioned<Dnat>>, Problem> {
        sound(&new, asked.now)?;
        self.decide(asked, || self.dnat_replacement(asked, id, &new)).await
    }

    /// Lets an outside address lead nowhere. The project keeps it.
    pub async fn delete_dnat(&self, asked: &Asked, id: DnatId) -> Result<Answer<()>, Problem> {
        self.decide(asked, || self.dnat_deletion(asked, id)).await
    }

    async fn dnat_creation(
        &self,
        asked: &Asked,
        project: ProjectId,
        new: &NewDnat,
    ) -> Result<Decision<Versioned<Dnat>>, Problem> {
        let tenant = self.tenant(project).await?;
        tenant.may(asked, VERB)?;
        let mut draft = Draft::new();
        let (segment, site) = self.mapped(&mut draft, (&tenant, new, None)).await?;
        let dnat = Dnat {
            id: DnatId(self.draw(asked.now)),
            project,
            site,
            global_ip: new.global_ip.to_canonical(),
            segment: new.segment,
            destination: new.destination.to_canonical(),
            note: new.note.clone(),
            expires: new.expires,
            generation: next(&segment.value).generation,
            created: asked.now,
        };
        draft.create(&dnat);
        self.plan_reach(asked, &mut draft, &[&segment], |meant| put(meant, &dnat))
            .await?;
        self.mappings_change(asked, &mut draft, (&tenant, &[segment], &dnat))
            .await?;
        Ok(draft.answer(Versioned::first(dnat)))
    }

    async fn dnat_replacement(
        &self,
        asked: &Asked,
        id: DnatId,
        new: &NewDnat,
    ) -> Result<Decision<Versioned<Dnat>>, Problem> {
        let (tenant, old) = self.in_project::<Dnat>(asked, VERB, id.0).await?;
        asked.unchanged(old.version)?;
        let mut draft = Draft::new();
        let (segment, site) = self.mapped(&mut draft, (&tenant, new, Some(&old.value))).await?;
        let same = Dnat {
            site,
            global_ip: new.global_ip.to_canonical(),
            segment: new.segment,
            destination: new.destination.to_canonical(),
            note: new.note.clone(),
            expires: new.expires,
            ..old.value.clone()
        };
        if same == old.value {
            let mut draft = Draft::new();
            draft.expect(&old);
            return Ok(draft.answer(old.into()));
        }
        let dnat = Dnat {
            generation: next(&segment.value).generation,
            ..same
        };
        draft.change(&old, &dnat);
        let mut segments = vec![segment];
        if old.value.segment != dnat.segment {
            // The mapping leaves that segment; each of the two has to be told.
            segments.push(self.segment_into(&old.value).await?);
        }
        let all: Vec<&Stored<Segment>> = segments.iter().collect();
        let instead = |meant: &mut meant::Site| {
            without(meant, id);
            put(meant, &dnat);
        };
        self.plan_reach(asked, &mut draft, &all, instead).await?;
        self.mappings_change(asked, &mut draft, (&tenant, &segments, &dnat))
            .await?;
        Ok(draft.answer(Versioned::after(&old, dnat)))
    }

    async fn dnat_deletion(&self, asked: &Asked, id: DnatId) -> Result<Decision<()>, Problem> {
        let (tenant, old) = self.in_project::<Dnat>(asked, VERB, id.0).await?;
        asked.unchanged(old.version)?;
        let segment = self.segment_into(&old.value).await?;
        let mut draft = Draft::new();
        draft.delete(&old);
        self.plan_reach(asked, &mut draft, &[&segment], |meant| without(meant, id))
            .await?;
        self.mappings_change(asked, &mut draft, (&tenant, &[segment], &old.value))
            .await?;
        Ok(draft.answer(()))
    }

    /// Each of the segments becomes its next generation, and has an operation that waits for it.
    async fn mappings_change(
        &self,
        asked: &Asked,
        draft: &mut Draft,
        (tenant, segments, dnat): (&Tenant, &[Stored<Segment>], &Dnat),
    ) -> Result<(), Problem> {
        tenant.expect(draft);
        let batch = draft.aside();
        let changed: Vec<Segment> = segments.iter().map(|segment| next(&segment.value)).collect();
        for (old, new) in segments.iter().zip(&changed) {
            batch.update(old, new);
        }
        let all: Vec<&Segment> = changed.iter().collect();
        let waits = self.tell_gateways(batch, &all, asked.now).await?;
        let asking = Asking::new(asked, VERB)?;
        for segment in &changed {
            batch.insert(&self.segment_operation(&asking, dnat, (segment, &waits)));
        }
        Ok(())
    }

    /// The segment and the site of a mapping that can be, in place of `old`; its address is the project's with `draft`.
    async fn mapped(
        &self,
        draft: &mut Draft,
        (tenant, new, old): (&Tenant, &NewDnat, Option<&Dnat>),
    ) -> Result<(Stored<Segment>, SiteId), Problem> {
        let project = tenant.project.value.id;
        let invalid = |field: &str, title: String| Problem::new(ProblemKind::Invalid, title).field(field);
        let segment = self.row::<Segment>(new.segment.0).await?;
        let segment = segment
            .filter(|segment| segment.value.project == project)
            .ok_or_else(|| {
                let title = format!(
                    "project `{}` has no segment `{}`",
                    tenant.project.value.name, new.segment
                );
                invalid("segment", title).hint("`renkei segment list` shows those that it has")
            })?;
        stays(&segment.value)?;
        let (from, to) = (new.global_ip.to_canonical(), new.destination.to_canonical());
        if from.is_ipv4() != to.is_ipv4() {
            let title = format!("`{from}` and `{to}` are not of the same family");
            return Err(invalid("destination", title).hint("an address of IPv4 leads to one of IPv4"));
        }
        if !is_for_machines(&segment.value, to) {
            let title = format!(
                "`{to}` is no address that a machine of segment `{}` can have",
                segment.value.name
            );
            let ranges = [Some(segment.value.v4), segment.value.v6].into_iter().flatten();
            let ranges: Vec<String> = ranges.map(|range| range.to_string()).collect();
            let hint = format!("it has {}, without the gateway's address", ranges.join(" and "));
            return Err(invalid("destination", title).hint(hint));
        }
        let Some(site) = segment.value.site() else {
            return Err(super::missing(SegmentId::NOUN, segment.value.id.0));
        };
        let Some(address) = self.global_ip_at(site, from).await? else {
            return Err(self.not_of_this_site(site, from).await?);
        };
        self.leads_nowhere_else(&address.value, old).await?;
        match address.value.project {
            // It must not be given back beside it.
            Some(taken) if taken == project => draft.touch(&address),
            Some(_) => return Err(super::global_ip::not_free(from).field("global_ip")),
            None => {
                self.take_for(draft, project, &address).await?;
            }
        }
        Ok((segment, site))
    }

    async fn leads_nowhere_else(&self, address: &GlobalIp, old: Option<&Dnat>) -> Result<(), Problem> {
        let Some(other) = self.mapping_of(address).await? else {
            return Ok(());
        };
        if old.is_some_and(|old| old.id == other.value.id) {
            return Ok(());
        }
        if address.project != Some(other.value.project) {
            return Err(super::global_ip::not_free(address.address).field("global_ip"));
        }
        let problem = format!(
            "outside address `{}` leads to `{}`",
            address.address, other.value.destination
        );
        let problem = Problem::new(ProblemKind::Conflict, problem).field("global_ip");
        Err(problem.hint("delete or change that mapping, or use another address"))
    }

    /// An address that the segment's site does not have: whose it is, if it is another's.
    async fn not_of_this_site(&self, here: SiteId, address: IpAddr) -> Result<Problem, Problem> {
        let rows = self.store.state.all::<Site>(None, 1000).await;
        let rows = rows.map_err(|error| super::state(&error))?;
        let name = rows.iter().find(|row| row.value.id == here);
        let name = name.map_or_else(|| here.to_string(), |row| row.value.name.to_string());
        for other in &rows {
            if self.global_ip_at(other.value.id, address).await?.is_some() {
                let there = &other.value.name;
                let title =
                    format!("outside address `{address}` is at site `{there}`, the segment is at site `{name}`");
                let problem = Problem::new(ProblemKind::Invalid, title).field("global_ip");
                return Ok(problem.hint("use an address and a segment of the same site"));
            }
        }
        let problem = Problem::new(
            ProblemKind::Invalid,
            format!("site `{name}` has no outside address `{address}`"),
        );
        Ok(problem
            .field("global_ip")
            .hint("`renkei global-ip list` shows those that the project has"))
    }

    /// A mapping keeps its segment from being deleted.
    async fn segment_into(&self, dnat: &Dnat) -> Result<Stored<Segment>, Problem> {
        let found = self.row::<Segment>(dnat.segment.0).await?;
        found.ok_or_else(|| super::missing(DnatId::NOUN, dnat.id.0))
    }
}

/// What is meant with a mapping.
fn put(meant: &mut meant::Site, dnat: &Dnat) {
    if let Some(segment) = meant.get_mut(&dnat.segment) {
        segment.dnats.insert(dnat.id, (dnat.global_ip, dnat.destination));
    }
}

/// What is meant without a mapping.
fn without(meant: &mut meant::Site, id: DnatId) {
    for segment in meant.values_mut() {
        segment.dnats.remove(&id);
    }
}

/// Whether a mapping makes sense, whatever the segment.
fn sound(new: &NewDnat, now: Timestamp) -> Result<(), Problem> {
    super::text("note", &new.note, 200)?;
    to_come(new.expires, now)
}
