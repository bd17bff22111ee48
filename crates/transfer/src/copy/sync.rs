//! Makes large files durable as they grow, so that a break costs no more than the last seconds.

use std::sync::Arc;
use std::time::Duration;

use renkei_plan::Runs;

use super::large::Large;
use super::shared::Shared;

/// A large file is synced this long after the first byte that is not durable,
const EVERY: Duration = Duration::from_secs(10);
/// or when so many bytes are not.
const BYTES: u64 = 1 << 30;
/// Smaller files are not synced one by one.
const LEAST: u64 = 16 << 20;

/// Pieces that were acknowledged and are not known to be durable.
#[derive(Default)]
pub struct Unsynced {
    runs: Runs,
    bytes: u64,
    since: Option<Duration>,
    under_way: bool,
}

impl Unsynced {
    /// A piece was acknowledged.
    pub fn acknowledged(&mut self, index: u64, bytes: u64, now: Duration) {
        self.runs.insert(index);
        self.bytes += bytes;
        self.since.get_or_insert(now);
    }

    /// What a sync that is sent now will cover, if one is due.
    fn due(&mut self, now: Duration) -> Option<Runs> {
        let since = self.since?;
        if self.under_way || (self.bytes < BYTES && now.saturating_sub(since) < EVERY) {
            return None;
        }
        self.under_way = true;
        self.bytes = 0;
        self.since = None;
        Some(std::mem::take(&mut self.runs))
    }

    fn failed(&mut self, runs: &Runs, now: Duration) {
        for (start, end) in runs.iter() {
            self.runs.insert_range(start, end);
        }
        self.since.get_or_insert(now);
    }
}

/// Sends a sync for every large file that is due. Called several times a second; does not wait for the answers.
pub fn tick(shared: &Arc<Shared>) {
    if !shared.log.is_kept() {
        return;
    }
    let now = shared.now();
    for large in shared.larges() {
        if large.item.facts.size < LEAST {
            continue;
        }
        let due = large.unsynced().due(now);
        if let Some(runs) = due {
            tokio::spawn(sync(Arc::clone(shared), large, runs));
        }
    }
}

async fn sync(shared: Arc<Shared>, large: Arc<Large>, runs: Runs) {
    let synced = large.sync().await;
    if synced {
        shared
            .log
            .durable(&large.item, runs.iter().map(|(start, end)| start..end).collect());
    } else {
        large.unsynced().failed(&runs, shared.now());
    }
    large.unsynced().under_way = false;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sync_covers_what_was_acknowledged_before_it() {
        let mut unsynced = Unsynced::default();
        unsynced.acknowledged(0, 1 << 20, Duration::ZERO);
        assert!(unsynced.due(Duration::from_secs(9)).is_none());
        let runs = unsynced.due(Duration::from_secs(10)).unwrap();
        assert_eq!(runs.iter().collect::<Vec<_>>(), [(0, 1)]);
        unsynced.acknowledged(1, 2 << 30, Duration::from_secs(11));
        assert!(unsynced.due(Duration::from_secs(12)).is_none(), "one at a time");
    }
}
