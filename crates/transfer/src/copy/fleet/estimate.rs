//! A quick look at local sources while the first connection is being made: is the work worth more than one?

use std::time::{Duration, Instant};

use renkei_plan::tune::Load;
use renkei_plan::{Chunks, PIECE};

use crate::copy::endpoint::landing::join;
use crate::local::meta::Kind;
use crate::local::named::{self, Named};
use crate::local::root::{Links, Root};

/// The look ends here, whatever it has seen; what it missed only makes the first wave smaller.
const PATIENCE: Duration = Duration::from_millis(150);

/// What the sources hold as far as could be seen quickly, and how many jobs that makes if files are cut into `chunks`.
/// Blocks.
pub fn look(sources: &[Vec<u8>], chunks: Option<Chunks>) -> Load {
    let until = Instant::now() + PATIENCE;
    let mut load = Load::default();
    let mut count = |size: u64| {
        load.bytes += size;
        load.files += u64::from(size <= PIECE);
        load.pieces += chunks.filter(|_| size > PIECE).map_or(0, |chunks| chunks.count(size));
    };
    for path in sources {
        match named::find(path, Links::Refuse) {
            Ok(Named::File { meta, .. }) => count(meta.size),
            Ok(Named::Dir(root)) => tree(&root, until, &mut count),
            // Globs, and what cannot be read: the walk will tell.
            _ => {}
        }
    }
    let whole = load.bytes / PIECE;
    load.pieces += chunks.map_or(whole, |_| whole.min(load.files)) + load.files / 64;
    load.pieces = load.pieces.max(1);
    load
}

fn tree(root: &Root, until: Instant, count: &mut impl FnMut(u64)) {
    let mut dirs = vec![Vec::new()];
    while let Some(dir) = dirs.pop() {
        let Ok(mut listing) = root.list(&dir) else { continue };
        while let Ok(entries) = listing.next_batch(256) {
            if entries.is_empty() {
                break;
            }
            for entry in entries {
                match listing.stat(&entry.name).map(|meta| (meta.kind, meta.size)) {
                    Ok((Kind::File, size)) => count(size),
                    Ok((Kind::Dir, _)) => dirs.push(join(&dir, &entry.name)),
                    _ => {}
                }
            }
            if Instant::now() >= until {
                return;
            }
        }
    }
}
