//! What a hub does by itself: each job compares what is with what should be, and acts; run twice, it does nothing the second
//! time. Jobs that must not run in two hubs at once hold a duty.

mod chain;
pub mod deadlines;
mod duty;
mod expire;
mod leases;
pub mod place;
mod settle;
mod sweep;

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use renkei_types::problem::Problem;
use uuid::Uuid;

use crate::Hub;
use crate::app::App;

/// Between two looks when nothing wakes a job.
const EVERY: Duration = Duration::from_secs(1);
/// What is over need not go at once.
const SWEEP_EVERY: SignedDuration = SignedDuration::from_mins(1);
/// Deadlines are minutes away.
const DEADLINES_EVERY: SignedDuration = SignedDuration::from_secs(5);

/// So that what is committed at once is looked at together.
const BREATH: Duration = Duration::from_millis(20);

/// The duty of giving places.
const PLACING: &str = "placing";

/// What jobs know from one look to the next, only to look less often.
#[derive(Debug)]
pub struct Jobs {
    house: duty::Watch,
    places: duty::Watch,
    swept: Timestamp,
    deadlines: Timestamp,
    expire: expire::Expire,
    settle: settle::Settle,
    leases: leases::Leases,
    over: sweep::Swept,
}

impl Default for Jobs {
    fn default() -> Self {
        Self {
            house: duty::Watch::of("housekeeping"),
            places: duty::Watch::of(PLACING),
            swept: Timestamp::default(),
            deadlines: Timestamp::default(),
            expire: expire::Expire::default(),
            settle: settle::Settle::default(),
            leases: leases::Leases::default(),
            over: sweep::Swept::default(),
        }
    }
}

/// Runs all jobs until the hub stops.
pub async fn run(hub: Hub) {
    let holder = Uuid::now_v7();
    tokio::join!(keep_house(&hub, holder), give_places(&hub, holder));
    duty::leave(&hub.app, holder).await;
}

async fn keep_house(hub: &Hub, holder: Uuid) {
    let mut jobs = Jobs::default();
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
        let now = hub.app.now();
        if let Err(problem) = jobs.housekeeping(&hub.app, holder, now).await {
            again(&problem);
        }
    }
}

fn again(problem: &Problem) {
    tracing::warn!(
        problem = problem.title,
        "a job could not be done; it will be tried again"
    );
}

/// Machines get their places as soon as something changes, and once a second: silence changes nothing in the store.
async fn give_places(hub: &Hub, holder: Uuid) {
    let mut changes = hub.app.store.state.changes();
    let mut watch = duty::Watch::of(PLACING);
    loop {
        let changed = tokio::time::timeout(EVERY, changes.changed());
        tokio::select! {
            changed = changed => match changed {
                Ok(Ok(())) => tokio::time::sleep(BREATH).await,
                // No store, no changes: the time is what is left.
                Ok(Err(_)) => tokio::time::sleep(EVERY).await,
                Err(_) => {}
            },
            () = hub.stopping() => break,
        }
        changes.mark_unchanged();
        if hub.foreign_schema().is_some() {
            continue;
        }
        if let Err(problem) = placing(&mut watch, &hub.app, holder).await {
            again(&problem);
        }
    }
}

async fn placing(watch: &mut duty::Watch, app: &App, holder: Uuid) -> Result<(), Problem> {
    while places(watch, (app, holder), app.now()).await? == place::Left::More {}
    Ok(())
}

async fn places(watch: &mut duty::Watch, (app, holder): (&App, Uuid), now: Timestamp) -> Result<place::Left, Problem> {
    match watch.hold(app, holder, now).await? {
        true => place::run(app, now).await,
        false => Ok(place::Left::Nothing),
    }
}

impl Jobs {
    /// Does once all that a hub does by itself. `holder` is the hub's own id.
    ///
    /// # Errors
    /// The first of what could not be done. It is done the next time.
    pub async fn look(&mut self, app: &App, holder: Uuid, now: Timestamp) -> Result<(), Problem> {
        let kept = self.housekeeping(app, holder, now).await;
        places(&mut self.places, (app, holder), now).await?;
        kept
    }

    async fn housekeeping(&mut self, app: &App, holder: Uuid, now: Timestamp) -> Result<(), Problem> {
        if !self.house.hold(app, holder, now).await? {
            return Ok(());
        }
        chain::run(app).await?;
        self.expire.run(app, now).await?;
        self.settle.run(app, now).await?;
        if now.duration_since(self.deadlines) >= DEADLINES_EVERY {
            deadlines::run(app, now).await?;
            app.carry_out_fences(now).await?;
            self.deadlines = now;
        }
        if now.duration_since(self.swept) >= SWEEP_EVERY {
            sweep::run(app, &mut self.over, now).await?;
            self.leases.run(app).await?;
            app.rotate_signing_key(now).await?;
            self.swept = now;
        }
        Ok(())
    }
}
