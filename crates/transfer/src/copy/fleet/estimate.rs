//! A quick look at local sources while the first connection is being made: is the work worth more than one?

use std::time::{Duration, Instant};

use renkei_plan::PIECE;
use renkei_plan::tune::Load;

use crate::copy::endpoint::landing::join;
use crate::local::meta::Kind;
use crate::local::named::{self, Named};
use crate::local::root::{Links, Root};

/// The look ends here, whatever it has seen; what it missed only makes the first wave smaller.
const PATIENCE: Duration = Duration::from_millis(150);

/// What the sources hold as far as could be seen quickly. Blocks.
pub fn look(sources: &[Vec<u8>]) -> Load {
    let until = Instant::now() + PATIENCE;
    let mut load = Load::default();
    for path in sources {
        match named::find(path, Links::Refuse) {
            Ok(Named::File { meta, .. }) => count(&mut load, meta.size),
            Ok(Named::Dir(root)) => tree(&root, until, &mut load),
            // Globs, and what cannot be read: the walk will tell.
            _ => {}
        }
    }
    load.pieces = (load.bytes / PIECE + load.files / 64).max(1);
    load
}

fn tree(root: &Root, until: Instant, load: &mut Load) {
    let mut dirs = vec![Vec::new()];
    while let Some(dir) = dirs.pop() {
        let Ok(mut listing) = root.list(&dir) else { continue };
        while let Ok(entries) = listing.next_batch(256) {
            if entries.is_empty() {
                break;
            }
            for entry in entries {
                match listing.stat(&entry.name).map(|meta| (meta.kind, meta.size)) {
                    Ok((Kind::File, size)) => count(load, size),
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

fn count(load: &mut Load, size: u64) {
    load.bytes += size;
    if size <= PIECE {
        load.files += 1;
    }
}
