//! One hub at a time has a duty; when it is silent for a while another one takes it.

use jiff::{SignedDuration, Timestamp};
use renkei_store::noun::duty::Duty;
use renkei_store::{Batch, CommitError};
use renkei_types::problem::Problem;
use uuid::Uuid;

use crate::app::App;

/// How long a hub may be silent.
const LASTS: SignedDuration = SignedDuration::from_secs(15);
/// When a duty has so long to go it is prolonged: not with each look, which would be a write a second.
const PROLONG: SignedDuration = SignedDuration::from_secs(8);

/// Whether this hub has the duty now.
pub async fn hold(app: &App, name: &str, holder: Uuid, now: Timestamp) -> Result<bool, Problem> {
    let found = app.find::<Duty>("name", name).await?;
    let mine = Duty {
        id: app.draw(now),
        name: name.to_owned(),
        holder,
        until: now + LASTS,
    };
    let mut batch = Batch::new();
    match &found {
        Some(other) if other.value.holder != holder && other.value.until > now => return Ok(false),
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
        assert!(hold(&app, "x", one, at(0)).await.unwrap());
        assert!(!hold(&app, "x", two, at(14)).await.unwrap());
        assert!(hold(&app, "x", two, at(15)).await.unwrap());
        assert!(!hold(&app, "x", one, at(16)).await.unwrap());
        leave(&app, two).await;
        assert!(hold(&app, "x", one, at(16)).await.unwrap());
    }
}
