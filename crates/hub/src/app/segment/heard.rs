//! What a gateway reports of segments: the generations that are so.

use std::collections::BTreeMap;

use jiff::Timestamp;
use renkei_store::{Batch, CommitError, Stored};
use renkei_types::id::{HostId, SegmentId};
use renkei_types::lease::Lease;
use renkei_types::operation::{Generation, Operation, OperationState};
use renkei_types::problem::Problem;
use renkei_types::segment::Segment;

use crate::app::{App, manifest};

/// Segments in one transaction.
const AT_ONCE: usize = 100;

/// What a report says of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum News {
    /// Nothing that was not known.
    None,
    /// This generation is so.
    So(Generation),
    /// It is gone for good.
    Gone,
    /// The host knows a later generation than was ever meant: the database was set back. What is meant must become later still, or
    /// the host would take the next change for something that it has done already.
    Ahead(Generation),
}

/// What a report of `generation` means.
fn news(segment: &Segment, generation: Generation) -> News {
    if generation > segment.generation {
        News::Ahead(generation)
    } else if segment.tombstone && generation == segment.generation {
        News::Gone
    } else if generation > segment.seen {
        News::So(generation)
    } else {
        News::None
    }
}

/// An operation whose generation is so.
fn done(operation: &Operation, now: Timestamp) -> Operation {
    Operation {
        state: OperationState::Done,
        progress: 100,
        waiting: None,
        ended: Some(now),
        ..operation.clone()
    }
}

impl App {
    /// A host reports the generations of segments that are so. If it is the gateway of their site, the operations that waited for
    /// them end, and segments that are gone are forgotten. Said twice, it does nothing the second time.
    pub async fn heard_segments(
        &self,
        host: HostId,
        seen: &BTreeMap<SegmentId, Generation>,
        now: Timestamp,
    ) -> Result<(), Problem> {
        let mut fresh = Vec::new();
        for (id, generation) in seen {
            let Some(row) = self.row::<Segment>(id.0).await? else {
                continue;
            };
            if news(&row.value, *generation) != News::None {
                fresh.push((*id, *generation));
            }
        }
        for some in fresh.chunks(AT_ONCE) {
            loop {
                let batch = self.confirmation(host, some, now).await?;
                match self.commit(batch).await {
                    Ok(()) => break,
                    Err(CommitError::Stale { .. }) => {}
                    Err(error) => return Err(crate::problem::commit(&error)),
                }
            }
        }
        Ok(())
    }

    async fn confirmation(
        &self,
        host: HostId,
        seen: &[(SegmentId, Generation)],
        now: Timestamp,
    ) -> Result<Batch, Problem> {
        let mut batch = Batch::new();
        let mut segments: BTreeMap<SegmentId, Option<Generation>> = BTreeMap::new();
        for (id, generation) in seen {
            let Some(row) = self.row::<Segment>(id.0).await? else {
                continue;
            };
            let Some(site) = row.value.site() else { continue };
            if !self.is_gateway(host, site).await? {
                continue;
            }
            match news(&row.value, *generation) {
                News::None => {}
                News::So(so) => {
                    let new = Segment {
                        seen: so,
                        ..row.value.clone()
                    };
                    batch.update(&row, &new);
                    self.end_operations(&mut batch, &new, now).await?;
                }
                News::Gone => {
                    let new = Segment {
                        seen: *generation,
                        ..row.value.clone()
                    };
                    self.end_operations(&mut batch, &new, now).await?;
                    self.forget(&mut batch, &row).await?;
                    segments.insert(*id, None);
                }
                News::Ahead(known) => {
                    let new = Segment {
                        generation: known.next(),
                        ..row.value.clone()
                    };
                    batch.update(&row, &new);
                    segments.insert(*id, Some(new.generation));
                }
            }
        }
        if !segments.is_empty() {
            let old = self.manifest(host).await?;
            let mut new = old.value.clone();
            for (id, generation) in segments {
                match generation {
                    Some(generation) => new.segments.insert(id, generation),
                    None => new.segments.remove(&id),
                };
            }
            manifest::issue(self, &mut batch, &old, new).await?;
        }
        Ok(batch)
    }

    /// Ends those that waited for what is seen of a segment.
    pub(super) async fn end_operations(
        &self,
        batch: &mut Batch,
        segment: &Segment,
        now: Timestamp,
    ) -> Result<(), Problem> {
        for operation in self.every::<Operation>("open", &segment.id.to_string()).await? {
            if operation.value.generation <= segment.seen {
                batch.update(&operation, &done(&operation.value, now));
            }
        }
        Ok(())
    }

    /// What is left of a segment goes with it.
    pub(super) async fn forget(&self, batch: &mut Batch, row: &Stored<Segment>) -> Result<(), Problem> {
        for lease in self.every::<Lease>("segment", &row.value.id.to_string()).await? {
            batch.delete(&lease);
        }
        batch.delete(row);
        Ok(())
    }
}
