//! Large files, piece by piece over any lane.
//!
//! A large file at a server has one handle a session, opened when a lane takes its first piece. Whoever finishes it closes
//! them all: SFTP sessions may be used from any task.

use std::collections::HashMap;
use std::io::IoSlice;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use renkei_plan::{LaneId, Outcome, PIECE, Piece, Runs};
use renkei_ssh::sftp::{Attrs, Handle, OpenFlags, Sftp, StatusCode, WriteBuf};
use renkei_types::tree_hash::{Cv, Part, PieceHasher, Root as Hash, TreeHasher};
use tokio::sync::OnceCell;

use super::base::{Base, blocking, far_path, sibling};
use super::batch::{Stored, near_existing};
use super::facts::Facts;
use super::item::{Ends, Item};
use super::publish;
use super::shared::Shared;
use super::sync::Unsynced;
use super::trouble::Trouble;
use crate::local::output::{Finish, Manner, Output};
use crate::local::source::{Source, nonzero_runs};
use crate::request::Existing;

/// A large file while it is copied.
pub struct Large {
    pub item: Arc<Item>,
    /// What an earlier run left: pieces that are believed, and those to be compared.
    pub resumed: Option<Resumed>,
    source: OnceCell<Arc<Source>>,
    output: Mutex<Option<Arc<Output>>>,
    sources: Handles,
    targets: Handles,
    tree: Mutex<TreeHasher>,
    /// Told by `open`: written straight into the final name.
    in_place: OnceCell<()>,
    /// Whether a temporary file was made, or found, at a server.
    made: AtomicBool,
    failed: AtomicBool,
    unsynced: Mutex<Unsynced>,
    /// Pieces that were found to be wrong: what stands in their place need not be a hole.
    spoiled: Mutex<Runs>,
}

/// What is known of the temporary file of an earlier run.
pub struct Resumed {
    /// Its name.
    pub temp: Vec<u8>,
    /// Its length, which may be anything.
    pub size: u64,
    pub durable: Runs,
    pub in_doubt: Vec<(u64, Cv)>,
}

/// One handle a lane.
#[derive(Default)]
struct Handles(Mutex<HashMap<LaneId, Arc<OnceCell<(Sftp, Handle)>>>>);

impl Handles {
    fn cell(&self, lane: LaneId) -> Arc<OnceCell<(Sftp, Handle)>> {
        match self.0.lock() {
            Ok(mut cells) => Arc::clone(cells.entry(lane).or_default()),
            Err(_) => Arc::default(),
        }
    }

    /// A handle whose session lives, and is such.
    fn any(&self, such: impl Fn(&Sftp) -> bool) -> Option<(Sftp, Handle)> {
        let cells = self.0.lock().ok()?;
        cells
            .values()
            .filter_map(|cell| cell.get())
            .find(|(sftp, _)| !sftp.is_closed() && such(sftp))
            .cloned()
    }

    fn take(&self) -> Vec<(Sftp, Handle)> {
        let cells = self
            .0
            .lock()
            .map(|mut cells| std::mem::take(&mut *cells))
            .unwrap_or_default();
        cells.into_values().filter_map(|cell| cell.get().cloned()).collect()
    }
}

impl Large {
    pub fn new(item: Arc<Item>, resumed: Option<Resumed>, tree: Option<TreeHasher>) -> Self {
        let tree = tree.unwrap_or_else(|| TreeHasher::new(item.facts.size));
        Self {
            item,
            resumed,
            source: OnceCell::new(),
            output: Mutex::new(None),
            sources: Handles::default(),
            targets: Handles::default(),
            tree: Mutex::new(tree),
            in_place: OnceCell::new(),
            made: AtomicBool::new(false),
            failed: AtomicBool::new(false),
            unsynced: Mutex::default(),
            spoiled: Mutex::default(),
        }
    }

    /// True for the first who finds that the file failed.
    pub fn fail_once(&self) -> bool {
        !self.failed.swap(true, Relaxed)
    }

    /// Whether anything of it is open at the target.
    pub fn is_open(&self) -> bool {
        self.targets.any(|_| true).is_some() || self.output().is_ok()
    }

    /// The name of the temporary file.
    pub fn temp(&self, shared: &Shared) -> Vec<u8> {
        match &self.resumed {
            Some(resumed) => resumed.temp.clone(),
            None => self.item.temp(&shared.temps),
        }
    }

