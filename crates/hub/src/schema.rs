//! Whether the database still has the schema that this hub works with.
//!
//! A newer hub that starts beside this one brings it to another. From then on this one would read what it does not understand: it
//! answers nothing any more, until it is replaced, or the schema goes back. That it writes nothing is seen to by the store.
//! The same look asks the database for its time, which is the hub's.

use std::fmt;
use std::time::Duration;

use renkei_store::StateError;
use renkei_types::problem::{Problem, ProblemKind};

use crate::Hub;

/// From one look to the next.
const EVERY: Duration = Duration::from_secs(1);

/// The database has another schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Foreign {
    /// The database's.
    pub found: u32,
    /// This hub's.
    pub known: u32,
}

impl fmt::Display for Foreign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { found, known } = self;
        write!(
            f,
            "the database has schema {found} now, this hub works with schema {known}"
        )
    }
}

impl Foreign {
    /// What to do about it.
    pub fn hint(&self) -> &'static str {
        if self.found > self.known {
            "a newer version has migrated it: run that version here too"
        } else {
            "it was rolled back: run the older version, or start this one again to migrate it"
        }
    }

    /// For whoever asks meanwhile.
    pub fn problem(&self) -> Problem {
        Problem::new(ProblemKind::Unavailable, self.to_string()).hint(self.hint())
    }
}

/// Looks until the hub stops.
pub async fn watch(hub: Hub) {
    let mut tick = tokio::time::interval(EVERY);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = tick.tick() => {}
            () = hub.stopping() => return,
        }
        // A database that does not answer is told by whoever needs it.
        let _ = look(&hub).await;
        let _ = hub.app.look_at_clock().await;
    }
}

/// Looks now.
pub async fn look(hub: &Hub) -> Result<Option<Foreign>, StateError> {
    let (found, known) = (hub.app.store.identity().await?.schema, hub.app.store.schema());
    let foreign = (found != known).then_some(Foreign { found, known });
    let told = |before: &mut Option<Foreign>| {
        let is_new = *before != foreign;
        *before = foreign;
        is_new
    };
    if hub.foreign.send_if_modified(told) {
        match foreign {
            Some(foreign) => tracing::error!(hint = foreign.hint(), "{foreign}; nothing is answered any more"),
            None => tracing::warn!("the database has schema {known} again; requests are answered"),
        }
    }
    Ok(foreign)
}
