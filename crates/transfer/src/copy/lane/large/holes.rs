//! Holes of a sparse source: pieces that need neither be read nor sent.

use std::sync::Arc;

use renkei_plan::{PIECE, Runs};
use renkei_types::tree_hash::{Cv, Part, hash_piece};

use super::Large;
use crate::copy::endpoint::base::blocking;
use crate::copy::shared::Shared;
use crate::copy::trouble::Trouble;
use crate::local::source::Source;

impl Large {
    /// The pieces that lie in holes of the source and, at the target, where there is a hole already. Only with
    /// `--sparse`, and only where the source can tell (SEEK_DATA).
    pub async fn holes(&self, shared: &Arc<Shared>) -> Result<Runs, Trouble> {
        let Some(source) = self.source.get().cloned().filter(|_| shared.request.sparse) else {
            return Ok(Runs::new());
        };
        let (size, wants_hashes) = (self.item.facts.size, shared.wants_hashes);
        let found = blocking(move || {
            let holes = holes(&source, size)?;
            let values = if wants_hashes { values(&holes, size) } else { Vec::new() };
            Ok((holes, values))
        });
        let (found, values) = found.await?;
        let mut holes = Runs::new();
        for index in found.iter().flat_map(|(start, end)| start..end) {
            if self.onto_hole(shared, self.piece_at(index)) {
                holes.insert(index);
            }
        }
        for (index, cv) in values {
            if holes.contains(index) {
                self.acknowledged(index, cv);
            }
        }
        Ok(holes)
    }
}

/// The pieces without any data in them.
fn holes(source: &Source, size: u64) -> Result<Runs, crate::local::error::FileError> {
    let mut holes = Runs::new();
    let mut from = 0;
    for run in source.extents() {
        let run = run?;
        holes.insert_range(from, run.start / PIECE);
        from = run.end.div_ceil(PIECE);
    }
    holes.insert_range(from, size.div_ceil(PIECE));
    Ok(holes)
}

/// The hashes of pieces of zeros.
fn values(holes: &Runs, size: u64) -> Vec<(u64, Cv)> {
    let zeros = vec![0; PIECE as usize];
    let part = Part::of(size);
    let value = |index: u64| {
        let len = (size - (index * PIECE).min(size)).min(PIECE);
        let content = zeros.get(..len as usize).unwrap_or_default();
        (index, hash_piece(index, part, content))
    };
    holes.iter().flat_map(|(start, end)| start..end).map(value).collect()
}