    /// The path that is written to at a server.
    fn written_path(&self, shared: &Shared) -> Vec<u8> {
        let target = &self.item.target;
        match &target.base {
            Base::Far { dir, .. } if self.in_place.get().is_none() => {
                far_path(dir, &sibling(&target.rel, &self.temp(shared)))
            }
            _ => target.path(),
        }
    }

    fn output(&self) -> Result<Arc<Output>, Trouble> {
        self.output
            .lock()
            .ok()
            .and_then(|output| output.clone())
            .ok_or(Trouble::Ended)
    }

    // ---- open -------------------------------------------------------------------------------------------------------

    /// Makes the temporary file, or finds that of an earlier run. Gives the pieces that must be sent again although the
    /// plan believes them done.
    pub async fn open(&self, shared: &Arc<Shared>, ends: &Ends) -> Result<Runs, Trouble> {
        self.open_source(ends).await?;
        if self.resumed.is_none() {
            shared
                .log
                .begin([self.item.as_ref()], &shared.temps, shared.request.in_place);
        }
        match &self.item.target.base {
            Base::Near(_) => self.open_near(shared).await?,
            Base::Far { .. } => self.open_far(shared, ends).await?,
        }
        match &self.resumed {
            Some(resumed) => {
                let wrong = super::resume::compare(self, shared, ends, resumed.in_doubt.iter().copied()).await?;
                self.spoil(&wrong);
                Ok(wrong)
            }
            None => Ok(Runs::new()),
        }
    }

    fn spoil(&self, wrong: &Runs) {
        if let Ok(mut spoiled) = self.spoiled.lock() {
            wrong.iter().for_each(|(start, end)| spoiled.insert_range(start, end));
        }
    }

    /// Whether zeros need not be written: there is a hole where the piece goes.
    fn onto_hole(&self, shared: &Shared, piece: Piece) -> bool {
        let left = self.resumed.as_ref().map_or(0, |resumed| resumed.size);
        let spoiled = || self.spoiled.lock().is_ok_and(|spoiled| spoiled.contains(piece.index));
        shared.request.sparse && piece.offset >= left && !spoiled()
    }

    /// Compares what was acknowledged before a break and is not known to be durable; gives what must go again.
    pub async fn recheck(&self, shared: &Arc<Shared>, ends: &Ends) -> Result<Runs, Trouble> {
        super::resume::notice_break(shared);
        let doubt = self.unsynced().doubt();
        if doubt.is_empty() {
            return Ok(Runs::new());
        }
        let wrong = super::resume::compare(self, shared, ends, doubt).await?;
        self.spoil(&wrong);
        self.unsynced().forget(&wrong);
        Ok(wrong)
    }

    async fn open_source(&self, ends: &Ends) -> Result<(), Trouble> {
        match &self.item.source.base {
            Base::Near(root) => {
                let (root, rel) = (Arc::clone(root), self.item.source.rel.clone());
                let source = blocking(move || root.open_source(&rel)).await?;
                let facts = Facts::from(source.meta());
                if facts.size != self.item.facts.size || facts.mtime != self.item.facts.mtime {
                    return Err(Trouble::Changed {
                        path: self.item.shown(),
                    });
                }
                let _ = self.source.set(Arc::new(source));
            }
            Base::Far { .. } => {
                self.source_handle(ends).await?;
            }
        }
        Ok(())
    }

    async fn open_near(&self, shared: &Arc<Shared>) -> Result<(), Trouble> {
        let Base::Near(root) = &self.item.target.base else {
            return Err(Trouble::Ended);
        };
        let (root, rel, temp) = (Arc::clone(root), self.item.target.rel.clone(), self.temp(shared));
        let (in_place, resumed) = (shared.request.in_place, self.resumed.is_some());
        let (sparse, size) = (shared.request.sparse, self.item.facts.size);
        let output = blocking(move || {
            let output = match (in_place, resumed) {
                (true, _) => root.open_in_place(&rel)?,
                (false, true) => root.resume(&rel, &temp)?,
                (false, false) => root.create(&rel, &temp)?,
            };
            if sparse && !resumed {
                output.set_len(0)?;
                output.set_len(size)?;
            }
            Ok(output)
        })
        .await?;
        if output.manner() == Manner::DirectoryReadOnly {
            shared
                .ledger
                .note("a directory may not be written; files in it were written in place");
        }
        if let Ok(mut slot) = self.output.lock() {
            *slot = Some(Arc::new(output));
        }
        Ok(())
    }

