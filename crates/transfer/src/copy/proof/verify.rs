//! Hashes of files as they stand, at either side, by reading them.
//!
//! Many files are read at the same time, and a large one in many pieces over all sessions that are open: how long it takes
//! is a matter of bandwidth and not of round trips. A [`Budget`] keeps the memory bounded.

use std::sync::{Arc, Mutex};

use aws_lc_rs::digest::{Context as Sha256, SHA256};
use bytes::Bytes;
use futures_util::StreamExt;
use renkei_plan::PIECE;
use renkei_ssh::sftp::{Attrs, Handle, OpenFlags, Sftp};
use renkei_types::tree_hash::{
    Cv, Part, PieceHasher, Root as Hash, RootHasher, TreeHasher, hash_whole, piece_range, pieces_in,
};
use tokio::sync::{OnceCell, Semaphore, SemaphorePermit};

use crate::copy::endpoint::base::{Base, blocking};
use crate::copy::endpoint::spot::Spot;
use crate::copy::lane::large::read_range;
use crate::copy::ledger::Ledger;
use crate::copy::server::Server;
use crate::copy::shared::REQUEST;
use crate::copy::trouble::Trouble;
use crate::limit::Limiter;
use crate::local::root::Root;
use crate::local::source::Source;

/// Content in memory at the same time, in KiB.
const MEMORY: usize = 64 << 10;
/// Pieces of one file asked for at the same time.
const PIECES_AT_ONCE: usize = 64;
/// The same on this machine, where a disk answers and not a network.
const NEAR_PIECES_AT_ONCE: usize = 4;
const KIB: u64 = 1 << 10;
/// A large file counts as so many: it has a handle in every session, and a few keep all sessions busy.
const LARGE_COUNTS: u32 = 32;

/// How much may be read at the same time.
pub struct Budget {
    files: Semaphore,
    most_files: u32,
    memory: Semaphore,
    limiter: Option<Arc<Limiter>>,
    /// Who is told of what was read.
    told: Option<Arc<Ledger>>,
}

impl Budget {
    /// So many files open at the same time, and a speed limit for what comes over the network.
    pub fn new(files: usize, limiter: Option<Arc<Limiter>>) -> Self {
        let files = files.max(1);
        Self {
            files: Semaphore::new(files),
            most_files: u32::try_from(files).unwrap_or(u32::MAX),
            memory: Semaphore::new(MEMORY),
            limiter,
            told: None,
        }
    }

    /// What is read counts as the bytes that are done.
    pub fn telling(self, ledger: Arc<Ledger>) -> Self {
        ledger.content_begins();
        Self {
            told: Some(ledger),
            ..self
        }
    }

    fn tell(&self, bytes: u64) {
        if let Some(ledger) = &self.told {
            ledger.acknowledged(bytes);
        }
    }

    async fn file(&self, size: u64) -> Result<SemaphorePermit<'_>, Trouble> {
        let counts = if size > PIECE { LARGE_COUNTS } else { 1 };
        self.files
            .acquire_many(counts.min(self.most_files))
            .await
            .map_err(|_| Trouble::Ended)
    }

    async fn memory(&self, bytes: u64) -> Result<SemaphorePermit<'_>, Trouble> {
        let kib = u32::try_from(bytes.div_ceil(KIB)).unwrap_or(u32::MAX).max(1);
        self.memory.acquire_many(kib).await.map_err(|_| Trouble::Ended)
    }

    async fn over_network(&self, bytes: u64) {
        if let Some(limiter) = &self.limiter {
            limiter.take(bytes).await;
        }
    }
}

/// The hash of a file as it stands; none if its size is not `size`. Others may share the budget.
pub async fn hash_within(spot: &Spot, size: u64, budget: &Budget) -> Result<Option<Hash>, Trouble> {
    let _open = budget.file(size).await?;
    match &spot.base {
        Base::Near(root) => hash_near(root, &spot.rel, size, budget).await,
        Base::Far { server, .. } => {
            let path = spot.path();
            if size <= PIECE {
                let _held = budget.memory(size).await?;
                budget.over_network(size).await;
                let hash = server.run(|sftp| hash_small(sftp, path.clone(), size)).await?;
                budget.tell(size);
                return Ok(hash);
            }
            hash_far(server, path, size, budget).await
        }
    }
}

