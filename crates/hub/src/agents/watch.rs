//! Who is woken when something has changed: only those whose manifest or site did, or of whose agent a stream is wanted. One look for
//! all links of a hub, after a few commits together, in place of one for each link after each commit.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use renkei_store::noun::manifest::Manifest;
use renkei_store::noun::stream::StreamRow;
use renkei_store::{Noun, StateError};
use renkei_types::id::{HostId, SiteId};
use renkei_types::site::Site;
use renkei_types::stream::Stream;
use tokio::sync::{Notify, watch as value};
use uuid::Uuid;

use crate::Hub;

/// From one look to the next at least: what is committed meanwhile is one look.
const TOGETHER: Duration = Duration::from_millis(20);
/// From one look to the next at most: notifications may be lost.
const EVERY: Duration = Duration::from_secs(5);
/// How long a hub that stops waits for those who are connected.
const LEAVE: Duration = Duration::from_secs(5);

/// The links of a hub.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    links: Mutex<HashMap<Uuid, Watched>>,
    count: value::Sender<usize>,
}

#[derive(Debug)]
struct Watched {
    host: HostId,
    site: Option<SiteId>,
    /// What is wanted of its agent and was not said yet.
    asked: Vec<Stream>,
    bell: Arc<Notify>,
}

/// A link that is watched until this is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    watch: Arc<Watch>,
    id: Uuid,
    pub bell: Arc<Notify>,
}

impl Watch {
    /// Rings the bell of the place from now on.
    pub fn place(self: &Arc<Self>, host: HostId) -> Place {
        let (id, bell) = (Uuid::now_v7(), Arc::<Notify>::default());
        let watched = Watched {
            host,
            site: None,
            asked: Vec::new(),
            bell: bell.clone(),
        };
        self.links().insert(id, watched);
        self.tell();
        let watch = self.clone();
        Place { watch, id, bell }
    }

    /// Returns when nobody is connected any more, or has not gone in time.
    pub async fn emptied(&self) {
        let mut count = self.count.subscribe();
        // The sender lives as long as `self`.
        let _ = tokio::time::timeout(LEAVE, count.wait_for(|count| *count == 0)).await;
    }

    fn wake(&self, changed: &HashSet<Uuid>) {
        for link in self.links().values() {
            if changed.contains(&link.host.0) || link.site.is_some_and(|site| changed.contains(&site.0)) {
                link.bell.notify_one();
            }
        }
    }

    /// Says what is wanted of the agents that are connected here.
    fn ask(&self, hub: Uuid, wanted: Vec<StreamRow>) {
        let mut links = self.links();
        for row in wanted {
            for link in links.values_mut().filter(|link| link.host == row.host) {
                link.asked.push(Stream {
                    id: row.id,
                    of: row.of,
                    here: row.hub == hub,
                    at: row.at.clone(),
                });
                link.bell.notify_one();
            }
        }
    }

    fn links(&self) -> MutexGuard<'_, HashMap<Uuid, Watched>> {
        self.links.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self) {
        let links = self.links().len();
        self.count.send_replace(links);
    }
}

impl Place {
    /// The host turned out to be there.
    pub fn at(&self, site: SiteId) {
        if let Some(link) = self.watch.links().get_mut(&self.id) {
            link.site = Some(site);
        }
    }

    /// What is wanted of its agent.
    pub fn asked(&self) -> Vec<Stream> {
        let mut links = self.watch.links();
        let asked = links.get_mut(&self.id).map(|link| std::mem::take(&mut link.asked));
        asked.unwrap_or_default()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.watch.links().remove(&self.id);
        self.watch.tell();
    }
}

/// Looks until the hub stops.
pub(crate) async fn watch(hub: Hub) {
    let mut changes = hub.app.store.state.changes();
    let mut known = HashMap::new();
    let mut streams = HashSet::new();
    loop {
        let change = async {
            // Without a sender there is only the time.
            if changes.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            () = change => {}
            () = tokio::time::sleep(EVERY) => {}
            () = hub.stopping() => return,
        }
        if hub.agents.links().is_empty() || hub.foreign_schema().is_some() {
            continue;
        }
        let changed = async {
            let mut changed = changed::<Manifest>(&hub, &mut known).await?;
            changed.extend(self::changed::<Site>(&hub, &mut known).await?);
            Ok::<_, StateError>((changed, wanted(&hub, &mut streams).await?))
        };
        match changed.await {
            Ok((changed, wanted)) => {
                hub.agents.wake(&changed);
                hub.agents.ask(hub.id, wanted);
            }
            Err(error) => tracing::debug!(
                error = crate::problem::chain(&error),
                "manifests cannot be looked at now"
            ),
        }
        tokio::time::sleep(TOGETHER).await;
    }
}

/// Streams that are wanted since the last look.
async fn wanted(hub: &Hub, known: &mut HashSet<Uuid>) -> Result<Vec<StreamRow>, StateError> {
    let all = hub.app.store.state.versions::<StreamRow>().await?;
    let all: HashSet<Uuid> = all.into_iter().map(|(id, _)| id).collect();
    let fresh: Vec<Uuid> = all.difference(known).copied().collect();
    let rows = match fresh.is_empty() {
        true => Vec::new(),
        false => hub.app.store.state.some::<StreamRow>(&fresh).await?,
    };
    *known = all;
    let now = hub.app.now();
    let wanted = rows.into_iter().map(|row| row.value);
    Ok(wanted.filter(|row| row.expires > now).collect())
}

/// The ids of rows that have another version than at the last look.
async fn changed<N: Noun>(hub: &Hub, known: &mut HashMap<Uuid, u64>) -> Result<HashSet<Uuid>, StateError> {
    let versions = hub.app.store.state.versions::<N>().await?;
    let fresh = versions
        .into_iter()
        .filter(|(id, version)| known.insert(*id, *version) != Some(*version));
    Ok(fresh.map(|(id, _)| id).collect())
}
