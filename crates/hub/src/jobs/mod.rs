//! What a hub does by itself: each job compares what is with what should be, and acts; run twice, it does nothing the second
//! time. Jobs that must not run in two hubs at once hold a duty.

mod chain;
mod duty;
mod expire;
mod settle;
mod sweep;

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use renkei_types::problem::Problem;
use uuid::Uuid;

use crate::Hub;

/// Between two looks when nothing wakes a job.
const EVERY: Duration = Duration::from_secs(1);
/// What is over need not go at once.
const SWEEP_EVERY: SignedDuration = SignedDuration::from_mins(1);

/// What jobs know from one look to the next, only to look less often.
#[derive(Debug, Default)]
struct Kept {
    swept: Timestamp,
    expire: expire::Expire,
    settle: settle::Settle,
}

/// Runs all jobs until the hub stops.
pub async fn run(hub: Hub) {
    let holder = Uuid::now_v7();
    let mut kept = Kept::default();
    let mut tick = tokio::time::interval(EVERY);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = tick.tick() => {}
            () = hub.stopping() => break,
        }
        if hub.foreign_schema().is_some() {
            continue;
        }
        let now = Timestamp::now();
        if let Err(problem) = housekeeping(&hub, holder, now, &mut kept).await {
            tracing::warn!(
                problem = problem.title,
                "a job could not be done; it will be tried again"
            );
        }
    }
    duty::leave(&hub.app, holder).await;
}

async fn housekeeping(hub: &Hub, holder: Uuid, now: Timestamp, kept: &mut Kept) -> Result<(), Problem> {
    if !duty::hold(&hub.app, "housekeeping", holder, now).await? {
        return Ok(());
    }
    chain::run(&hub.app).await?;
    kept.expire.run(&hub.app, now).await?;
    kept.settle.run(&hub.app, now).await?;
    if now.duration_since(kept.swept) >= SWEEP_EVERY {
        sweep::run(&hub.app, now).await?;
        hub.app.rotate_signing_key(now).await?;
        kept.swept = now;
    }
    Ok(())
}
