//! Small files, many at a time: load them all, store them all, each at its own step.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use bytes::Bytes;
use futures_util::future::join_all;
use renkei_plan::Outcome;
use renkei_ssh::sftp::{Attrs, Handle, OpenFlags, Reply, Sftp, StatusCode, WriteBuf};
use renkei_types::tree_hash::{Root as Hash, hash_whole};
use tokio::sync::OwnedSemaphorePermit;

use super::item::{Ends, Item};
use super::there;
use crate::copy::endpoint::base::{Base, blocking, far_path, sibling};
use crate::copy::endpoint::facts::Facts;
use crate::copy::endpoint::publish;
use crate::copy::endpoint::spot::Spot;
use crate::copy::shared::Shared;
use crate::copy::trouble::Trouble;
use crate::local::batch::{SmallSource, SmallTarget, load_batch, store_batch, store_batch_in_place};
use crate::local::output::{Existing as NearExisting, Manner};
use crate::request::Existing;

/// A small file may have grown to this much since the scan and is still taken whole.
const MOST_GROWTH: u64 = 4 << 20;
/// What is asked for at once of a small file that has grown.
const REST: u64 = 32 << 10;

/// Content on its way.
struct Content {
    parts: Vec<Bytes>,
    facts: Facts,
    /// For what the file has grown by since the scan; the plan counts only with what was found.
    grown: Option<OwnedSemaphorePermit>,
}

impl Content {
    fn len(&self) -> u64 {
        self.parts.iter().map(|part| part.len() as u64).sum()
    }
}

/// What a stored file looks like at the target.
pub struct Stored {
    pub size: u64,
    pub mtime: Option<i64>,
}

/// Copies a batch; one outcome for each item, in order.
pub async fn copy(shared: &Arc<Shared>, ends: &Ends, items: &[Arc<Item>]) -> Vec<Outcome> {
    if let Some(limiter) = &shared.limiter {
        limiter.take(items.iter().map(|item| item.facts.size).sum()).await;
    }
    shared
        .log
        .begin(items.iter().map(Arc::as_ref), &shared.temps, shared.request.in_place);
    let (stored, hashes) = if ends.copies_by_itself(shared).await && !shared.request.in_place {
        shared.ledger.content_begins();
        let stored = join_all(items.iter().map(|item| there::copy(shared, ends, item))).await;
        (stored, vec![None; items.len()])
    } else {
        let loaded = load(shared, ends, items).await;
        shared.ledger.content_begins();
        let hashes: Vec<Option<Hash>> = loaded
            .iter()
            .map(|content| shared.hash_small(content.as_ref().ok()))
            .collect();
        (store(shared, ends, items, loaded).await, hashes)
    };
    let outcomes = items
        .iter()
        .zip(stored)
        .zip(hashes)
        .map(|((item, stored), hash)| {
            if let Ok(stored) = &stored {
                shared.finished(item, stored, hash);
                shared.log.finished_lately(item, (stored.size, hash), shared.now());
            }
            settle(shared, item, stored.as_ref().map(|_| ()))
        })
        .collect::<Vec<_>>();
    shared.log.flush();
    if outcomes.contains(&Outcome::Done) {
        shared.heard(ends);
    }
    outcomes
}

/// Tells the ledger about a file that will not be tried again.
fn settle(shared: &Shared, item: &Item, result: Result<(), &Trouble>) -> Outcome {
    match result {
        Ok(()) => Outcome::Done,
        Err(trouble) if trouble.is_lost() => {
            item.attempt.fetch_add(1, Relaxed);
            Outcome::Again
        }
        Err(trouble) => {
            shared.log.abandoned(item);
            shared.failed(item, trouble);
            Outcome::Failed
        }
    }
}

impl Shared {
    fn hash_small(&self, content: Option<&Content>) -> Option<Hash> {
        let content = content.filter(|_| self.wants_hashes)?;
        match content.parts.as_slice() {
            [] => Some(hash_whole(&[])),
            [one] => Some(hash_whole(one)),
            many => Some(hash_whole(&many.concat())),
        }
    }
}

// ---- load -----------------------------------------------------------------------------------------------------------

