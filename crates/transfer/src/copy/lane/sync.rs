//! Makes large files durable as they grow, so that a break costs no more than the last seconds.
//!
//! What is not durable when the target's host may have crashed is in doubt: it is read back before the file gets its name.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use renkei_plan::Runs;
use renkei_plan::journal::{Durability, SETTLE};
use renkei_types::tree_hash::Cv;

use super::large::Large;
use crate::copy::resume;
use crate::copy::shared::Shared;

/// A large file is synced this long after the first byte that is not durable,
const EVERY: Duration = Duration::from_secs(10);
/// or when so many bytes are not.
const BYTES: u64 = 1 << 30;
/// Smaller files are not synced one by one.
const LEAST: u64 = 16 << 20;
/// What nobody syncs counts as durable after this.
const AGE: Duration = Duration::from_millis(SETTLE.0);

/// Pieces that were acknowledged and are not known to be durable.
#[derive(Default)]
pub struct Unsynced {
    pieces: BTreeMap<u64, Acknowledged>,
    bytes: u64,
    since: Option<Duration>,
    under_way: Option<BTreeMap<u64, Acknowledged>>,
    /// Acknowledged before a break.
    doubt: BTreeMap<u64, Cv>,
    breaks: u32,
}

#[derive(Clone, Copy)]
struct Acknowledged {
    cv: Cv,
    at: Duration,
}

/// A sync that is due.
struct Due {
    breaks: u32,
}

impl Unsynced {
    /// A piece was acknowledged, or compared.
    pub fn acknowledged(&mut self, index: u64, cv: Cv, bytes: u64, now: Duration) {
        self.doubt.remove(&index);
        self.pieces.insert(index, Acknowledged { cv, at: now });
        self.bytes += bytes;
        self.since.get_or_insert(now);
    }

    /// A piece was acknowledged by a session that has ended since.
    pub fn doubtful(&mut self, index: u64, cv: Cv) {
        self.doubt.insert(index, cv);
    }

    /// The target's host may have crashed: nothing of this is sure to be there.
    pub fn broke(&mut self) {
        let lost = std::mem::take(&mut self.pieces);
        let lost = lost.into_iter().chain(self.under_way.take().unwrap_or_default());
        self.doubt.extend(lost.map(|(index, have)| (index, have.cv)));
        self.bytes = 0;
        self.since = None;
        self.breaks += 1;
    }

    /// What has to be compared before the file may be finished.
    pub fn doubt(&self) -> BTreeMap<u64, Cv> {
        self.doubt.clone()
    }

    /// These pieces were compared and go again.
    pub fn forget(&mut self, wrong: &Runs) {
        self.doubt.retain(|index, _| !wrong.contains(*index));
    }

    /// Whether everything that was acknowledged is durable.
    pub fn is_settled(&self) -> bool {
        self.pieces.is_empty() && self.under_way.is_none() && self.doubt.is_empty()
    }

    /// Begins a sync if one is due. It covers what was acknowledged so far.
    fn due(&mut self, now: Duration) -> Option<Due> {
        let since = self.since?;
        if self.under_way.is_some() || (self.bytes < BYTES && now.saturating_sub(since) < EVERY) {
            return None;
        }
        self.under_way = Some(std::mem::take(&mut self.pieces));
        self.bytes = 0;
        self.since = None;
        Some(Due { breaks: self.breaks })
    }

    /// Ends a sync; gives what it has made durable.
    fn synced(&mut self, due: &Due, done: bool, now: Duration) -> Runs {
        let mut runs = Runs::new();
        if due.breaks != self.breaks {
            return runs;
        }
        let covered = self.under_way.take().unwrap_or_default();
        if done {
            covered.keys().for_each(|index| {
                runs.insert(*index);
            });
        } else {
            for (index, have) in covered {
                self.pieces.entry(index).or_insert(have);
            }
            self.since.get_or_insert(now);
        }
        runs
    }

    /// Where nobody syncs, what is old is believed.
    fn age(&mut self, now: Duration) {
        self.pieces.retain(|_, have| now.saturating_sub(have.at) <= AGE);
    }
}

/// Sends a sync for every large file that is due. Called several times a second; does not wait for the answers.
pub fn tick(shared: &Arc<Shared>) {
    resume::notice_break(shared);
    let now = shared.now();
    let syncs = shared.log.is_kept() && shared.log.durability() == Durability::Sync;
    for large in shared.larges().into_iter().filter(|large| large.is_open()) {
        if !syncs {
            large.unsynced().age(now);
        } else if large.item.facts.size >= LEAST {
            let due = large.unsynced().due(now);
            if let Some(due) = due {
                tokio::spawn(sync(Arc::clone(shared), large, due));
            }
        }
    }
}

async fn sync(shared: Arc<Shared>, large: Arc<Large>, due: Due) {
    let done = large.sync(&shared).await;
    // A break that was noticed while the answer was on its way.
    resume::notice_break(&shared);
    let runs = large.unsynced().synced(&due, done, shared.now());
    if !runs.is_empty() {
        shared
            .log
            .durable(&large.item, runs.iter().map(|(start, end)| start..end).collect());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CV: Cv = Cv([7; 32]);

    fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    fn runs(runs: &Runs) -> Vec<(u64, u64)> {
        runs.iter().collect()
    }

    #[test]
    fn a_sync_covers_what_was_acknowledged_before_it() {
        let mut unsynced = Unsynced::default();
        unsynced.acknowledged(0, CV, 1 << 20, Duration::ZERO);
        assert!(unsynced.due(seconds(9)).is_none());
        let due = unsynced.due(seconds(10)).unwrap();
        unsynced.acknowledged(1, CV, 2 << 30, seconds(11));
        assert!(unsynced.due(seconds(12)).is_none(), "one at a time");
        assert_eq!(runs(&unsynced.synced(&due, true, seconds(12))), [(0, 1)]);
        assert!(!unsynced.is_settled());
        let due = unsynced.due(seconds(12)).unwrap();
        assert_eq!(runs(&unsynced.synced(&due, true, seconds(13))), [(1, 2)]);
        assert!(unsynced.is_settled());
    }

    #[test]
    fn a_sync_that_failed_is_tried_again_later() {
        let mut unsynced = Unsynced::default();
        unsynced.acknowledged(0, CV, 2 << 30, Duration::ZERO);
        let due = unsynced.due(Duration::ZERO).unwrap();
        assert!(unsynced.synced(&due, false, seconds(1)).is_empty());
        assert!(unsynced.due(seconds(2)).is_none());
        assert!(unsynced.due(seconds(11)).is_some());
    }

    #[test]
    fn a_break_puts_into_doubt_what_is_not_durable_and_no_late_answer_helps() {
        let mut unsynced = Unsynced::default();
        unsynced.acknowledged(0, CV, 2 << 30, Duration::ZERO);
        let due = unsynced.due(Duration::ZERO).unwrap();
        unsynced.acknowledged(1, CV, 1, seconds(1));
        unsynced.broke();
        assert!(unsynced.synced(&due, true, seconds(2)).is_empty());
        assert_eq!(unsynced.doubt().into_keys().collect::<Vec<_>>(), [0, 1]);
        unsynced.forget(&Runs::from_range(0, 1));
        unsynced.acknowledged(1, CV, 1, seconds(3));
        assert!(unsynced.doubt().is_empty());
    }
}
