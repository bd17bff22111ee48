//! The handles of one large file at a server: one a lane.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use renkei_plan::LaneId;
use renkei_ssh::sftp::{Handle, Sftp};
use tokio::sync::OnceCell;

/// A handle and the session that it belongs to, opened by whoever needs it first.
type Cell = Arc<OnceCell<(Sftp, Handle)>>;

/// One handle a lane.
#[derive(Default)]
pub(super) struct Handles(Mutex<HashMap<LaneId, Cell>>);

impl Handles {
    pub(super) fn cell(&self, lane: LaneId) -> Cell {
        match self.0.lock() {
            Ok(mut cells) => Arc::clone(cells.entry(lane).or_default()),
            Err(_) => Arc::default(),
        }
    }

    /// A handle whose session lives, and is such.
    pub(super) fn any(&self, such: impl Fn(&Sftp) -> bool) -> Option<(Sftp, Handle)> {
        let cells = self.0.lock().ok()?;
        cells
            .values()
            .filter_map(|cell| cell.get())
            .find(|(sftp, _)| !sftp.is_closed() && such(sftp))
            .cloned()
    }

    pub(super) fn take(&self) -> Vec<(Sftp, Handle)> {
        let cells = self
            .0
            .lock()
            .map(|mut cells| std::mem::take(&mut *cells))
            .unwrap_or_default();
        cells.into_values().filter_map(|cell| cell.get().cloned()).collect()
    }
}
