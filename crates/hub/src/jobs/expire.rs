//! Removes rules and mappings that carry an end, when it has come.

use jiff::{SignedDuration, Timestamp};
use renkei_types::problem::Problem;

use crate::app::App;

/// At least so often it is looked for new ones.
const EVERY: SignedDuration = SignedDuration::from_mins(1);

/// When to look again.
#[derive(Clone, Copy, Debug, Default)]
pub struct Expire {
    next: Timestamp,
}

impl Expire {
    /// Looks, if it is time to.
    pub async fn run(&mut self, app: &App, now: Timestamp) -> Result<(), Problem> {
        if now < self.next {
            return Ok(());
        }
        let soonest = app.expire_rules(now).await?;
        self.next = soonest.min(now + EVERY);
        Ok(())
    }
}
