//! Waiting for a condition with a deadline: the only kind of waiting that tests do.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// How long anything on this machine may take before a test gives up; generous, because the machine may be busy.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Calls `condition` until it gives something, at most for `patience`; `what` names the condition in the error.
pub fn until_some<T>(what: &str, patience: Duration, mut condition: impl FnMut() -> Option<T>) -> Result<T> {
    let deadline = Instant::now() + patience;
    let mut pause = Duration::from_millis(1);
    loop {
        if let Some(found) = condition() {
            return Ok(found);
        }
        if Instant::now() >= deadline {
            bail!("waited {} s in vain for {what}", patience.as_secs());
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(20));
    }
}

/// Calls `condition` until it is true, at most for [`PATIENCE`].
pub fn until(what: &str, mut condition: impl FnMut() -> bool) -> Result<()> {
    until_some(what, PATIENCE, || condition().then_some(()))
}
