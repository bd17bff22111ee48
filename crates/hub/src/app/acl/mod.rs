//! Rules of what may enter a segment.
//!
//! A rule is part of what is meant for its segment: each change raises the segment's generation. None is ever set back.

mod audit;
#[cfg(test)]
mod tests;

use jiff::Timestamp;
use renkei_store::Stored;
use renkei_types::acl::{Acl, Allowed, NewAcl};
use renkei_types::action::Action;
use renkei_types::id::{AclId, ProjectId, SegmentId};
use renkei_types::network::{Ports, Protocol};
use renkei_types::page::Page;
use renkei_types::problem::{Problem, ProblemKind};
use renkei_types::segment::Segment;
use serde_json::Value;

use super::decision::{Decision, Draft};
use super::list::Paging;
use super::project::Tenant;
use super::segment::{Asking, MOST_RULES, next, stays};
use super::subject::{Subject, json};
use super::vm::reach::Site;
use super::{Answer, App, Asked, Versioned};

const VERB: Action = Action::AclWrite;

impl Subject for Acl {
    const NOUN: &'static str = AclId::NOUN;

    fn name(&self) -> String {
        let Allowed {
            protocol,
            source,
            destination,
            destination_ports,
            ..
        } = self.allowed;
        match protocol {
            Protocol::Icmp => format!("{protocol} from {source} to {destination}"),
            Protocol::Tcp | Protocol::Udp => {
                format!("{protocol} from {source} to {destination} ports {destination_ports}")
            }
        }
    }

    fn shown(&self) -> Value {
        json(self)
    }

    fn project(&self) -> Option<ProjectId> {
        Some(self.project)
    }
}

impl App {
    /// Those of a segment, in the order in which they were made.
    pub async fn acls_of_segment(
        &self,
        asked: &Asked,
        segment: SegmentId,
        paging: &Paging,
    ) -> Result<Page<Acl>, Problem> {
        self.in_project::<Segment>(asked, Action::SegmentRead, segment.0)
            .await?;
        self.page::<Acl>(paging, None, vec![("segment", segment.to_string())], None)
            .await
    }

    /// Those of all segments of a project, in the order in which they were made.
    pub async fn acls(&self, asked: &Asked, project: ProjectId, paging: &Paging) -> Result<Page<Acl>, Problem> {
        self.project_may(asked, Action::SegmentRead, project).await?;
        self.page::<Acl>(paging, None, vec![("project", project.to_string())], None)
            .await
    }

    /// One.
    pub async fn acl(&self, asked: &Asked, id: AclId) -> Result<Versioned<Acl>, Problem> {
        let (_, found) = self.in_project::<Acl>(asked, Action::SegmentRead, id.0).await?;
        Ok(found.into())
    }

    /// Lets something in.
    pub async fn create_acl(
        &self,
        asked: &Asked,
        segment: SegmentId,
        new: NewAcl,
    ) -> Result<Answer<Versioned<Acl>>, Problem> {
        sound(&new, asked.now)?;
        self.decide(asked, || self.acl_creation(asked, segment, &new)).await
    }

    /// Puts another rule in the place of one, in the same segment.
    pub async fn replace_acl(&self, asked: &Asked, id: AclId, new: NewAcl) -> Result<Answer<Versioned<Acl>>, Problem> {
        sound(&new, asked.now)?;
        self.decide(asked, || self.acl_replacement(asked, id, &new)).await
    }

    /// Lets something in no longer.
    pub async fn delete_acl(&self, asked: &Asked, id: AclId) -> Result<Answer<()>, Problem> {
        self.decide(asked, || self.acl_deletion(asked, id)).await
    }

    async fn acl_creation(
        &self,
        asked: &Asked,
        segment: SegmentId,
        new: &NewAcl,
    ) -> Result<Decision<Versioned<Acl>>, Problem> {
        let (tenant, segment) = self.in_project::<Segment>(asked, VERB, segment.0).await?;
        stays(&segment.value)?;
        check(&segment.value, new)?;
        let rules = self.every::<Acl>("segment", &segment.value.id.to_string()).await?;
        if rules.len() >= MOST_RULES {
            let problem = format!("segment `{}` has {MOST_RULES} rules already", segment.value.name);
            let problem = Problem::new(ProblemKind::Conflict, problem);
            return Err(problem.hint("delete what is not needed, or join ranges: `renkei acl audit` helps"));
        }
        let changed = next(&segment.value);
        let acl = Acl {
            id: AclId(self.draw(asked.now)),
            segment: changed.id,
            project: changed.project,
            allowed: new.allowed,
            note: new.note.clone(),
            expires: new.expires,
            generation: changed.generation,
            created: asked.now,
        };
        let mut draft = Draft::new();
        draft.create(&acl);
        self.rules_change(asked, &mut draft, (&tenant, &segment, &acl)).await?;
        self.plan_reach(asked, &mut draft, &[&segment], |meant| put(meant, &acl))
            .await?;
        Ok(draft.answer(Versioned::first(acl)))
    }