    async fn open_far(&self, shared: &Arc<Shared>, ends: &Ends) -> Result<(), Trouble> {
        let sftp = ends.target()?;
        let path = self.item.target.path();
        let private = Attrs::with_mode(0o600);
        let handle = if shared.request.in_place {
            let _ = self.in_place.set(());
            let flags = OpenFlags::READ | OpenFlags::WRITE | OpenFlags::CREATE;
            sftp.open(&path, flags, &private)
                .await
                .map_err(Trouble::far("open in place", &path))?
        } else {
            let temp = self.written_path(shared);
            match &self.resumed {
                Some(_) => {
                    let attrs = sftp.lstat(&temp).await.map_err(Trouble::far("find again", &temp))?;
                    if !attrs.is_file() {
                        let reason = "the temporary file of the earlier run is not a file any more".into();
                        return Err(Trouble::Other { path: temp, reason });
                    }
                    let flags = OpenFlags::READ | OpenFlags::WRITE;
                    sftp.open(&temp, flags, &Attrs::none())
                        .await
                        .map_err(Trouble::far("open again", &temp))?
                }
                None => self.create_far(shared, sftp, &temp).await?,
            }
        };
        self.made.store(self.in_place.get().is_none(), Relaxed);
        let cell = self.targets.cell(ends.lane);
        let _ = cell.set((sftp.clone(), handle));
        Ok(())
    }

    async fn create_far(&self, shared: &Shared, sftp: &Sftp, temp: &[u8]) -> Result<Handle, Trouble> {
        let path = self.item.target.path();
        let private = Attrs::with_mode(0o600);
        // Left by attempts whose connection was lost.
        for left in publish::earlier_attempts(&self.temp(shared)) {
            let _ = sftp.remove(&sibling(temp, &left)).await;
        }
        // What stands there is looked at while the temporary file is made: a directory in the way is found before the
        // first byte is sent, and costs no round trip.
        let standing = sftp.lstat(&path);
        let flags = OpenFlags::READ | OpenFlags::WRITE | OpenFlags::CREATE | OpenFlags::EXCLUSIVE;
        let opened = sftp.open(temp, flags, &private).await;
        if standing.await.is_ok_and(|attrs| attrs.is_dir()) {
            if let Ok(handle) = opened {
                let _ = sftp.close(&handle).await;
                let _ = sftp.remove(temp).await;
            }
            return Err(Trouble::Other {
                path,
                reason: "a directory is in the way".into(),
            });
        }
        match opened {
            Ok(handle) => Ok(handle),
            Err(error) if error.code() == Some(StatusCode::PermissionDenied) => {
                let in_place = OpenFlags::READ | OpenFlags::WRITE;
                let Ok(handle) = sftp.open(&path, in_place, &Attrs::none()).await else {
                    return Err(Trouble::far("make a file beside", &path)(error));
                };
                let _ = self.in_place.set(());
                shared
                    .ledger
                    .note("a directory may not be written; files in it were written in place");
                Ok(handle)
            }
            Err(error) if error.code() == Some(StatusCode::Failure) => {
                // A temporary file of an attempt that was cut off.
                let _ = sftp.remove(temp).await;
                sftp.open(temp, flags, &private)
                    .await
                    .map_err(Trouble::far("make a file beside", &path))
            }
            Err(error) => Err(Trouble::far("make a file beside", &path)(error)),
        }
    }

    async fn source_handle(&self, ends: &Ends) -> Result<(Sftp, Handle), Trouble> {
        let cell = self.sources.cell(ends.lane);
        let path = self.item.source.path();
        let open = || async {
            let sftp = ends.source()?;
            let handle = sftp
                .open(&path, OpenFlags::READ, &Attrs::none())
                .await
                .map_err(Trouble::far("open", &path))?;
            Ok((sftp.clone(), handle))
        };
        cell.get_or_try_init(open).await.cloned()
    }

