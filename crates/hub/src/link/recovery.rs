//! Whether what an agent holds was issued by this database, and what happens if not.
//!
//! Each manifest is written down by the batch that issues it. So a manifest that is not written down was issued by a database that
//! this one was before it was set back: restored, copied away and put back, or a replica that was left behind. That it is not
//! written down is not believed of a read, which may be old: it is written down now, which works only if it was not there. The
//! same batch puts the site into recovery; then the epoch is raised, so that all that will be issued is later than all that was.

use jiff::Timestamp;
use renkei_store::noun::manifest::Issued;
use renkei_store::{Batch, CommitError};
use renkei_types::agent::Held;
use renkei_types::event::{Doer, Event};
use renkei_types::id::SiteId;
use renkei_types::problem::Problem;
use renkei_types::site::{Recovery, Site};

use super::{Ended, Open};
use crate::app::App;

/// No database has begun so many epochs: whoever says so is not believed.
const MOST_EPOCHS_AHEAD: u64 = 1_000_000;

/// Sees to it that the site of an agent that holds `held` is in recovery if this database did not issue that.
pub(super) async fn prove(app: &App, open: &mut Open, held: &Held, now: Timestamp) -> Result<(), Ended> {
    // Before the first manifest nothing is held.
    if held.version == 0 {
        return Ok(());
    }
    let key = Issued::manifest_key(open.host, held);
    let mut tries = super::contact::TRIES;
    while app.find::<Issued>("manifest", &key).await?.is_none() {
        credible(app, held).await?;
        let recovery = open.site.value.recovery.clone().unwrap_or_else(|| Recovery {
            since: now,
            reason: reason(open, held),
        });
        let site = Site {
            recovery: Some(recovery.clone()),
            ..open.site.value.clone()
        };
        let mut batch = Batch::new();
        batch.insert(&Issued {
            id: app.draw(now),
            host: open.host,
            is: held.clone(),
        });
        if open.site.value.recovery.is_none() {
            batch.update(&open.site, &site);
            batch.append(event(&open.site.value, &site, now));
        } else {
            batch.expect(&open.site);
        }
        match app.store.state.commit(batch).await {
            Ok(()) => {
                if open.site.value.recovery.is_none() {
                    tracing::error!(site = %site.name, reason = recovery.reason, "the database was set back");
                    open.site.version += 1;
                }
                open.site.value = site;
                break;
            }
            // It was issued after all, or the site has changed: both are read again.
            Err(CommitError::Stale { .. } | CommitError::Taken { .. }) if tries > 0 => {
                tries -= 1;
                open.site = app.get::<Site>(SiteId::NOUN, open.site.value.id.0).await?;
            }
            Err(error) => return Err(crate::problem::commit(&error).into()),
        }
    }
    open.recovery = open.site.value.recovery.as_ref().map(|recovery| recovery.since);
    if open.recovery.is_some() {
        raise(app, held.epoch).await?;
    }
    Ok(())
}

/// Sees to it that the database's epoch is later than `heard`. Done twice, it does nothing the second time.
pub(crate) async fn raise(app: &App, heard: u64) -> Result<u64, Problem> {
    let identity = app.store.identity().await;
    let mut identity = identity.map_err(|error| crate::app::state(&error))?;
    if u64::from(identity.epoch) <= heard {
        let heard = u32::try_from(heard).unwrap_or(u32::MAX);
        let raised = app.store.raise_epoch(identity.run, heard).await;
        identity = raised.map_err(|error| crate::app::state(&error))?;
    }
    Ok(identity.epoch.into())
}

async fn credible(app: &App, held: &Held) -> Result<(), Ended> {
    let identity = app.store.identity().await.map_err(|error| crate::app::state(&error))?;
    let ours = u64::from(identity.epoch);
    if held.epoch > ours + MOST_EPOCHS_AHEAD {
        let why = format!("epoch {} cannot be: the hub is in epoch {ours}", held.epoch);
        return Err(Ended::because(why));
    }
    Ok(())
}

fn reason(open: &Open, held: &Held) -> String {
    let is = &open.manifest.value.is;
    format!(
        "host {} holds manifest {} of epoch {}, which this database never issued (it is at {} of epoch {})",
        open.host, held.version, held.epoch, is.version, is.epoch
    )
}

/// The hub did it by itself.
fn event(before: &Site, after: &Site, now: Timestamp) -> Event {
    let shown = |site: &Site| serde_json::to_value(site).ok();
    Event {
        id: 0,
        at: now,
        by: Doer::default(),
        action: format!("{}:recovery", SiteId::NOUN),
        noun: SiteId::NOUN.to_owned(),
        object: after.id.0,
        object_name: after.name.to_string(),
        project: None,
        organization: None,
        before: shown(before),
        after: shown(after),
    }
}