    async fn acl_replacement(
        &self,
        asked: &Asked,
        id: AclId,
        new: &NewAcl,
    ) -> Result<Decision<Versioned<Acl>>, Problem> {
        let (tenant, old) = self.in_project::<Acl>(asked, VERB, id.0).await?;
        asked.unchanged(old.version)?;
        let segment = self.segment_of(&old.value).await?;
        stays(&segment.value)?;
        check(&segment.value, new)?;
        let same = Acl {
            allowed: new.allowed,
            note: new.note.clone(),
            expires: new.expires,
            ..old.value.clone()
        };
        let mut draft = Draft::new();
        if same == old.value {
            draft.expect(&old);
            return Ok(draft.answer(old.into()));
        }
        let acl = Acl {
            generation: next(&segment.value).generation,
            ..same
        };
        draft.change(&old, &acl);
        self.rules_change(asked, &mut draft, (&tenant, &segment, &acl)).await?;
        self.plan_reach(asked, &mut draft, &[&segment], |meant| put(meant, &acl))
            .await?;
        Ok(draft.answer(Versioned::after(&old, acl)))
    }

    async fn acl_deletion(&self, asked: &Asked, id: AclId) -> Result<Decision<()>, Problem> {
        let (tenant, old) = self.in_project::<Acl>(asked, VERB, id.0).await?;
        asked.unchanged(old.version)?;
        let segment = self.segment_of(&old.value).await?;
        let mut draft = Draft::new();
        draft.delete(&old);
        self.rules_change(asked, &mut draft, (&tenant, &segment, &old.value))
            .await?;
        let without = |meant: &mut Site| {
            let segment = meant.get_mut(&old.value.segment);
            segment.map(|segment| segment.acls.remove(&id));
        };
        self.plan_reach(asked, &mut draft, &[&segment], without).await?;
        Ok(draft.answer(()))
    }

    /// The segment becomes its next generation for a rule.
    async fn rules_change(
        &self,
        asked: &Asked,
        draft: &mut Draft,
        (tenant, segment, acl): (&Tenant, &Stored<Segment>, &Acl),
    ) -> Result<(), Problem> {
        let changed = next(&segment.value);
        tenant.expect(draft);
        let batch = draft.aside();
        batch.update(segment, &changed);
        let waits = self.tell_gateways(batch, &[&changed], asked.now).await?;
        let operation = self.segment_operation(&Asking::new(asked, VERB)?, acl, (&changed, &waits));
        batch.insert(&operation);
        Ok(())
    }

    /// A rule goes with its segment: if that is gone, so is the rule by now.
    async fn segment_of(&self, acl: &Acl) -> Result<Stored<Segment>, Problem> {
        let found = self.row::<Segment>(acl.segment.0).await?;
        found.ok_or_else(|| super::missing(AclId::NOUN, acl.id.0))
    }
}

/// What is meant with a rule.
fn put(meant: &mut Site, acl: &Acl) {
    if let Some(segment) = meant.get_mut(&acl.segment) {
        segment.acls.insert(acl.id, acl.allowed);
    }
}

/// Whether a rule makes sense, whatever the segment.
fn sound(new: &NewAcl, now: Timestamp) -> Result<(), Problem> {
    super::text("note", &new.note, 200)?;
    to_come(new.expires, now)
}

/// Whether a rule can be one of the segment.
fn check(segment: &Segment, new: &NewAcl) -> Result<(), Problem> {
    let Allowed {
        protocol,
        source,
        source_ports,
        destination,
        destination_ports,
    } = new.allowed;
    let invalid = |field: &str, title: String| Problem::new(ProblemKind::Invalid, title).field(field);
    if source.is_v4() != destination.is_v4() {
        let title = format!("`{source}` and `{destination}` are not of the same family");
        return Err(invalid("source", title).hint("use IPv4 for both or IPv6 for both; `::/0` is all of IPv6"));
    }
    let range = if destination.is_v4() {
        Some(segment.v4)
    } else {
        segment.v6
    };
    let Some(range) = range else {
        let title = format!("segment `{}` has no IPv6", segment.name);
        return Err(invalid("destination", title).hint(format!("it has {}", segment.v4)));
    };
    // Two ranges that share an address: one has the other.
    if !range.overlaps(&destination) {
        let title = format!("`{destination}` is outside of segment `{}`", segment.name);
        return Err(invalid("destination", title).hint(format!("use addresses of {range}")));
    }
    for (field, ports) in [("source_ports", source_ports), ("destination_ports", destination_ports)] {
        if protocol == Protocol::Icmp && ports != Ports::ANY {
            let title = format!("`{field}` is `{ports}`, and ICMP has no ports");
            return Err(invalid(field, title).hint("use `any`"));
        }
    }
    Ok(())
}

/// What ends by itself ends later than now.
pub(super) fn to_come(expires: Option<Timestamp>, now: Timestamp) -> Result<(), Problem> {
    if expires.is_some_and(|expires| expires <= now) {
        let problem = Problem::new(ProblemKind::Invalid, "`expires` is over already").field("expires");
        return Err(problem.hint("leave it away for one without an end"));
    }
    Ok(())
}
