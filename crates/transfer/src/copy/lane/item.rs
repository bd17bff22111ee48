//! One file on its way, and the ends of a lane that carries it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use renkei_plan::LaneId;
use renkei_ssh::sftp::Sftp;
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::copy::endpoint::facts::Facts;
use crate::copy::endpoint::publish::TempNames;
use crate::copy::endpoint::spot::Spot;
use crate::copy::shared::Shared;
use crate::copy::trouble::Trouble;

/// Handles of a session that are left for listings and large files.
const OTHER_HANDLES: u64 = 48;

/// A regular file to copy.
pub struct Item {
    /// Which source it belongs to, and its path below that; empty where the source is the file.
    pub source_index: u32,
    pub below: Vec<u8>,
    pub source: Spot,
    pub target: Spot,
    /// As the scan saw the source.
    pub facts: Facts,
    /// Its number in this transfer: names its temporary file and its journal records.
    pub serial: u64,
    /// How often it was begun again after its connection was lost. Each attempt has a temporary name of its own: the
    /// server may still carry out a rename that was sent over the old connection.
    pub attempt: AtomicU32,
}

impl Item {
    /// The name of its temporary file in this attempt.
    pub fn temp(&self, names: &TempNames) -> Vec<u8> {
        names.name(self.serial, self.attempt.load(Relaxed))
    }

    /// What messages call it.
    pub fn shown(&self) -> Vec<u8> {
        self.source.path()
    }
}

/// What a lane works with: a session at each end that is a server.
#[derive(Clone)]
pub struct Ends {
    pub lane: LaneId,
    pub source: Option<Sftp>,
    pub target: Option<Sftp>,
    /// Small files that may be open at once: the server has so many handles.
    pub open_files: Arc<Semaphore>,
}

impl Ends {
    /// `handles` is how many the servers allow in a session.
    pub fn new(lane: LaneId, (source, target): (Option<Sftp>, Option<Sftp>), handles: Option<u64>) -> Self {
        let open = handles.map_or(Semaphore::MAX_PERMITS as u64, |most| {
            most.saturating_sub(OTHER_HANDLES).max(most / 4).max(1)
        });
        let open = usize::try_from(open).map_or(Semaphore::MAX_PERMITS, |open| open.min(Semaphore::MAX_PERMITS));
        Self {
            lane,
            source,
            target,
            open_files: Arc::new(Semaphore::new(open)),
        }
    }

    /// Returns when the sessions have begun, or will never begin.
    pub async fn begun(&self) {
        for session in [&self.source, &self.target].into_iter().flatten() {
            // A session that does not begin ends, and with it the lane.
            let _ = session.ready().await;
        }
    }

    /// Ends the sessions without waiting for anything.
    pub fn abandon(&self) {
        for session in [&self.source, &self.target].into_iter().flatten() {
            session.abandon();
        }
    }

    /// Waits until one more small file may be open.
    pub async fn open_one(&self) -> Result<SemaphorePermit<'_>, Trouble> {
        self.open_files.acquire().await.map_err(|_| Trouble::Ended)
    }

    pub fn source(&self) -> Result<&Sftp, Trouble> {
        self.source.as_ref().ok_or(Trouble::Ended)
    }

    pub fn target(&self) -> Result<&Sftp, Trouble> {
        self.target.as_ref().ok_or(Trouble::Ended)
    }

    /// Whether both files are at one session whose server copies by itself. Not where the content has to be seen here,
    /// or a rate be kept.
    pub async fn copies_by_itself(&self, shared: &Shared) -> bool {
        let (Some(source), Some(target)) = (&self.source, &self.target) else {
            return false;
        };
        source.is_same(target)
            && !shared.request.verify
            && shared.request.manifest.is_none()
            && !shared.request.sparse
            && shared.limiter.is_none()
            && source.extensions().await.is_ok_and(|offered| offered.copy_data)
    }
}

/// A file known to the plan.
#[derive(Clone)]
pub enum Known {
    Small(Arc<Item>),
    Large(Arc<super::large::Large>),
}