async fn load(shared: &Shared, ends: &Ends, items: &[Arc<Item>]) -> Vec<Result<Content, Trouble>> {
    // All items of a leg have their source at the same side.
    let far = items.iter().any(|item| matches!(item.source.base, Base::Far { .. }));
    if far {
        return join_all(items.iter().map(|item| load_far(shared, ends, item))).await;
    }
    let sources: Vec<SmallSource> = items
        .iter()
        .filter_map(|item| match &item.source.base {
            Base::Near(root) => Some(SmallSource {
                root: Arc::clone(root),
                rel: item.source.rel.clone(),
            }),
            Base::Far { .. } => None,
        })
        .collect();
    let Ok(loaded) = blocking(move || Ok(load_batch(&sources))).await else {
        return items.iter().map(|_| Err(Trouble::Ended)).collect();
    };
    loaded
        .into_iter()
        .map(|result| {
            let loaded = result?;
            let parts = if loaded.data.is_empty() {
                Vec::new()
            } else {
                vec![Bytes::from(loaded.data)]
            };
            Ok(Content {
                parts,
                facts: Facts::from(&loaded.meta),
                grown: None,
            })
        })
        .collect()
}

/// OPEN, then READs and CLOSE together. One byte more than expected is asked for, to notice a file that grew.
async fn load_far(shared: &Shared, ends: &Ends, item: &Item) -> Result<Content, Trouble> {
    let sftp = ends.source()?;
    let _open = ends.open_one().await?;
    let path = item.source.path();
    let handle = sftp
        .open(&path, OpenFlags::READ, &Attrs::none())
        .await
        .map_err(Trouble::far("open", &path))?;
    let most = u64::from(shared.request_size(sftp.limits().max_read));
    let wanted = item.facts.size + 1;
    let mut reads = Vec::new();
    let mut offset = 0;
    while offset < wanted {
        let len = (wanted - offset).min(most);
        reads.push((offset, len, sftp.read(&handle, offset, len as u32)));
        offset += len;
    }
    // Nothing follows the reads unless the file has changed, so the handle is given back with them.
    let close = sftp.close(&handle);
    let mut parts = Vec::with_capacity(reads.len());
    let mut short = None;
    for (offset, len, read) in reads {
        let part = read.await.map_err(Trouble::far("read", &path))?;
        let got = part.len() as u64;
        if short.is_none() && !part.is_empty() {
            parts.push(part);
        }
        if got < len && short.is_none() {
            short = Some(offset + got);
        }
    }
    let end = short.unwrap_or(wanted);
    let content = if end == item.facts.size {
        Content {
            parts,
            facts: item.facts,
            grown: None,
        }
    } else {
        // Shorter or longer than the scan saw: read what follows until the server says that this is the end.
        let mut content = Content {
            parts,
            facts: item.facts,
            grown: None,
        };
        read_rest(shared, sftp, (&path, most.min(REST)), &mut content).await?;
        content.facts.size = content.len();
        content
    };
    drop(close.await);
    Ok(content)
}

/// Reads to the end. So many files at once, of a server that may send without end, must not fill the memory: room for
/// what they have grown by is taken before it is asked for.
async fn read_rest(
    shared: &Shared,
    sftp: &Sftp,
    (path, most): (&[u8], u64),
    content: &mut Content,
) -> Result<(), Trouble> {
    let handle = sftp
        .open(path, OpenFlags::READ, &Attrs::none())
        .await
        .map_err(Trouble::far("open", path))?;
    let mut held = 0;
    let result = loop {
        let end = content.len();
        let beyond = (end + most).saturating_sub(content.facts.size);
        if beyond > held {
            let Ok(room) = Arc::clone(&shared.grown).try_acquire_many_owned((beyond - held) as u32) else {
                break Err(Trouble::Changed { path: path.to_vec() });
            };
            match &mut content.grown {
                Some(grown) => grown.merge(room),
                none => *none = Some(room),
            }
            held = beyond;
        }
        match sftp.read(&handle, end, most as u32).await {
            Ok(part) if part.is_empty() => break Ok(()),
            Ok(part) => content.parts.push(part),
            Err(error) => break Err(Trouble::far("read", path)(error)),
        }
        if end > MOST_GROWTH {
            break Err(Trouble::Changed { path: path.to_vec() });
        }
    };
    let _ = sftp.close(&handle).await;
    result
}

