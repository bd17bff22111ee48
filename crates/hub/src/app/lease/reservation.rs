//! Addresses that a project reserves: they stay when the machine is gone, and nobody gets them who does not ask for them.

use renkei_store::Stored;
use renkei_types::action::Action;
use renkei_types::id::{LeaseId, SegmentId};
use renkei_types::lease::{Lease, NewLease};
use renkei_types::page::Page;
use renkei_types::problem::{Problem, ProblemKind};
use renkei_types::segment::Segment;
use serde_json::Value;

use super::number::{self, Numbers};
use crate::app::decision::{Decision, Draft};
use crate::app::list::Paging;
use crate::app::operation::Recorded;
use crate::app::subject::{Subject, json};
use crate::app::{Answer, App, Asked, Versioned, segment};

const VERB: Action = Action::LeaseWrite;

impl Subject for Lease {
    const NOUN: &'static str = LeaseId::NOUN;

    fn name(&self) -> String {
        self.address.to_string()
    }

    fn shown(&self) -> Value {
        json(self)
    }

    fn project(&self) -> Option<renkei_types::id::ProjectId> {
        Some(self.project)
    }
}

impl App {
    /// The addresses of a segment that are held, in the order in which they were issued.
    pub async fn leases(&self, asked: &Asked, segment: SegmentId, paging: &Paging) -> Result<Page<Lease>, Problem> {
        self.in_project::<Segment>(asked, Action::SegmentRead, segment.0)
            .await?;
        let equals = vec![("segment", segment.to_string())];
        self.page::<Lease>(paging, None, equals, None).await
    }

    /// One.
    pub async fn lease_of(&self, asked: &Asked, id: LeaseId) -> Result<Versioned<Lease>, Problem> {
        let (_, found) = self.in_project::<Lease>(asked, Action::SegmentRead, id.0).await?;
        Ok(found.into())
    }

    /// Reserves an address; if it is a machine's, it stays when the machine is gone.
    pub async fn reserve_lease(
        &self,
        asked: &Asked,
        segment: SegmentId,
        new: NewLease,
    ) -> Result<Answer<Versioned<Lease>>, Problem> {
        crate::app::text("note", &new.note, 200)?;
        self.decide(asked, || self.lease_reservation(asked, segment, &new))
            .await
    }

    /// Ends a reservation. A machine keeps the address that it has.
    pub async fn release_lease(&self, asked: &Asked, id: LeaseId) -> Result<Answer<()>, Problem> {
        self.decide(asked, || self.lease_release(asked, id)).await
    }

    async fn lease_reservation(
        &self,
        asked: &Asked,
        segment: SegmentId,
        new: &NewLease,
    ) -> Result<Decision<Versioned<Lease>>, Problem> {
        let (tenant, segment) = self.in_project::<Segment>(asked, VERB, segment.0).await?;
        segment::stays(&segment.value)?;
        let leases = self.every::<Lease>("segment", &segment.value.id.to_string()).await?;
        let mut draft = Draft::new();
        tenant.expect(&mut draft);
        draft.touch(&segment);
        let recorded = Recorded { asked, verb: VERB };
        let known = leases.iter().find(|lease| Some(lease.value.address) == new.address);
        if let Some(known) = known {
            let changed = recorded.change(&mut draft, known, reserved(known, new)?)?;
            return Ok(draft.answer(changed));
        }
        let lease = Lease {
            id: LeaseId(self.draw(asked.now)),
            segment: segment.value.id,
            project: segment.value.project,
            address: free_address(&segment.value, &leases, new)?,
            vm: None,
            reserved: true,
            note: new.note.clone(),
            created: asked.now,
        };
        let made = recorded.create(&mut draft, lease)?;
        Ok(draft.answer(made))
    }

    async fn lease_release(&self, asked: &Asked, id: LeaseId) -> Result<Decision<()>, Problem> {
        let (tenant, old) = self.in_project::<Lease>(asked, VERB, id.0).await?;
        asked.unchanged(old.version)?;
        let mut draft = Draft::new();
        tenant.expect(&mut draft);
        let recorded = Recorded { asked, verb: VERB };
        match old.value.vm {
            None => recorded.delete(&mut draft, &old)?,
            Some(_) if old.value.reserved => {
                let held = Lease {
                    reserved: false,
                    ..old.value.clone()
                };
                recorded.change(&mut draft, &old, held)?;
            }
            Some(vm) => {
                let problem = format!(
                    "address `{}` is held by machine `{vm}` and not reserved",
                    old.value.address
                );
                let problem = Problem::new(ProblemKind::Conflict, problem);
                return Err(problem.hint("it becomes free when the machine is destroyed"));
            }
        }
        Ok(draft.answer(()))
    }
}

/// An address that a machine has becomes one that stays.
fn reserved(known: &Stored<Lease>, new: &NewLease) -> Result<Lease, Problem> {
    if known.value.reserved {
        let problem = format!("address `{}` is reserved already", known.value.address);
        let problem = Problem::new(ProblemKind::Conflict, problem).field("address");
        return Err(problem.hint("leave the address away to get a free one"));
    }
    Ok(Lease {
        reserved: true,
        note: new.note.clone(),
        ..known.value.clone()
    })
}

/// The address that is asked for, which nobody has; without one the first that is free.
fn free_address(segment: &Segment, leases: &[Stored<Lease>], new: &NewLease) -> Result<std::net::IpAddr, Problem> {
    let Some(address) = new.address else {
        let mut numbers = Numbers::new(segment, leases.iter().map(|lease| lease.value.address));
        let number = numbers.take_first().ok_or_else(|| super::full(segment))?;
        let found = number::address(&segment.v4, number);
        return found.ok_or_else(|| super::full(segment));
    };
    let range = segment
        .range_of(address)
        .ok_or_else(|| super::outside(segment, address))?;
    match number::number(&range, address) {
        Some(number) if number::usable(&range, number) => Ok(address),
        _ => Err(super::not_for_machines(segment, address)),
    }
}