    async fn target_handle(&self, shared: &Shared, ends: &Ends) -> Result<(Sftp, Handle), Trouble> {
        let cell = self.targets.cell(ends.lane);
        let path = self.written_path(shared);
        let open = || async {
            let sftp = ends.target()?;
            let flags = OpenFlags::READ | OpenFlags::WRITE;
            let handle = sftp
                .open(&path, flags, &Attrs::none())
                .await
                .map_err(Trouble::far("open again", &path))?;
            Ok((sftp.clone(), handle))
        };
        cell.get_or_try_init(open).await.cloned()
    }

    // ---- pieces -----------------------------------------------------------------------------------------------------

    /// Moves one piece.
    pub async fn piece(&self, shared: &Arc<Shared>, ends: &Ends, piece: Piece) -> Result<Cv, Trouble> {
        if let Some(limiter) = &shared.limiter {
            limiter.take(piece.len).await;
        }
        match (&self.item.source.base, &self.item.target.base) {
            (Base::Near(_), Base::Far { .. }) => self.upload(shared, ends, piece).await,
            (Base::Far { .. }, _) => {
                let parts = self.read_far(shared, ends, piece).await?;
                self.deliver(shared, ends, piece, parts).await
            }
            (Base::Near(_), Base::Near(_)) => {
                let source = self.near_source()?;
                let content = blocking(move || source.read(piece.offset, piece.len as usize)).await?;
                if content.len() as u64 != piece.len {
                    return Err(Trouble::Changed {
                        path: self.item.shown(),
                    });
                }
                self.deliver(shared, ends, piece, vec![Bytes::from(content)]).await
            }
        }
    }

    fn near_source(&self) -> Result<Arc<Source>, Trouble> {
        self.source.get().cloned().ok_or(Trouble::Ended)
    }

    fn part(&self) -> Part {
        if self.item.facts.size <= PIECE {
            Part::Whole
        } else {
            Part::OneOfMany
        }
    }

    /// Reads straight into the buffers that are sent: the content is not copied on its way.
    async fn upload(&self, shared: &Arc<Shared>, ends: &Ends, piece: Piece) -> Result<Cv, Trouble> {
        let (sftp, handle) = self.target_handle(shared, ends).await?;
        let chunk = even_chunk(piece.len, shared.request_size(sftp.limits().max_write));
        let (source, part, pool) = (self.near_source()?, self.part(), Arc::clone(&shared.buffers));
        let path = self.item.shown();
        let permit = shared.disk.acquire().await.map_err(|_| Trouble::Ended)?;
        let (buffers, cv) = blocking(move || {
            let mut hasher = PieceHasher::new(piece.index, part);
            let mut buffers = Vec::new();
            let mut offset = 0;
            while offset < piece.len {
                let want = (piece.len - offset).min(chunk) as usize;
                let mut buffer = pool.take();
                let slice = buffer.data_mut().get_mut(..want).unwrap_or_default();
                let got = source.read_at(piece.offset + offset, slice)?;
                buffer.set_len(got);
                hasher.update(buffer.data());
                let is_short = got < want;
                buffers.push((offset, buffer));
                if is_short {
                    return Ok((None, hasher.finish()));
                }
                offset += want as u64;
            }
            Ok((Some(buffers), hasher.finish()))
        })
        .await?;
        drop(permit);
        let Some(buffers) = buffers else {
            return Err(Trouble::Changed { path });
        };
        shared.ledger.content_begins();
        shared.ledger.sent_bytes.fetch_add(piece.len, Relaxed);
        let mut writes = Vec::with_capacity(buffers.len());
        let holes = self.onto_hole(shared, piece);
        for (offset, buffer) in buffers {
            if holes {
                for run in nonzero_runs(buffer.data()) {
                    let at = piece.offset + offset + run.start as u64;
                    let slice = WriteBuf::from_slice(buffer.data().get(run).unwrap_or_default());
                    writes.push(sftp.write(&handle, at, slice));
                }
            } else {
                writes.push(sftp.write(&handle, piece.offset + offset, buffer));
            }
        }
        self.written(writes).await?;
        Ok(cv)
    }

    async fn written(&self, writes: Vec<renkei_ssh::sftp::Reply<()>>) -> Result<(), Trouble> {
        let mut first = Ok(());
        for write in writes {
            let result = write.await;
            if first.is_ok() {
                first = result;
            }
        }
        first.map_err(Trouble::far("write", &self.item.target.path()))
    }

