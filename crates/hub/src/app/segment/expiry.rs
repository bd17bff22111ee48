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

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;
    use renkei_types::acl::NewAcl;
    use renkei_types::dnat::NewDnat;
    use renkei_types::operation::{Generation, OperationState};

    use super::super::trial::{Net, mapping, rule};
    use super::*;
    use crate::app::trial::{done, first_page};

    #[tokio::test]
    async fn rules_and_mappings_end_by_themselves() {
        let net = Net::new().await;
        let (app, asked) = (&net.trial.app, net.asked().await);
        let host = net.gateway().await;
        let segment = net.segment("lab").await;
        net.address("203.0.113.7").await;
        let end = asked.now + SignedDuration::from_hours(1);
        let ends = NewAcl {
            expires: Some(end),
            ..rule("0.0.0.0/0", "10.15.0.2")
        };
        let acl = done(app.create_acl(&asked, segment.id, ends).await).value;
        let stays = done(app.create_acl(&asked, segment.id, rule("0.0.0.0/0", "10.15.0.3")).await).value;
        let leads = NewDnat {
            expires: Some(end),
            ..mapping("203.0.113.7", segment.id, "10.15.0.2")
        };
        let dnat = done(app.create_dnat(&asked, net.project, leads).await).value;
        let later = asked.now + SignedDuration::from_hours(2);
        // Also before anybody has removed them.
        let intent = app.segment_intent(segment.id, later).await.unwrap().unwrap();
        assert_eq!(intent.acls.keys().collect::<Vec<_>>(), [&stays.id]);
        assert!(intent.dnats.is_empty());
        assert_eq!(app.expire_rules(asked.now).await.unwrap(), end);
        assert_eq!(net.now(segment.id).await.unwrap().generation, Generation(4));
        assert_eq!(app.expire_rules(later).await.unwrap(), Timestamp::MAX);
        assert_eq!(net.now(segment.id).await.unwrap().generation, Generation(5));
        assert_eq!(net.manifest(host).await.segments[&segment.id], Generation(5));
        for id in [acl.id.0, dnat.id.0] {
            let told = net.operations(id).await;
            assert_eq!((told[1].by, told[1].state), (None, OperationState::Running));
        }
        assert_eq!(
            app.acls(&asked, net.project, &first_page()).await.unwrap().items,
            [stays]
        );
        app.expire_rules(later).await.unwrap();
        assert_eq!(net.now(segment.id).await.unwrap().generation, Generation(5));
    }
}