/// The SHA-256 of a file of this machine as it stands, if it has this size and this BLAKE3; one reading gives both.
pub async fn hash_again(spot: &Spot, size: u64, root: Hash) -> Result<Option<[u8; 32]>, Trouble> {
    let Base::Near(dir) = &spot.base else { return Ok(None) };
    let (dir, rel) = (Arc::clone(dir), spot.rel.clone());
    blocking(move || {
        let source = dir.open_source(&rel)?;
        let (mut blake3, mut sha256) = (RootHasher::new(), Sha256::new(&SHA256));
        for index in 0..pieces_in(size) {
            let range = piece_range(size, index);
            let content = source.read(range.start, (range.end - range.start) as usize)?;
            blake3.update(&content);
            sha256.update(&content);
        }
        let is_whole = blake3.len() == size && source.read(size, 1)?.is_empty();
        let is_same = is_whole && blake3.finish() == root;
        Ok(is_same
            .then(|| sha256.finish())
            .and_then(|digest| digest.as_ref().try_into().ok()))
    })
    .await
}

/// Takes the values of all pieces, in any order, until one is none: then the size is another.
async fn gather(
    size: u64,
    budget: &Budget,
    mut pieces: impl futures_util::Stream<Item = Result<(u64, Option<Cv>), Trouble>> + Unpin,
) -> Result<Option<Hash>, Trouble> {
    let mut tree = TreeHasher::new(size);
    while let Some(piece) = pieces.next().await {
        let (index, cv) = piece?;
        let Some(cv) = cv else { return Ok(None) };
        let range = piece_range(size, index);
        budget.tell(range.end - range.start);
        // What does not fit shows as a tree that does not end.
        let _ = tree.add(index, cv);
    }
    Ok(tree.finish())
}

fn hash_piece(index: u64, size: u64, parts: &[impl AsRef<[u8]>]) -> Cv {
    let mut hasher = PieceHasher::new(index, Part::of(size));
    parts.iter().for_each(|part| hasher.update(part.as_ref()));
    hasher.finish()
}

// ---- on this machine ------------------------------------------------------------------------------------------------

async fn hash_near(root: &Arc<Root>, rel: &[u8], size: u64, budget: &Budget) -> Result<Option<Hash>, Trouble> {
    let (root, rel) = (Arc::clone(root), rel.to_vec());
    let small = size <= PIECE;
    let held = if small { Some(budget.memory(size).await?) } else { None };
    let opened = blocking(move || {
        let source = root.open_source(&rel)?;
        if source.meta().size != size {
            return Ok(Opened::OtherSize);
        }
        if small {
            // One byte more than there should be, so that a file that grows is noticed.
            let content = source.read(0, size as usize + 1)?;
            let whole = content.len() as u64 == size;
            return Ok(if whole {
                Opened::Small(hash_whole(&content))
            } else {
                Opened::OtherSize
            });
        }
        Ok(Opened::Large(Arc::new(source)))
    });
    let source = match opened.await? {
        Opened::OtherSize => return Ok(None),
        Opened::Small(hash) => {
            budget.tell(size);
            return Ok(Some(hash));
        }
        Opened::Large(source) => source,
    };
    drop(held);
    let pieces = futures_util::stream::iter(0..pieces_in(size)).map(|index| {
        let source = Arc::clone(&source);
        async move {
            let range = piece_range(size, index);
            let len = range.end - range.start;
            let _held = budget.memory(len).await?;
            blocking(move || {
                let content = source.read(range.start, len as usize)?;
                let whole = content.len() as u64 == len;
                Ok((index, whole.then(|| hash_piece(index, size, &[content]))))
            })
            .await
        }
    });
    gather(
        size,
        budget,
        std::pin::pin!(pieces.buffer_unordered(NEAR_PIECES_AT_ONCE)),
    )
    .await
}

enum Opened {
    OtherSize,
    Small(Hash),
    Large(Arc<Source>),
}

// ---- at a server ----------------------------------------------------------------------------------------------------

/// OPEN, then READs and CLOSE together: two round trips.
async fn hash_small(sftp: Sftp, path: Vec<u8>, size: u64) -> Result<Option<Hash>, Trouble> {
    let failed = || Trouble::far("read back", &path);
    let handle = sftp
        .open(&path, OpenFlags::READ, &Attrs::none())
        .await
        .map_err(failed())?;
    let most = sftp.limits().max_read.min(REQUEST);
    let content = read_range(&sftp, &handle, (0, size), most);
    // One byte past the end: a file that is longer is another file.
    let past = sftp.read(&handle, size, 1);
    let (content, past) = tokio::join!(content, past);
    let close = sftp.close(&handle);
    let (content, past) = (content.map_err(failed()), past.map_err(failed()));
    drop(close);
    Ok(match (content?, past?.is_empty()) {
        (Some(parts), true) => Some(hash_parts(size, &parts)),
        _ => None,
    })
}

