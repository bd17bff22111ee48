//! Chains events, so that none of them can be changed afterwards without being noticed.

use renkei_types::problem::Problem;

use crate::app::App;

/// Events in one transaction.
const AT_ONCE: u32 = 500;

/// Chains all that are not chained.
pub async fn run(app: &App) -> Result<(), Problem> {
    loop {
        let chained = app
            .store
            .audit
            .chain(AT_ONCE)
            .await
            .map_err(|error| crate::app::state(&error))?;
        if chained < u64::from(AT_ONCE) {
            return Ok(());
        }
    }
}
