//! One hub at a time has a duty; when it is silent for a while another one takes it.
//!
//! Silence is what a hub sees by its own clock: that the row has not changed for so long. The moment in the row only lets a hub that
//! has just started take a duty that was left long ago. So clocks that differ by an hour cost nothing.

use jiff::{SignedDuration, Timestamp};
use renkei_store::noun::duty::Duty;
use renkei_store::{Batch, CommitError, Stored};
use renkei_types::problem::Problem;
use uuid::Uuid;

use crate::app::App;

/// How long a hub may be silent.
const LASTS: SignedDuration = SignedDuration::from_secs(15);
/// When a duty has so long to go it is prolonged: not with each look, which would be a write a second.
const PROLONG: SignedDuration = SignedDuration::from_secs(8);

/// A duty, and what this hub has seen of it.
#[derive(Debug)]
pub struct Watch {
    name: &'static str,
    /// The row's version, and since when it is that.
    seen: Option<(u64, Timestamp)>,
}

impl Watch {
    /// Nothing was seen of it yet.
    pub fn of(name: &'static str) -> Self {
        Self { name, seen: None }
    }

    /// Whether this hub has the duty now.
    pub async fn hold(&mut self, app: &App, holder: Uuid, now: Timestamp) -> Result<bool, Problem> {
        let found = app.find::<Duty>("name", self.name).await?;
        let mine = Duty {
            id: app.draw(now),
            name: self.name.to_owned(),
            holder,
            until: now + LASTS,
        };
        let mut batch = Batch::new();
        match &found {
            Some(other) if other.value.holder != holder && other.value.until > now && !self.silent(other, now) => {
                return Ok(false);
            }
            Some(mine) if mine.value.holder == holder && mine.value.until > now + PROLONG => return Ok(true),
            Some(found) => batch.update(
                found,
                &Duty {
                    id: found.value.id,
                    ..mine
                },
            ),
            None => batch.insert(&mine),
        }
        match app.store.state.commit(batch).await {
            Ok(()) => Ok(true),
            Err(CommitError::Stale { .. } | CommitError::Taken { .. }) => Ok(false),
            Err(error) => Err(crate::problem::commit(&error)),
        }
    }

    /// Whether its holder has not prolonged it for as long as it lasts.
    fn silent(&mut self, row: &Stored<Duty>, now: Timestamp) -> bool {
        match self.seen {
            Some((version, since)) if version == row.version => now.duration_since(since) >= LASTS,
            _ => {
                self.seen = Some((row.version, now));
                false
            }
        }
    }
}

/// Gives all duties up, so that another hub need not wait.
pub async fn leave(app: &App, holder: Uuid) {
    let Ok(duties) = app.store.state.all::<Duty>(None, 100).await else {
        return;
    };
    for duty in duties.iter().filter(|duty| duty.value.holder == holder) {
        let mut batch = Batch::new();
        batch.delete(duty);
        // If it fails, the duty ends by itself.
        let _ = app.store.state.commit(batch).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_holds_it_until_silent() {
        let app = App::new(renkei_store::Store::memory());
        let (one, two) = (Uuid::now_v7(), Uuid::now_v7());
        let at = |second| Timestamp::from_second(second).unwrap();
        let (mut first, mut second) = (Watch::of("x"), Watch::of("x"));
        assert!(first.hold(&app, one, at(0)).await.unwrap());
        assert!(!second.hold(&app, two, at(14)).await.unwrap());
        assert!(second.hold(&app, two, at(15)).await.unwrap());
        assert!(!first.hold(&app, one, at(16)).await.unwrap());
        leave(&app, two).await;
        assert!(first.hold(&app, one, at(16)).await.unwrap());
    }

    #[tokio::test]
    async fn a_clock_that_is_an_hour_ahead_delays_nobody() {
        const HOUR: i64 = 3600;
        let app = App::new(renkei_store::Store::memory());
        let (ahead, right) = (Uuid::now_v7(), Uuid::now_v7());
        let at = |second| Timestamp::from_second(second).unwrap();
        let (mut first, mut second) = (Watch::of("x"), Watch::of("x"));
        // Both live: the one that is ahead has it, and goes on to have it.
        for moment in [0, 7, 14, 21, 28] {
            assert!(first.hold(&app, ahead, at(HOUR + moment)).await.unwrap(), "{moment}");
            assert!(!second.hold(&app, right, at(moment)).await.unwrap(), "{moment}");
        }
        // It is gone.
        assert!(!second.hold(&app, right, at(42)).await.unwrap());
        assert!(second.hold(&app, right, at(43)).await.unwrap());
        // And back.
        assert!(first.hold(&app, ahead, at(HOUR + 44)).await.unwrap());
        assert!(!second.hold(&app, right, at(45)).await.unwrap());
    }
}
