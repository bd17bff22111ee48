//! Whether a batch may be done: one answer for all databases.
//!
//! The rows and keys that a batch names are looked up by whoever asks; here is only what follows from them.

use std::collections::HashMap;

use uuid::Uuid;

use crate::batch::{Act, Batch};
use crate::error::CommitError;

/// What there is now.
pub(crate) trait Look {
    /// Version and keys of a row.
    fn row(&self, table: &'static str, id: Uuid) -> Option<(u64, &[Option<String>])>;

    /// Which row has `key` in the unique index at `position`.
    fn owner(&self, table: &'static str, position: usize, key: &str) -> Option<Uuid>;
}

/// Compares every version, then follows the keys of unique indexes through the changes in their order, so that a key that one
/// change frees can be taken by the next.
pub(crate) fn judge(now: &impl Look, batch: &Batch) -> Result<(), CommitError> {
    for entry in &batch.entries {
        let (table, id) = (entry.kind.table, entry.id);
        let found = now.row(table, id).map(|(version, _)| version);
        match (entry.act.version(), found) {
            (None, Some(_)) => {
                let key = id.to_string();
                return Err(CommitError::Taken {
                    table,
                    index: "id",
                    key,
                });
            }
            (Some(_), _) if entry.act.version() != found => return Err(CommitError::Stale { table, id }),
            _ => {}
        }
    }
    let mut moved: HashMap<(&str, usize, &str), Option<Uuid>> = HashMap::new();
    for entry in &batch.entries {
        let (table, id) = (entry.kind.table, entry.id);
        let unique = || entry.kind.indexes.iter().enumerate().filter(|(_, index)| index.unique);
        if matches!(entry.act, Act::Update(..) | Act::Delete(_))
            && let Some((_, keys)) = now.row(table, id)
        {
            for (position, _) in unique() {
                if let Some(Some(key)) = keys.get(position) {
                    moved.insert((table, position, key), None);
                }
            }
        }
        let Some(content) = entry.act.content() else { continue };
        for (position, index) in unique() {
            let Some(Some(key)) = content.keys.get(position) else {
                continue;
            };
            let owner = match moved.get(&(table, position, key.as_str())) {
                Some(owner) => *owner,
                None => now.owner(table, position, key),
            };
            if owner.is_some_and(|owner| owner != id) {
                let (index, key) = (index.name, key.clone());
                return Err(CommitError::Taken { table, index, key });
            }
            moved.insert((table, position, key), Some(id));
        }
    }
    Ok(())
}
