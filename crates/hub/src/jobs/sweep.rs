//! Removes what is over: tokens some time after their end, answers kept for `Idempotency-Key` after a day, counts of failed
//! sign-ins that say nothing any more, streams that came or did not, manifests that were issued long ago.
//!
//! That a manifest was issued has to be known as long as an agent may come with it. An agent holds what it has last confirmed, or a
//! later one; but a host may be set back as well, by a snapshot or a backup of its disk, and then comes with one that it held long
//! before. Were that forgotten, it would look as if the hub's database had been set back. So the last [`ISSUED`] before the one that is
//! held are kept, and of an agent that is set back further the site's administrator has to look at the difference: no harm, only work.
//! Backups of the database bring back what was issued before them along with the rest, so that nothing need be kept for these.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use renkei_policy::limit::Failures;
use renkei_store::noun::attempt::Attempt;
use renkei_store::noun::contact::Contact;
use renkei_store::noun::idempotency::Idempotency;
use renkei_store::noun::manifest::Issued;
use renkei_store::noun::stream::StreamRow;
use renkei_store::noun::token::Credential;
use renkei_store::{Batch, CommitError, Noun, Stored};
use renkei_types::id::HostId;
use renkei_types::problem::Problem;
use uuid::Uuid;

use crate::app::App;

/// How long an answer is kept.
const ANSWERS: SignedDuration = SignedDuration::from_hours(24);
/// How long a token that is over is still shown.
const TOKENS: SignedDuration = SignedDuration::from_hours(7 * 24);
/// How many manifests are remembered before the one that a host holds.
const ISSUED: u64 = 1000;
/// So many more are gathered before they are looked for.
const GATHERED: u64 = 200;
/// Rows in one look.
const AT_ONCE: u32 = 200;

/// Up to which version what was issued to each host is swept, only to look less often.
#[derive(Clone, Debug, Default)]
pub struct Swept(BTreeMap<HostId, u64>);

/// Looks at a part of each; the next run goes on from the oldest.
pub async fn run(app: &App, swept: &mut Swept, now: Timestamp) -> Result<(), Problem> {
    swept.issued(app).await?;
    sweep::<Idempotency>(app, |answer| answer.created + ANSWERS <= now).await?;
    sweep::<StreamRow>(app, |stream| stream.expires <= now).await?;
    sweep::<Credential>(app, |credential| credential.token.expires + TOKENS <= now).await?;
    sweep::<Attempt>(app, |attempt| {
        let failures = serde_json::from_value::<Failures>(attempt.failures.clone());
        failures.is_ok_and(|failures| failures.forgotten(now))
    })
    .await
}

impl Swept {
    async fn issued(&mut self, app: &App) -> Result<(), Problem> {
        let contacts = app.store.state.all::<Contact>(None, u32::MAX).await;
        for contact in contacts.map_err(|error| crate::app::state(&error))? {
            let Contact { host, held, .. } = contact.value;
            let below = held.version.saturating_sub(ISSUED);
            if below < self.0.get(&host).copied().unwrap_or_default() + GATHERED {
                continue;
            }
            for issued in app.every::<Issued>("host", &host.to_string()).await? {
                if issued.value.is.version < below {
                    let mut batch = Batch::new();
                    batch.delete(&issued);
                    remove(app, batch).await?;
                }
            }
            self.0.insert(host, below);
        }
        Ok(())
    }
}

/// Whoever changed it meanwhile had a reason.
async fn remove(app: &App, batch: Batch) -> Result<(), Problem> {
    match app.store.state.commit(batch).await {
        Ok(()) | Err(CommitError::Stale { .. }) => Ok(()),
        Err(error) => Err(crate::problem::commit(&error)),
    }
}

async fn sweep<N: Noun>(app: &App, over: impl Fn(&N) -> bool) -> Result<(), Problem> {
    let mut after: Option<Uuid> = None;
    loop {
        let scan = app.store.state.all::<N>(after, AT_ONCE).await;
        let rows: Vec<Stored<N>> = scan.map_err(|error| crate::app::state(&error))?;
        for row in rows.iter().filter(|row| over(&row.value)) {
            let mut batch = Batch::new();
            batch.delete(row);
            remove(app, batch).await?;
        }
        match rows.last() {
            Some(last) if rows.len() == AT_ONCE as usize => after = Some(last.value.id()),
            _ => return Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use renkei_types::agent::Held;
    use renkei_types::id::SiteId;

    use super::*;

    #[tokio::test]
    async fn what_an_agent_may_still_come_with_is_remembered() {
        let app = App::new(renkei_store::Store::memory());
        let host = HostId(Uuid::from_u128(1));
        let held = |version| Held {
            epoch: 1,
            version,
            digest: format!("{version}"),
        };
        let contact = Contact {
            host,
            site: SiteId(Uuid::nil()),
            hub: None,
            speaks: 1,
            since: Timestamp::UNIX_EPOCH,
            heard: Timestamp::UNIX_EPOCH,
            held: held(1500),
            boot_id: String::new(),
            skew_ms: 0,
            free_disk_gib: 0,
            listed: true,
            unknown: Vec::new(),
            holding: None,
        };
        let mut batch = Batch::new();
        batch.insert(&contact);
        for version in 1..=1510 {
            batch.insert(&Issued {
                id: Uuid::from_u128(version.into()),
                host,
                is: held(version),
            });
        }
        app.store.state.commit(batch).await.unwrap();
        let mut swept = Swept::default();
        for _ in 0..2 {
            run(&app, &mut swept, Timestamp::UNIX_EPOCH).await.unwrap();
            let left = app.store.state.all::<Issued>(None, u32::MAX).await.unwrap();
            let versions: Vec<u64> = left.iter().map(|issued| issued.value.is.version).collect();
            assert!(versions.iter().copied().eq(500..=1510), "{}", versions.len());
        }
    }
}
