//! `--files-from`: only the names of a list, each with the directories that lead to it.

use std::collections::HashSet;

use futures_util::StreamExt;

use super::{Dir, DirEnd, Found, Walk};
use crate::copy::endpoint::landing::join;
use crate::copy::endpoint::spot::Spot;
use crate::copy::trouble::Trouble;
use crate::local::meta::Kind;

/// Names looked up at the same time.
const AT_ONCE: usize = 64;

/// Hands out the listed names below `top`. Gives the directories whose attributes are set at the end, and those that are
/// to be walked.
pub async fn walk(walk: &Walk, top: &Dir, names: &[Vec<u8>]) -> Result<(Vec<DirEnd>, Vec<Dir>), Trouble> {
    let mut ends = vec![top.end()];
    walk.make(top).await?;
    let mut made: HashSet<Vec<u8>> = HashSet::new();
    for name in names {
        for at in (0..name.len()).filter(|&at| name[at] == b'/') {
            let above = &name[..at];
            if !made.insert(above.to_vec()) {
                continue;
            }
            let source = below(&top.source, above);
            match source.base.stat(&source.rel).await? {
                Some(facts) if facts.is_dir() => {
                    let dir = top.child(above.to_vec(), facts, below(&top.target, above));
                    walk.make(&dir).await?;
                    ends.push(dir.end());
                }
                // The name itself will be told as missing.
                _ => {}
            }
        }
    }
    let mut dirs = Vec::new();
    let looks = futures_util::stream::iter(names.iter().map(|name| async move {
        let source = below(&top.source, name);
        let facts = source.base.lstat(&source.rel).await;
        (name, source, facts)
    }));
    let mut looks = looks.buffered(AT_ONCE);
    while let Some((name, source, facts)) = looks.next().await {
        let facts = match facts {
            Ok(Some(facts)) => facts,
            Ok(None) => {
                walk.tell_missing(&source);
                continue;
            }
            Err(trouble) if trouble.is_lost() => return Err(trouble),
            Err(trouble) => {
                walk.tell(&source, &trouble);
                continue;
            }
        };
        if facts.kind == Kind::Dir {
            if made.insert(name.clone()) {
                dirs.push(top.child(name.clone(), facts, below(&top.target, name)));
            }
            continue;
        }
        let found = Found {
            below: name.clone(),
            source,
            target: below(&top.target, name),
            facts,
        };
        walk.one(top, found).await?;
    }
    Ok((ends, dirs))
}

fn below(spot: &Spot, name: &[u8]) -> Spot {
    Spot {
        base: spot.base.clone(),
        rel: join(&spot.rel, name),
    }
}
