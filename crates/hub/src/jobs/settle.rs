//! Gives a site's gateway that is new all segments of the site.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use renkei_types::id::{HostId, SiteId};
use renkei_types::problem::Problem;
use renkei_types::site::Site;

use crate::app::App;

/// How long it is believed of a gateway that it has got all: not for ever, as the database may be set back under a running hub.
const BELIEVED: SignedDuration = SignedDuration::from_mins(1);

/// The gateways that have got all, and when. Whatever changes later is written to them by whoever changes it.
#[derive(Clone, Debug, Default)]
pub struct Settle {
    done: BTreeMap<SiteId, (HostId, Timestamp)>,
}

impl Settle {
    /// Looks at every site.
    pub async fn run(&mut self, app: &App, now: Timestamp) -> Result<(), Problem> {
        let sites = app.store.state.all::<Site>(None, 1000).await;
        for site in sites.map_err(|error| crate::app::state(&error))? {
            let Some(gateway) = site.value.gateway else { continue };
            let done = self.done.get(&site.value.id);
            if done.is_some_and(|(of, at)| *of == gateway && now.duration_since(*at) < BELIEVED) {
                continue;
            }
            app.settle_segments(site.value.id, now).await?;
            self.done.insert(site.value.id, (gateway, now));
        }
        Ok(())
    }
}
