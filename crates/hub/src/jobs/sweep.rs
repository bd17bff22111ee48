//! Removes what is over: tokens some time after their end, answers kept for `Idempotency-Key` after a day, counts of failed
//! sign-ins that say nothing any more.

use jiff::{SignedDuration, Timestamp};
use renkei_policy::limit::Failures;
use renkei_store::noun::attempt::Attempt;
use renkei_store::noun::idempotency::Idempotency;
use renkei_store::noun::token::Credential;
use renkei_store::{Batch, CommitError, Noun, Stored};
use renkei_types::problem::Problem;
use uuid::Uuid;

use crate::app::App;

/// How long an answer is kept.
const ANSWERS: SignedDuration = SignedDuration::from_hours(24);
/// How long a token that is over is still shown.
const TOKENS: SignedDuration = SignedDuration::from_hours(7 * 24);
/// Rows in one look.
const AT_ONCE: u32 = 200;

/// Looks at a part of each; the next run goes on from the oldest.
pub async fn run(app: &App, now: Timestamp) -> Result<(), Problem> {
    sweep::<Idempotency>(app, |answer| answer.created + ANSWERS <= now).await?;
    sweep::<Credential>(app, |credential| credential.token.expires + TOKENS <= now).await?;
    sweep::<Attempt>(app, |attempt| {
        let failures = serde_json::from_value::<Failures>(attempt.failures.clone());
        failures.is_ok_and(|failures| failures.forgotten(now))
    })
    .await
}

async fn sweep<N: Noun>(app: &App, over: impl Fn(&N) -> bool) -> Result<(), Problem> {
    let mut after: Option<Uuid> = None;
    loop {
        let scan = app.store.state.all::<N>(after, AT_ONCE).await;
        let rows: Vec<Stored<N>> = scan.map_err(|error| crate::app::state(&error))?;
        for row in rows.iter().filter(|row| over(&row.value)) {
            let mut batch = Batch::new();
            batch.delete(row);
            match app.store.state.commit(batch).await {
                // Whoever changed it meanwhile had a reason.
                Ok(()) | Err(CommitError::Stale { .. }) => {}
                Err(error) => return Err(crate::problem::commit(&error)),
            }
        }
        match rows.last() {
            Some(last) if rows.len() == AT_ONCE as usize => after = Some(last.value.id()),
            _ => return Ok(()),
        }
    }
}
