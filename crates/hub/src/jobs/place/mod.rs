//! Gives machines that wait for room their places: the rows of a site go into [`app::place`](crate::app::place), and what it says is
//! committed in one batch. What it rests on (the manifests and states of the hosts that are chosen, the machines, their operations) is
//! expected to be still so; if not, the look is made again, with fewer machines each time.
//!
//! A machine on a host that is draining moves when it is off, nothing else is asked of it, and another host has room for it.

mod reading;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod trial;
mod writing;

use jiff::Timestamp;
use renkei_store::{CommitError, Noun};
use renkei_types::problem::Problem;
use renkei_types::site::Site;

use self::reading::Scene;
use self::writing::Writing;
use crate::app::App;

/// Machines in one batch.
const AT_ONCE: usize = 200;

/// Whether something is left to be done at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Left {
    /// There may be more.
    More,
    /// Nothing until something changes.
    Nothing,
}

/// Looks at every site once.
pub async fn run(app: &App, now: Timestamp) -> Result<Left, Problem> {
    const SITES: u32 = 500;
    let (mut left, mut after) = (Left::Nothing, None);
    loop {
        let sites = app.store.state.all::<Site>(after, SITES).await;
        let sites = sites.map_err(|error| crate::app::state(&error))?;
        for site in &sites {
            // While it is in recovery nothing is ordered of its hosts.
            if site.value.recovery.is_none() && look(app, site, now).await? == Left::More {
                left = Left::More;
            }
        }
        match sites.last() {
            Some(last) if sites.len() == SITES as usize => after = Some(last.value.id()),
            _ => return Ok(left),
        }
    }
}

async fn look(app: &App, site: &renkei_store::Stored<Site>, now: Timestamp) -> Result<Left, Problem> {
    let mut most = AT_ONCE;
    loop {
        let Some(scene) = Scene::read(app, site, now).await? else {
            return Ok(Left::Nothing);
        };
        let mut writing = Writing::new(app, &scene, (most, now));
        let left = writing.write(&scene.moves).await?;
        let batch = writing.finish().await?;
        if batch.is_empty() {
            return Ok(Left::Nothing);
        }
        match app.store.state.commit(batch).await {
            Ok(()) => return Ok(left),
            Err(CommitError::Stale { .. } | CommitError::Taken { .. }) if most > 1 => most /= 2,
            // It is looked at again with the next change, which has just happened.
            Err(CommitError::Stale { .. } | CommitError::Taken { .. }) => return Ok(Left::More),
            Err(error) => return Err(crate::problem::commit(&error)),
        }
    }
}