    async fn read_far(&self, shared: &Shared, ends: &Ends, piece: Piece) -> Result<Vec<Bytes>, Trouble> {
        let (sftp, handle) = self.source_handle(ends).await?;
        shared.ledger.content_begins();
        let range = (piece.offset, piece.len);
        read_range(&sftp, &handle, range, shared.request_size(sftp.limits().max_read))
            .await
            .map_err(Trouble::far("read", &self.item.source.path()))?
            .ok_or_else(|| Trouble::Changed {
                path: self.item.shown(),
            })
    }

    /// Brings content that is in memory to the target.
    async fn deliver(&self, shared: &Arc<Shared>, ends: &Ends, piece: Piece, parts: Vec<Bytes>) -> Result<Cv, Trouble> {
        shared.ledger.sent_bytes.fetch_add(piece.len, Relaxed);
        let (part, sparse) = (self.part(), self.onto_hole(shared, piece));
        if let Base::Near(_) = &self.item.target.base {
            let output = self.output()?;
            let permit = shared.disk.acquire().await.map_err(|_| Trouble::Ended)?;
            let cv = blocking(move || {
                let cv = hash_parts(piece, part, &parts);
                if sparse {
                    let mut offset = piece.offset;
                    for part in &parts {
                        for run in nonzero_runs(part) {
                            let at = offset + run.start as u64;
                            output.write_at(at, &mut [IoSlice::new(part.get(run).unwrap_or_default())])?;
                        }
                        offset += part.len() as u64;
                    }
                } else {
                    let mut slices: Vec<IoSlice<'_>> = parts.iter().map(|part| IoSlice::new(part)).collect();
                    output.write_at(piece.offset, &mut slices)?;
                }
                Ok(cv)
            })
            .await?;
            drop(permit);
            return Ok(cv);
        }
        let (sftp, handle) = self.target_handle(shared, ends).await?;
        let most = shared.request_size(sftp.limits().max_write) as usize;
        let mut writes = Vec::new();
        let mut offset = piece.offset;
        for part in &parts {
            for chunk in part.chunks(most.max(1)) {
                if sparse {
                    for run in nonzero_runs(chunk) {
                        let at = offset + run.start as u64;
                        writes.push(sftp.write(&handle, at, WriteBuf::from_slice(chunk.get(run).unwrap_or_default())));
                    }
                } else {
                    writes.push(sftp.write(&handle, offset, WriteBuf::from_slice(chunk)));
                }
                offset += chunk.len() as u64;
            }
        }
        let cv = hash_parts(piece, part, &parts);
        self.written(writes).await?;
        Ok(cv)
    }

    /// What is not known to be durable.
    pub fn unsynced(&self) -> MutexGuard<'_, Unsynced> {
        self.unsynced.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks the target to make everything durable that it has acknowledged since the last break; false if it did not.
    pub async fn sync(&self, shared: &Shared) -> bool {
        if let Base::Near(_) = &self.item.target.base {
            let Ok(output) = self.output() else { return false };
            return blocking(move || output.sync()).await.is_ok();
        }
        let proven = |sftp: &Sftp| shared.target.as_ref().is_some_and(|server| server.witness().is_proven(sftp));
        let Some((sftp, handle)) = self.targets.any(proven) else {
            return false;
        };
        sftp.extensions().fsync && sftp.fsync(&handle).await.is_ok()
    }

    /// Takes note of a piece that stands at the target.
    pub fn acknowledged(&self, index: u64, cv: Cv) {
        if let Ok(mut tree) = self.tree.lock() {
            // A piece that was taken over arrives twice with the same value.
            let _ = tree.add(index, cv);
        }
    }

    /// The hash of what was sent, when every piece is known.
    pub fn hash(&self) -> Option<Hash> {
        self.tree.lock().ok()?.finish()
    }

