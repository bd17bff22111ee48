//! From a segment to its site's gateway and the operations that wait for it.
//!
//! The gateway's manifest has every segment of the site with its generation. Without a gateway the change is committed all the
//! same: as soon as the site has one, [`App::settle_segments`] gives it all that there is.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use renkei_store::noun::manifest::Manifest;
use renkei_store::{Batch, CommitError, Noun, Stored};
use renkei_types::action::Action;
use renkei_types::host::Host;
use renkei_types::id::{HostId, OperationId, SiteId, UserId};
use renkei_types::operation::{Object, Operation, OperationState, Waiting};
use renkei_types::problem::Problem;
use renkei_types::segment::Segment;
use renkei_types::site::Site;

use crate::app::subject::Subject;
use crate::app::{App, Asked, manifest};

/// Who asks for a change of what is meant for segments.
#[derive(Clone, Debug)]
pub struct Asking {
    /// Who; nobody when the hub does by itself.
    pub by: Option<UserId>,
    /// By what right.
    pub verb: Action,
    /// When.
    pub now: Timestamp,
}

/// For what the operations at each site wait.
pub(in crate::app) type Waits = BTreeMap<SiteId, Waiting>;

impl Asking {
    /// By whoever asks.
    pub fn new(asked: &Asked, verb: Action) -> Result<Self, Problem> {
        Ok(Self {
            by: Some(asked.actor()?.user),
            verb,
            now: asked.now,
        })
    }
}

impl App {
    /// Puts these segments, as they will be, into the manifests of their sites' gateways. To be called once in a batch, with all
    /// that change in it.
    pub(in crate::app) async fn tell_gateways(
        &self,
        batch: &mut Batch,
        segments: &[&Segment],
        now: Timestamp,
    ) -> Result<Waits, Problem> {
        let sites: BTreeSet<SiteId> = segments.iter().filter_map(|segment| segment.site()).collect();
        let mut waits = Waits::new();
        for id in sites {
            let site = self.get::<Site>(SiteId::NOUN, id.0).await?;
            // A gateway that comes meanwhile would not hear of it.
            batch.expect(&site);
            if let Some(gateway) = site.value.gateway {
                let old = self.manifest(gateway).await?;
                let mut new = old.value.clone();
                let here = segments.iter().filter(|segment| segment.site() == Some(id));
                new.segments
                    .extend(here.map(|segment| (segment.id, segment.generation)));
                manifest::issue(self, batch, &old, new).await?;
            }
            let what = self.waited_for(&site.value).await?;
            waits.insert(id, Waiting { what, since: now });
        }
        Ok(waits)
    }

    /// The operation of a change of `object`, which is done when this generation of `segment` is seen, or a later one.
    pub(in crate::app) fn segment_operation<S: Subject>(
        &self,
        asking: &Asking,
        object: &S,
        (segment, waits): (&Segment, &Waits),
    ) -> Operation {
        Operation {
            id: OperationId(self.draw(asking.now)),
            verb: asking.verb.to_string(),
            object: Object {
                noun: S::NOUN.to_owned(),
                id: object.id(),
                name: object.name(),
            },
            project: object.project(),
            by: asking.by,
            generation: segment.generation,
            through: (object.id() != segment.id.0).then_some(segment.id.0),
            state: OperationState::Running,
            progress: 0,
            waiting: segment.site().and_then(|site| waits.get(&site).cloned()),
            error: None,
            created: asking.now,
            // Nothing of this is ever set back.
            deadline: None,
            ended: None,
        }
    }

    /// Gives the gateway of a site all segments of the site, with the generations that are meant. It does nothing when that is so:
    /// it is for a gateway that is new.
    pub async fn settle_segments(&self, id: SiteId, now: Timestamp) -> Result<(), Problem> {
        loop {
            let Some(site) = self.row::<Site>(id.0).await? else {
                return Ok(());
            };
            let Some(gateway) = site.value.gateway else {
                return Ok(());
            };
            let rows = self.every::<Segment>("site", &id.to_string()).await?;
            let old = self.manifest(gateway).await?;
            let new = Manifest {
                segments: rows.iter().map(|row| (row.value.id, row.value.generation)).collect(),
                ..old.value.clone()
            };
            let mut batch = Batch::new();
            if new.segments != old.value.segments {
                batch.expect(&site);
                // One that changes meanwhile writes the manifest too.
                manifest::issue(self, &mut batch, &old, new).await?;
            }
            let waits = self.waited_for(&site.value).await?;
            for row in rows.iter().filter(|row| row.value.seen < row.value.generation) {
                self.wait_for(&mut batch, &row.value, &waits, now).await?;
            }
            match self.commit(batch).await {
                Ok(()) => return Ok(()),
                Err(CommitError::Stale { .. }) => {}
                Err(error) => return Err(crate::problem::commit(&error)),
            }
        }
    }

    /// Whoever waits for the gateway of before waits for the one of now.
    async fn wait_for(&self, batch: &mut Batch, segment: &Segment, what: &str, now: Timestamp) -> Result<(), Problem> {
        for operation in self.every::<Operation>("open", &segment.id.to_string()).await? {
            let waiting = operation.value.waiting.as_ref();
            if waiting.is_some_and(|waiting| waiting.what == what) {
                continue;
            }
            let waiting = Waiting {
                what: what.to_owned(),
                since: now,
            };
            let new = Operation {
                waiting: Some(waiting),
                ..operation.value.clone()
            };
            batch.update(&operation, &new);
        }
        Ok(())
    }

    /// What confirms the segments of a site.
    async fn waited_for(&self, site: &Site) -> Result<String, Problem> {
        let Some(gateway) = site.gateway else {
            return Ok(format!("a host at site `{}`", site.name));
        };
        let host = self.row::<Host>(gateway.0).await?;
        let name = host.map_or_else(|| gateway.to_string(), |host| host.value.name.to_string());
        Ok(format!("host `{name}` at site `{}`", site.name))
    }

    /// Whether this host is the one that confirms a segment.
    pub(super) async fn is_gateway(&self, host: HostId, site: SiteId) -> Result<bool, Problem> {
        let site = self.row::<Site>(site.0).await?;
        Ok(site.is_some_and(|site| site.value.gateway == Some(host)))
    }

    /// The row with this id, if there is one.
    pub(in crate::app) async fn row<N: Noun>(&self, id: uuid::Uuid) -> Result<Option<Stored<N>>, Problem> {
        let found = self.store.state.get::<N>(id).await;
        found.map_err(|error| crate::app::state(&error))
    }
}
