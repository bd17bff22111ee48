//! The end of rules and mappings that carry one.

use std::collections::BTreeMap;

use jiff::Timestamp;
use renkei_store::noun::{Noun, Stored};
use renkei_store::{Batch, CommitError};
use renkei_types::acl::Acl;
use renkei_types::action::Action;
use renkei_types::dnat::Dnat;
use renkei_types::id::SegmentId;
use renkei_types::problem::Problem;
use renkei_types::segment::Segment;

use super::{Asking, next};
use crate::app::decision::Draft;
use crate::app::{App, state};

/// Rows in one look.
const AT_ONCE: u32 = 500;

/// What of a segment is over.
#[derive(Debug, Default)]
struct Over {
    acls: Vec<Stored<Acl>>,
    dnats: Vec<Stored<Dnat>>,
}

impl App {
    /// Removes all rules and mappings that are over at `now`, and tells when the next one will be.
    pub async fn expire_rules(&self, now: Timestamp) -> Result<Timestamp, Problem> {
        let mut over: BTreeMap<SegmentId, Over> = BTreeMap::new();
        let mut soonest = Timestamp::MAX;
        self.each::<Acl>(|row| match row.value.expires {
            Some(expires) if expires <= now => over.entry(row.value.segment).or_default().acls.push(row),
            Some(expires) => soonest = soonest.min(expires),
            None => {}
        })
        .await?;
        self.each::<Dnat>(|row| match row.value.expires {
            Some(expires) if expires <= now => over.entry(row.value.segment).or_default().dnats.push(row),
            Some(expires) => soonest = soonest.min(expires),
            None => {}
        })
        .await?;
        for (segment, over) in over {
            let Some(segment) = self.row::<Segment>(segment.0).await? else {
                continue;
            };
            let batch = self.expiry(&segment, &over, now).await?;
            match self.commit(batch).await {
                Ok(()) => {}
                // Somebody changed it meanwhile: the next look sees how it is then.
                Err(CommitError::Stale { .. }) => soonest = now,
                Err(error) => return Err(crate::problem::commit(&error)),
            }
        }
        Ok(soonest)
    }

    async fn expiry(&self, segment: &Stored<Segment>, over: &Over, now: Timestamp) -> Result<Batch, Problem> {
        let changed = next(&segment.value);
        let mut draft = Draft::new();
        for acl in &over.acls {
            draft.delete(acl);
        }
        for dnat in &over.dnats {
            draft.delete(dnat);
        }
        let batch = draft.aside();
        batch.update(segment, &changed);
        let waits = self.tell_gateways(batch, &[&changed], now).await?;
        let asking = |verb| Asking { by: None, verb, now };
        for acl in &over.acls {
            batch.insert(&self.segment_operation(&asking(Action::AclWrite), &acl.value, (&changed, &waits)));
        }
        for dnat in &over.dnats {
            batch.insert(&self.segment_operation(&asking(Action::DnatWrite), &dnat.value, (&changed, &waits)));
        }
        Ok(draft.by_itself(now))
    }

    /// Shows every row of a noun.
    async fn each<N: Noun>(&self, mut see: impl FnMut(Stored<N>)) -> Result<(), Problem> {
        let mut after = None;
        loop {
            let rows = self.store.state.all::<N>(after, AT_ONCE).await;
            let rows = rows.map_err(|error| state(&error))?;
            let last = rows.len() < AT_ONCE as usize;
            after = rows.last().map(|row| row.value.id());
            rows.into_iter().for_each(&mut see);
            if last {
                return Ok(());
            }
        }
    }
}
