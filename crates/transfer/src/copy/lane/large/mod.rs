//! Large files, piece by piece over any lane.
//!
//! A large file at a server has one handle a session, opened when a lane takes its first piece. Whoever finishes it closes
//! them all: SFTP sessions may be used from any task.

mod handles;
mod holes;
mod pieces;

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use renkei_plan::{Outcome, PIECE, Piece, Runs};
use renkei_ssh::sftp::{Attrs, Handle, OpenFlags, Sftp, StatusCode};
use renkei_types::tree_hash::{Cv, Root as Hash, TreeHasher};
use tokio::sync::OnceCell;

use self::handles::Handles;
pub use self::pieces::read_range;
use super::batch::{Stored, near_existing};
use super::item::{Ends, Item};
use super::sync::Unsynced;
use crate::copy::endpoint::base::{Base, blocking, far_path, sibling};
use crate::copy::endpoint::facts::Facts;
use crate::copy::endpoint::publish;
use crate::copy::resume;
use crate::copy::shared::Shared;
use crate::copy::trouble::Trouble;
use crate::local::output::{Finish, Manner, Output};
use crate::local::source::Source;
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
                let wrong = resume::compare(self, shared, ends, resumed.in_doubt.iter().copied()).await?;
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
        resume::notice_break(shared);
        let doubt = self.unsynced().doubt();
        if doubt.is_empty() {
            return Ok(Runs::new());
        }
        let wrong = resume::compare(self, shared, ends, doubt).await?;
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
        let proven = |sftp: &Sftp| {
            shared
                .target
                .as_ref()
                .is_some_and(|server| server.witness().is_proven(sftp))
        };
        let Some((sftp, handle)) = self.targets.any(proven) else {
            return false;
        };
        sftp.extensions().await.is_ok_and(|offered| offered.fsync) && sftp.fsync(&handle).await.is_ok()
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
            self.close_source();
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
        self.close_source();
        let (set, mtime, closes) = tokio::join!(set, look, join_all(closes));
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
        self.close_source();
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

    /// Closing a file that was only read can tell nothing new, so its answer is not waited for.
    fn close_source(&self) {
        for (sftp, handle) in self.sources.take() {
            drop(sftp.close(&handle));
        }
    }

    async fn check_source(&self, ends: &Ends) -> Result<(), Trouble> {
        if let Some(source) = self.source.get().cloned() {
            return blocking(move || source.check_unchanged()).await;
        }
        let (sftp, handle) = self.source_handle(ends).await?;
        let path = self.item.source.path();
        let (attrs, beyond) = (sftp.fstat(&handle), sftp.read(&handle, self.item.facts.size, 1));
        let attrs = attrs.await.map_err(Trouble::far("look at", &path))?;
        // A size that was told too small would cut the copy off without anyone noticing.
        let beyond = beyond.await.map_err(Trouble::far("read", &path))?;
        let seen = (self.item.facts.size, self.item.facts.mtime.secs);
        match (attrs.size, attrs.mtime()) {
            (Some(size), Some(mtime)) if (size, i64::from(mtime)) != seen => Err(Trouble::Changed { path }),
            _ if !beyond.is_empty() => Err(Trouble::Changed { path }),
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