    /// Reads a piece back from the target; none where it is shorter.
    pub async fn read_back(&self, shared: &Shared, ends: &Ends, piece: Piece) -> Result<Option<Cv>, Trouble> {
        let part = self.part();
        if let Base::Near(_) = &self.item.target.base {
            let output = self.output()?;
            let content = blocking(move || output.read(piece.offset, piece.len as usize)).await?;
            let whole = content.len() as u64 == piece.len;
            return Ok(whole.then(|| hash_parts(piece, part, &[Bytes::from(content)])));
        }
        let (sftp, handle) = self.target_handle(shared, ends).await?;
        let most = shared.request_size(sftp.limits().max_read);
        let parts = read_range(&sftp, &handle, (piece.offset, piece.len), most)
            .await
            .map_err(Trouble::far("read back", &self.item.target.path()))?;
        Ok(parts.map(|parts| hash_parts(piece, part, &parts)))
    }

    /// Pieces by number, as the plan cuts them.
    pub fn piece_at(&self, index: u64) -> Piece {
        let offset = index * PIECE;
        let len = (self.item.facts.size - offset.min(self.item.facts.size)).min(PIECE);
        Piece {
            file: renkei_plan::FileId(0),
            index,
            offset,
            len,
        }
    }

    /// How much these pieces are.
    pub fn bytes_of(&self, pieces: &Runs) -> u64 {
        let indices = pieces.iter().flat_map(|(start, end)| start..end);
        indices.map(|index| self.piece_at(index).len).sum()
    }

    // ---- end --------------------------------------------------------------------------------------------------------

    /// Attributes, close, and the final name.
    pub async fn finish(&self, shared: &Arc<Shared>, ends: &Ends) -> Result<Stored, Trouble> {
        self.check_source(ends).await?;
        let size = self.item.facts.size;
        if let Base::Near(_) = &self.item.target.base {
            let output = self.take_output().await.ok_or(Trouble::Ended)?;
            let finish = Finish {
                length: size,
                attributes: shared.keep.near(&self.item.facts),
                existing: near_existing(shared.request.existing),
            };
            let stored = blocking(move || output.finish(&finish)).await?;
            self.close_source().await;
            return Ok(Stored {
                size: stored.size,
                mtime: Some(stored.mtime.secs),
            });
        }
        let sftp = ends.target()?;
        let path = self.item.target.path();
        let written = self.written_path(shared);
        let mut attrs = shared.keep.far(&self.item.facts);
        if self.in_place.get().is_some() || self.resumed.is_some() || shared.request.sparse {
            attrs.size = Some(size);
        }
        let set = match self.targets.cell(ends.lane).get() {
            Some((_, handle)) => sftp.fsetstat(handle, &attrs),
            None => sftp.setstat(&written, &attrs),
        };
        let look = shared.time_after(&attrs).then(|| sftp.lstat(&written));
        let closes: Vec<_> = self
            .targets
            .take()
            .into_iter()
            .map(|(sftp, handle)| sftp.close(&handle))
            .collect();
        let look = async {
            match look {
                Some(look) => look.await.ok().and_then(|attrs| attrs.mtime()),
                None => attrs.times.map(|times| times.mtime),
            }
        };
        let (set, mtime, closes, ()) = tokio::join!(set, look, join_all(closes), self.close_source());
        match set {
            // A finish that was cut off after its rename: the temporary file is gone, and the attributes were set.
            Err(error) if error.code() == Some(StatusCode::NoSuchFile) && self.in_place.get().is_none() => {
                if publish::has_happened(sftp, &written, &path, size).await? {
                    return Ok(Stored { size, mtime: None });
                }
                return Err(Trouble::far("set attributes of", &path)(error));
            }
            set => set.map_err(Trouble::far("set attributes of", &path))?,
        }
        for close in closes {
            match close {
                // Of a session that is lost: its writes were all answered.
                Err(error) if error.is_transient() => {}
                close => close.map_err(Trouble::far("close", &path))?,
            }
        }
        if self.in_place.get().is_none() {
            let renamed = match shared.request.existing {
                Existing::Keep => publish::claim(sftp, &written, &path).await,
                _ => {
                    let note = |aside: publish::Aside<'_>| shared.log.aside(&self.item, aside);
                    publish::replace(sftp, &written, &path, &note).await
                }
            };
            match renamed {
                Err(trouble) if trouble.is_missing() && publish::has_happened(sftp, &written, &path, size).await? => {}
                renamed => renamed?,
            }
        }
        Ok(Stored {
            size,
            mtime: mtime.map(i64::from),
        })
    }

