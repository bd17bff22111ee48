//! Files that were finished so shortly ago that a far host which crashes may lose them.
//!
//! SFTP can sync one file at a time and small files are not worth that, so what was finished in the last minute is
//! remembered, and read back if all connections are lost in that time and the host is there again.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use renkei_types::tree_hash::Root as Hash;

use crate::copy::lane::item::Item;

/// How long a host may take to bring what it has to its disk; see `renkei_plan::journal::SETTLE`.
const SETTLE: Duration = Duration::from_millis(renkei_plan::journal::SETTLE.0);
/// So many files are remembered: some 30 MiB.
const MOST: usize = 1 << 16;

/// A finished file.
pub struct Done {
    pub item: Arc<Item>,
    pub size: u64,
    /// Of what was sent; without it there is nothing to compare with.
    pub root: Option<Hash>,
}

/// The files of the last minute, oldest first.
#[derive(Default)]
pub struct Recent {
    done: VecDeque<(Duration, Done)>,
    /// When one was last forgotten before its time.
    crowded_out: Option<Duration>,
    doubtful: Vec<Done>,
    /// Whether files came into doubt that were forgotten before.
    forgotten: bool,
}

impl Recent {
    /// A file was finished at `now`.
    pub fn add(&mut self, done: Done, now: Duration) {
        self.settle(now);
        if self.done.len() >= MOST {
            self.done.pop_front();
            self.crowded_out = Some(now);
        }
        self.done.push_back((now, done));
    }

    fn settle(&mut self, now: Duration) {
        let old = |then: Duration| now.saturating_sub(then) > SETTLE;
        while self.done.front().is_some_and(|(then, _)| old(*then)) {
            self.done.pop_front();
        }
        self.crowded_out = self.crowded_out.filter(|then| !old(*then));
    }

    /// The host may have crashed: all of them are in doubt.
    pub fn broke(&mut self, now: Duration) {
        self.settle(now);
        self.forgotten |= self.crowded_out.take().is_some();
        self.doubtful.extend(self.done.drain(..).map(|(_, done)| done));
    }

    /// What is in doubt; it is to be read back by the caller.
    pub fn take_doubtful(&mut self) -> Vec<Done> {
        std::mem::take(&mut self.doubtful)
    }

    /// Whether more files came into doubt than are remembered. Only the journal knows them.
    pub fn has_forgotten(&self) -> bool {
        self.forgotten
    }
}