fn hash_parts(size: u64, parts: &[Bytes]) -> Hash {
    // Of a file of one piece the piece's value is the root.
    Hash(hash_piece(0, size, parts).0)
}

async fn hash_far(server: &Server, path: Vec<u8>, size: u64, budget: &Budget) -> Result<Option<Hash>, Trouble> {
    let file = FarFile {
        path,
        handles: Mutex::default(),
    };
    let pieces = futures_util::stream::iter(0..pieces_in(size)).map(|index| {
        let (file, range) = (&file, piece_range(size, index));
        async move {
            let len = range.end - range.start;
            let _held = budget.memory(len).await?;
            budget.over_network(len).await;
            let read = |sftp: Sftp| async move { file.read(&sftp, (range.start, len)).await };
            let parts = server.run(read).await?;
            Ok((index, parts.map(|parts| hash_piece(index, size, &parts))))
        }
    });
    let pieces = std::pin::pin!(pieces.buffer_unordered(PIECES_AT_ONCE));
    let hash = gather(size, budget, pieces);
    // One byte past the end: a file that is longer is another file.
    let past = server.run(|sftp| {
        let file = &file;
        async move { file.read(&sftp, (size, 1)).await }
    });
    let (hash, past) = tokio::join!(hash, past);
    file.close();
    Ok(match (hash?, past?) {
        (hash, None) => hash,
        (_, Some(_)) => None,
    })
}

/// A file at a server with one handle a session.
struct FarFile {
    path: Vec<u8>,
    handles: Mutex<Vec<(Sftp, Arc<OnceCell<Handle>>)>>,
}

impl FarFile {
    async fn read(&self, sftp: &Sftp, range: (u64, u64)) -> Result<Option<Vec<Bytes>>, Trouble> {
        let cell = self.cell(sftp);
        let open = || sftp.open(&self.path, OpenFlags::READ, &Attrs::none());
        let handle = cell
            .get_or_try_init(|| async { open().await.map_err(Trouble::far("read back", &self.path)) })
            .await?;
        let most = sftp.limits().max_read.min(REQUEST);
        read_range(sftp, handle, range, most)
            .await
            .map_err(Trouble::far("read back", &self.path))
    }

    fn cell(&self, sftp: &Sftp) -> Arc<OnceCell<Handle>> {
        let Ok(mut handles) = self.handles.lock() else {
            return Arc::default();
        };
        if let Some((_, cell)) = handles.iter().find(|(known, _)| known.is_same(sftp)) {
            return Arc::clone(cell);
        }
        let cell = Arc::default();
        handles.push((sftp.clone(), Arc::clone(&cell)));
        cell
    }

    /// Gives the handles back; the answers do not matter to anyone.
    fn close(&self) {
        let handles = self.handles.lock().map(|mut handles| std::mem::take(&mut *handles));
        for (sftp, cell) in handles.unwrap_or_default() {
            if let Some(handle) = cell.get() {
                drop(sftp.close(handle));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::local::root::Links;

    async fn hash(spot: &Spot, size: u64) -> Option<Hash> {
        hash_within(spot, size, &Budget::new(1, None)).await.unwrap()
    }

    #[tokio::test]
    async fn a_file_has_its_hash_at_its_size_and_at_no_other() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().as_os_str().as_encoded_bytes();
        let base = Base::Near(Arc::new(Root::open(path, Links::Refuse).unwrap()));
        for size in [0, 1, PIECE - 1, PIECE, PIECE + 1, 5 * PIECE, 5 * PIECE + 7] {
            let content: Vec<u8> = (0..size).map(|at| (at % 251) as u8).collect();
            std::fs::write(dir.path().join("f"), &content).unwrap();
            let spot = Spot {
                base: base.clone(),
                rel: b"f".to_vec(),
            };
            assert_eq!(hash(&spot, size).await, Some(hash_whole(&content)), "{size}");
            let again = |root| hash_again(&spot, size, root);
            let sha256 = aws_lc_rs::digest::digest(&SHA256, &content);
            let found = again(hash_whole(&content)).await.unwrap();
            assert_eq!(
                found.as_ref().map(<[u8; 32]>::as_slice),
                Some(sha256.as_ref()),
                "{size}"
            );
            assert_eq!(again(hash_whole(b"other")).await.unwrap(), None, "{size}");
            assert_eq!(hash_again(&spot, size + 1, hash_whole(&content)).await.unwrap(), None);
            assert_eq!(hash(&spot, size + 1).await, None, "{size}");
            if size > 0 {
                assert_eq!(hash(&spot, size - 1).await, None, "{size}");
            }
        }
    }
}