// ---- store ----------------------------------------------------------------------------------------------------------

async fn store(
    shared: &Arc<Shared>,
    ends: &Ends,
    items: &[Arc<Item>],
    loaded: Vec<Result<Content, Trouble>>,
) -> Vec<Result<Stored, Trouble>> {
    let far = items.iter().any(|item| matches!(item.target.base, Base::Far { .. }));
    if far {
        let stores = items.iter().zip(loaded).map(|(item, content)| async move {
            let content = content?;
            store_far(shared, ends, item, content).await
        });
        return join_all(stores).await;
    }
    let mut results: Vec<Option<Result<Stored, Trouble>>> = Vec::with_capacity(items.len());
    let mut targets = Vec::with_capacity(items.len());
    for (item, content) in items.iter().zip(loaded) {
        match (content, &item.target.base) {
            (Ok(content), Base::Near(root)) => {
                shared.ledger.sent_bytes.fetch_add(content.len(), Relaxed);
                targets.push(SmallTarget {
                    root: Arc::clone(root),
                    rel: item.target.rel.clone(),
                    temp: item.temp(&shared.temps),
                    data: content.parts,
                    attributes: shared.keep.near(&content.facts),
                    existing: near_existing(shared.request.existing),
                });
                results.push(None);
            }
            (Err(trouble), _) => results.push(Some(Err(trouble))),
            (_, Base::Far { .. }) => results.push(Some(Err(Trouble::Ended))),
        }
    }
    let store = if shared.request.in_place {
        store_batch_in_place
    } else {
        store_batch
    };
    let Ok(stored) = blocking(move || Ok(store(&targets))).await else {
        return items.iter().map(|_| Err(Trouble::Ended)).collect();
    };
    let mut stored = stored.into_iter();
    results
        .into_iter()
        .map(|result| match result {
            Some(result) => result,
            None => match stored.next() {
                Some(Ok(done)) => {
                    if done.manner == Manner::DirectoryReadOnly {
                        shared
                            .ledger
                            .note("a directory may not be written; files in it were written in place");
                    }
                    Ok(Stored {
                        size: done.stored.size,
                        mtime: Some(done.stored.mtime.secs),
                    })
                }
                Some(Err(error)) => Err(Trouble::Near(error)),
                None => Err(Trouble::Ended),
            },
        })
        .collect()
}

pub fn near_existing(existing: Existing) -> NearExisting {
    match existing {
        Existing::Keep => NearExisting::Keep,
        Existing::Replace | Existing::SkipSameTime | Existing::SkipSameContent => NearExisting::Replace,
    }
}