    /// The file failed: nothing of it stays at the target, except what was written in place.
    pub async fn discard(&self, shared: &Shared, ends: &Ends) -> Result<(), Trouble> {
        self.close_source().await;
        if let Some(output) = self.take_output().await {
            return blocking(move || {
                output.discard();
                Ok(())
            })
            .await;
        }
        let closes: Vec<_> = self
            .targets
            .take()
            .into_iter()
            .map(|(sftp, handle)| sftp.close(&handle))
            .collect();
        join_all(closes).await;
        if self.made.load(Relaxed) {
            let path = self.written_path(shared);
            ends.target()?
                .remove(&path)
                .await
                .map_err(Trouble::far("remove", &path))?;
        }
        Ok(())
    }

    /// Removes the temporary file of an earlier run that could not be opened again.
    pub async fn remove_left(&self, shared: &Shared) {
        if self.resumed.is_some() {
            let target = &self.item.target;
            let _ = target.base.remove_file(&sibling(&target.rel, &self.temp(shared))).await;
        }
    }

    /// The local file, when nobody writes to it any more: a write or sync that was given up is still carried out.
    async fn take_output(&self) -> Option<Output> {
        loop {
            {
                let mut slot = self.output.lock().ok()?;
                if slot.as_ref().is_none_or(|output| Arc::strong_count(output) == 1) {
                    return slot.take().and_then(Arc::into_inner);
                }
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    async fn close_source(&self) {
        join_all(
            self.sources
                .take()
                .into_iter()
                .map(|(sftp, handle)| sftp.close(&handle)),
        )
        .await;
    }

    async fn check_source(&self, ends: &Ends) -> Result<(), Trouble> {
        if let Some(source) = self.source.get().cloned() {
            return blocking(move || source.check_unchanged()).await;
        }
        let (sftp, handle) = self.source_handle(ends).await?;
        let path = self.item.source.path();
        let attrs = sftp.fstat(&handle).await.map_err(Trouble::far("look at", &path))?;
        let seen = (self.item.facts.size, self.item.facts.mtime.secs);
        match (attrs.size, attrs.mtime()) {
            (Some(size), Some(mtime)) if (size, i64::from(mtime)) != seen => Err(Trouble::Changed { path }),
            _ => Ok(()),
        }
    }
}

/// The outcome of a step for the plan; failures are told once, by whoever calls this.
pub fn outcome<T>(result: &Result<T, Trouble>) -> Outcome {
    match result {
        Ok(_) => Outcome::Done,
        Err(trouble) if trouble.is_lost() => Outcome::Again,
        Err(_) => Outcome::Failed,
    }
}

/// Equal requests of at most `most` bytes, in whole pages where that is possible.
fn even_chunk(len: u64, most: u32) -> u64 {
    let most = u64::from(most.max(1));
    let chunk = len.div_ceil(len.div_ceil(most).max(1));
    let paged = chunk.div_ceil(4096) * 4096;
    paged.min(most).max(1)
}

fn hash_parts(piece: Piece, part: Part, parts: &[Bytes]) -> Cv {
    let mut hasher = PieceHasher::new(piece.index, part);
    for part in parts {
        hasher.update(part);
    }
    hasher.finish()
}

/// Reads a range with all requests in flight, and again what came short; none if the file ends before the range does.
pub async fn read_range(
    sftp: &Sftp,
    handle: &Handle,
    (offset, len): (u64, u64),
    most: u32,
) -> Result<Option<Vec<Bytes>>, renkei_ssh::sftp::SftpError> {
    let chunk = even_chunk(len, most);
    let mut reads = Vec::new();
    let mut at = 0;
    while at < len {
        let want = (len - at).min(chunk);
        reads.push((offset + at, want, sftp.read(handle, offset + at, want as u32)));
        at += want;
    }
    let mut parts = Vec::with_capacity(reads.len());
    let mut missing = None;
    for (at, want, read) in reads {
        let mut part = read.await?;
        if missing.is_some() {
            continue;
        }
        let mut got = part.len() as u64;
        parts.push(part);
        while got < want {
            part = sftp.read(handle, at + got, (want - got) as u32).await?;
            if part.is_empty() {
                missing = Some(at + got);
                break;
            }
            got += part.len() as u64;
            parts.push(part);
        }
    }
    Ok(if missing.is_some() { None } else { Some(parts) })
}