/// OPEN; then WRITE, FSETSTAT and CLOSE together; then, when all were answered OK, the rename.
async fn store_far(shared: &Shared, ends: &Ends, item: &Item, content: Content) -> Result<Stored, Trouble> {
    let sftp = ends.target()?;
    let _open = ends.open_one().await?;
    let Base::Far { dir, .. } = &item.target.base else {
        return Err(Trouble::Ended);
    };
    let path = item.target.path();
    let temp = far_path(dir, &sibling(&item.target.rel, &item.temp(&shared.temps)));
    let private = Attrs::with_mode(0o600);
    if shared.request.in_place {
        return store_in_place(shared, sftp, &path, &content).await;
    }
    for left in publish::earlier_attempts(&item.temp(&shared.temps)) {
        let _ = sftp.remove(&sibling(&temp, &left)).await;
        shared.log.stale(Spot {
            base: item.target.base.clone(),
            rel: sibling(&item.target.rel, &left),
        });
    }
    let flags = OpenFlags::WRITE | OpenFlags::CREATE | OpenFlags::EXCLUSIVE;
    let handle = match sftp.open(&temp, flags, &private).await {
        Ok(handle) => handle,
        Err(error) if error.code() == Some(StatusCode::PermissionDenied) => {
            // The directory may not be written; the file itself may.
            return match store_in_place(shared, sftp, &path, &content).await {
                Ok(stored) => {
                    shared
                        .ledger
                        .note("a directory may not be written; files in it were written in place");
                    Ok(stored)
                }
                Err(trouble) if trouble.is_lost() => Err(trouble),
                Err(_) => Err(Trouble::far("make a file beside", &path)(error)),
            };
        }
        Err(error) if error.code() == Some(StatusCode::Failure) => {
            // Something is in the way: a temporary file of an attempt that was cut off has the same name.
            let _ = sftp.remove(&temp).await;
            sftp.open(&temp, flags, &private)
                .await
                .map_err(Trouble::far("make a file beside", &path))?
        }
        Err(error) => return Err(Trouble::far("make a file beside", &path)(error)),
    };
    let size = content.len();
    let attrs = shared.keep.far(&content.facts);
    let result = fill(shared, sftp, &handle, content.parts);
    let set = sftp.fsetstat(&handle, &attrs);
    let look = shared.time_after(&attrs).then(|| sftp.fstat(&handle));
    let close = sftp.close(&handle);
    let mut mtime = attrs.times.map(|times| times.mtime);
    let result = async {
        // All answers are waited for, whatever the first says: nothing may be outstanding when the file is removed.
        let (written, set) = (result.wait(&path).await, set.await);
        if let Some(look) = look {
            mtime = look.await.ok().and_then(|attrs| attrs.mtime());
        }
        let close = close.await;
        written?;
        set.map_err(Trouble::far("set attributes of", &path))?;
        close.map_err(Trouble::far("close", &path))?;
        match shared.request.existing {
            Existing::Keep => publish::claim(sftp, &temp, &path).await,
            _ => publish::replace(sftp, &temp, &path, &|aside| shared.log.aside(item, aside)).await,
        }
    }
    .await;
    match result {
        Ok(()) => Ok(Stored {
            size,
            mtime: mtime.map(i64::from),
        }),
        Err(trouble) => {
            if !trouble.is_lost() {
                let _ = sftp.remove(&temp).await;
            }
            Err(trouble)
        }
    }
}

async fn store_in_place(shared: &Shared, sftp: &Sftp, path: &[u8], content: &Content) -> Result<Stored, Trouble> {
    let mut attrs = shared.keep.far(&content.facts);
    let flags = OpenFlags::WRITE
        | if shared.request.in_place {
            OpenFlags::CREATE
        } else {
            OpenFlags(0)
        };
    let handle = sftp
        .open(path, flags, &Attrs::with_mode(0o600))
        .await
        .map_err(Trouble::far("open in place", path))?;
    let size = content.len();
    let writes = fill(shared, sftp, &handle, content.parts.clone());
    attrs.size = Some(size);
    let set = sftp.fsetstat(&handle, &attrs);
    let close = sftp.close(&handle);
    let (written, set, close) = (writes.wait(path).await, set.await, close.await);
    written?;
    set.map_err(Trouble::far("set attributes of", path))?;
    close.map_err(Trouble::far("close", path))?;
    Ok(Stored {
        size,
        mtime: attrs.times.map(|times| times.mtime.into()),
    })
}

/// Writes that are out.
struct Writes(Vec<Reply<()>>);

impl Writes {
    async fn wait(self, path: &[u8]) -> Result<(), Trouble> {
        let mut first = Ok(());
        for write in self.0 {
            let result = write.await;
            if first.is_ok() {
                first = result;
            }
        }
        first.map_err(Trouble::far("write", path))
    }
}

/// Sends all of the content at once.
fn fill(shared: &Shared, sftp: &Sftp, handle: &Handle, parts: Vec<Bytes>) -> Writes {
    let most = shared.request_size(sftp.limits().max_write) as usize;
    let mut writes = Vec::new();
    let mut offset = 0;
    for part in parts {
        for chunk in part.chunks(most.max(1)) {
            writes.push(sftp.write(handle, offset, WriteBuf::from_slice(chunk)));
            offset += chunk.len() as u64;
        }
    }
    shared.ledger.sent_bytes.fetch_add(offset, Relaxed);
    Writes(writes)
}
