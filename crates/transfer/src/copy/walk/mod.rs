//! Walks the sources, makes directories and links at the target, and hands files to the plan.
//!
//! Directories are listed and made several at a time: a deep tree costs its depth in round trips and not its size. A
//! directory's files are handed out only when it stands at the target. Nothing is kept of a file once the plan has it, so a
//! tree of any size takes the same memory; of directories the path and attributes are kept until the end, when they get
//! their modes and times.

mod choice;
mod listed;
mod standing;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use renkei_plan::PIECE;
use renkei_plan::journal::Resume;
use renkei_ssh::sftp::StatusCode;

use self::choice::Choice;
use self::standing::{Held, Need, Standing};
use super::endpoint::base::{Made, Names};
use super::endpoint::facts::Facts;
use super::endpoint::landing::join;
use super::endpoint::same;
use super::endpoint::spot::Spot;
use super::lane::item::Item;
use super::resume;
use super::shared::Shared;
use super::trouble::Trouble;
use crate::event::Event;
use crate::filter::{Decision, Filters};
use crate::local::meta::{FileId, Kind};
use crate::request::Existing;

/// Directories listed and made at the same time.
const PARALLEL: usize = 32;
/// Links made at the same time within one directory.
const LINKS_AT_ONCE: usize = 64;
/// Files looked up at the target at the same time within one directory, on resume.
const RECALLS_AT_ONCE: usize = 256;
/// Deeper than this is a loop of links (`--follow`) or a server that lies; PATH_MAX allows 2,048 names.
const DEEPEST: usize = 2048;

/// A source with its place.
pub struct Placed {
    pub index: u32,
    pub source: Spot,
    pub facts: Facts,
    pub target: Spot,
    /// What stands at the target place, for files.
    pub standing: Option<Facts>,
}

/// A directory still to be listed.
pub struct Dir {
    index: u32,
    /// Path below the source.
    below: Vec<u8>,
    pub source: Spot,
    pub target: Spot,
    facts: Facts,
    depth: usize,
    /// The directories above, to find loops when links are followed.
    above: Vec<FileId>,
}

impl Dir {
    /// A directory below this one.
    pub fn child(&self, below: Vec<u8>, facts: Facts, target: Spot) -> Self {
        let source = Spot {
            base: self.source.base.clone(),
            rel: join(&self.source.rel, &below),
        };
        let mut above = self.above.clone();
        above.extend(facts.id);
        Self {
            index: self.index,
            below,
            source,
            target,
            facts,
            depth: self.depth + 1,
            above,
        }
    }

    /// What is set when everything in it is done.
    pub fn end(&self) -> DirEnd {
        DirEnd {
            target: self.target.clone(),
            facts: self.facts,
        }
    }
}

/// What was found under one name.
pub struct Found {
    /// Path below the source.
    pub below: Vec<u8>,
    pub source: Spot,
    pub target: Spot,
    pub facts: Facts,
}

/// A directory whose attributes are set at the end.
pub struct DirEnd {
    pub target: Spot,
    pub facts: Facts,
}

/// A second name of a file that is copied under its first.
struct HardLink {
    item: Item,
    first: Spot,
}

/// What is left to do when all files stand.
#[derive(Default)]
pub struct Rest {
    pub dirs: Vec<DirEnd>,
}

/// The walk of one leg.
pub struct Walk {
    shared: Arc<Shared>,
    filters: Filters,
    serial: AtomicU64,
    hard_links: std::sync::Mutex<HardLinks>,
    choice: Choice,
    /// Temporary files of an earlier run, which this one goes on with.
    unfinished: HashSet<Vec<u8>>,
    held: Held,
}

#[derive(Default)]
struct HardLinks {
    firsts: HashMap<FileId, Spot>,
    later: Vec<HardLink>,
}

impl Walk {
    pub fn new(shared: Arc<Shared>, filters: Filters, first_serial: u64) -> Self {
        let choice = Choice::new(shared.request.existing);
        let temps = |resume: &Resume| resume.unfinished().map(|file| file.temp.clone()).collect();
        let unfinished = if shared.request.delete {
            shared.log.with_resume(temps)
        } else {
            None
        };
        Self {
            shared,
            filters,
            serial: AtomicU64::new(first_serial),
            hard_links: std::sync::Mutex::default(),
            choice,
            unfinished: unfinished.unwrap_or_default(),
            held: Held::default(),
        }
    }

    /// A number for one more file.
    pub fn take_serial(&self) -> u64 {
        self.serial.fetch_add(1, Relaxed)
    }

    /// The first number that no file of this walk has.
    pub fn next_serial(&self) -> u64 {
        self.serial.load(Relaxed)
    }

    /// Walks everything. Failures of single names are told; an error ends the leg.
    pub async fn run(&self, sources: Vec<Placed>) -> Result<Rest, Trouble> {
        let mut rest = Rest::default();
        let mut waiting = Vec::new();
        for placed in sources {
            match placed.facts.kind {
                Kind::Dir => waiting.push(Dir {
                    index: placed.index,
                    below: Vec::new(),
                    source: placed.source,
                    target: placed.target,
                    facts: placed.facts,
                    depth: 0,
                    above: placed.facts.id.into_iter().collect(),
                }),
                _ => {
                    let item = self.item(&placed, Vec::new());
                    self.offer(item, placed.standing).await?;
                }
            }
        }
        if let Some(names) = &self.shared.request.files_from {
            let mut below = Vec::new();
            for top in &waiting {
                let (ends, dirs) = listed::walk(self, top, names).await?;
                rest.dirs.extend(ends);
                below.extend(dirs);
            }
            waiting = below;
        }
        // Depth first, so that what waits stays short.
        waiting.reverse();
        let mut busy = FuturesUnordered::new();
        loop {
            while busy.len() < PARALLEL {
                let Some(dir) = waiting.pop() else { break };
                busy.push(self.directory(dir));
            }
            let Some(done) = busy.next().await else { break };
            let (end, below) = done?;
            rest.dirs.extend(end);
            waiting.extend(below);
        }
        self.hard_links().await?;
        Ok(rest)
    }

    fn item(&self, placed: &Placed, below: Vec<u8>) -> Item {
        Item {
            source_index: placed.index,
            below,
            source: placed.source.clone(),
            target: placed.target.clone(),
            facts: placed.facts,
            serial: self.take_serial(),
            attempt: AtomicU32::new(0),
        }
    }

    // ---- one directory ----------------------------------------------------------------------------------------------

    async fn directory(&self, dir: Dir) -> Result<(Option<DirEnd>, Vec<Dir>), Trouble> {
        match self.list_and_make(&dir).await {
            Ok(found) => Ok((
                Some(DirEnd {
                    target: dir.target,
                    facts: dir.facts,
                }),
                found,
            )),
            Err(trouble) if trouble.is_lost() => Err(trouble),
            Err(trouble) => {
                self.shared.ledger.failed(&dir.source.path(), &trouble);
                Ok((None, Vec::new()))
            }
        }
    }

    async fn list_and_make(&self, dir: &Dir) -> Result<Vec<Dir>, Trouble> {
        if dir.depth > DEEPEST {
            return Err(Trouble::Hostile {
                what: "directories without end".into(),
            });
        }
        let dry = self.shared.request.dry_run;
        let (mut listing, made) = if dry {
            let standing = dir.target.base.lstat(&dir.target.rel).await?;
            let made = if standing.is_some() { Made::Existed } else { Made::New };
            if made == Made::New {
                self.would("mkdir", &dir.target.path(), 0);
            }
            (dir.source.base.list(&dir.source.rel).await, Ok(made))
        } else {
            tokio::join!(
                dir.source.base.list(&dir.source.rel),
                dir.target.base.make_dir(&dir.target.rel)
            )
        };
        let made = made?;
        if made == Made::New && !dry {
            self.shared.log.made();
        }
        self.shared.proof.directory(dir.index, &dir.below);
        let wants_standing = self.shared.request.existing != Existing::Replace || self.shared.request.delete;
        let need = if self.shared.request.delete {
            Need::All
        } else {
            Need::Common
        };
        let mut standing = if made == Made::Existed && wants_standing {
            Standing::list(&self.held, &dir.target, need).await?
        } else {
            Standing::nothing(&self.held)
        };
        let mut found = Vec::new();
        let mut whole = true;
        while let Some(names) = listing.recv().await {
            match names {
                Ok(names) => {
                    standing.look_at(&dir.target, &names).await?;
                    self.names(dir, names, &mut standing, &mut found).await?;
                }
                Err(trouble) if trouble.is_lost() => return Err(trouble),
                Err(trouble) => {
                    whole = false;
                    self.shared.ledger.failed(&dir.source.path(), &trouble);
                }
            }
        }
        if self.shared.request.delete && whole {
            // Only with the whole listing in hand: what could not be read must not look like what is not there. Each name
            // that the source has was taken out.
            let mut extra = standing.into_rest();
            extra.retain(|name, _| !self.unfinished.contains(name));
            self.delete(dir, extra).await?;
        }
        Ok(found)
    }

    async fn names(
        &self,
        dir: &Dir,
        names: Names,
        standing: &mut Standing<'_>,
        found: &mut Vec<Dir>,
    ) -> Result<(), Trouble> {
        let mut links = FuturesUnordered::new();
        let mut recalls = FuturesUnordered::new();
        for (name, mut facts) in names {
            let mut stands = standing.take(&name);
            let below = join(&dir.below, &name);
            let source = Spot {
                base: dir.source.base.clone(),
                rel: join(&dir.source.rel, &name),
            };
            let through_link = facts.kind == Kind::Link && self.shared.request.follow;
            if through_link {
                match source.base.stat(&source.rel).await {
                    Ok(Some(through)) => facts = through,
                    Ok(None) => {
                        self.shared
                            .ledger
                            .failed_because(&source.path(), "the link leads nowhere".into());
                        continue;
                    }
                    Err(trouble) if trouble.is_lost() => return Err(trouble),
                    Err(trouble) => {
                        self.shared.ledger.failed(&source.path(), &trouble);
                        continue;
                    }
                }
            }
            if self.filters.decide(&below, facts.kind) == Decision::Skip {
                continue;
            }
            let target = Spot {
                base: dir.target.base.clone(),
                rel: join(&dir.target.rel, &name),
            };
            if let Some(there) = stands.filter(|there| self.is_in_the_way(&facts, there)) {
                self.delete_one(target.clone(), there).await?;
                stands = None;
            }
            match facts.kind {
                Kind::File => {
                    let placed = Placed {
                        index: dir.index,
                        source,
                        facts,
                        target,
                        standing: None,
                    };
                    let item = self.item(&placed, below);
                    if !self.shared.log.is_resumed() && !self.choice.takes_time() {
                        self.offer(item, stands).await?;
                        continue;
                    }
                    // What an earlier run did, or the content, has to be looked at: a round trip for each file.
                    recalls.push(self.offer(item, stands));
                    if recalls.len() >= RECALLS_AT_ONCE {
                        recalls.next().await.transpose()?;
                    }
                }
                Kind::Dir => {
                    let loops = facts.id.is_some_and(|id| dir.above.contains(&id))
                        || (through_link && same::leads_above(&source, &dir.source).await?);
                    if loops {
                        self.shared
                            .ledger
                            .left_out(&source.path(), "a directory above it, by way of a link");
                        continue;
                    }
                    let mut above = dir.above.clone();
                    above.extend(facts.id.filter(|_| self.shared.request.follow));
                    found.push(Dir {
                        index: dir.index,
                        below,
                        source,
                        target,
                        facts,
                        depth: dir.depth + 1,
                        above,
                    });
                }
                Kind::Link => {
                    links.push(self.link((dir.index, below), source, target, stands));
                    if links.len() >= LINKS_AT_ONCE {
                        links.next().await.transpose()?;
                    }
                }
                Kind::Other(special) => self.shared.ledger.left_out(&source.path(), special.name()),
            }
        }
        while links.next().await.transpose()?.is_some() {}
        while recalls.next().await.transpose()?.is_some() {}
        Ok(())
    }

    /// Makes the directory at the target, without a look into it.
    pub async fn make(&self, dir: &Dir) -> Result<(), Trouble> {
        if self.shared.request.dry_run {
            self.would("mkdir", &dir.target.path(), 0);
            return Ok(());
        }
        self.shared.log.made();
        dir.target.base.make_dir(&dir.target.rel).await.map(drop)
    }

    /// Hands out what a list names: a file, link or special file.
    pub async fn one(&self, top: &Dir, found: Found) -> Result<(), Trouble> {
        let Found {
            below,
            source,
            target,
            facts,
        } = found;
        let looked = self.shared.request.existing != Existing::Replace;
        let stands = if looked {
            target.base.lstat(&target.rel).await?
        } else {
            None
        };
        match facts.kind {
            Kind::File => {
                let placed = Placed {
                    index: top.index,
                    source,
                    facts,
                    target,
                    standing: None,
                };
                let item = self.item(&placed, below);
                self.offer(item, stands).await
            }
            Kind::Link => self.link((top.index, below), source, target, stands).await,
            kind => {
                self.shared.ledger.left_out(&source.path(), kind.name());
                Ok(())
            }
        }
    }

    pub fn tell_missing(&self, source: &Spot) {
        let reason = "there is no such file or directory".to_owned();
        self.shared.ledger.failed_because(&source.path(), reason);
    }

    pub fn tell(&self, source: &Spot, trouble: &Trouble) {
        self.shared.ledger.failed(&source.path(), trouble);
    }

    async fn link(
        &self,
        (index, below): (u32, Vec<u8>),
        source: Spot,
        target: Spot,
        stands: Option<Facts>,
    ) -> Result<(), Trouble> {
        let made = async {
            // True: made; false: left alone.
            let text = source.base.read_link(&source.rel).await?;
            if let Some(stands) = stands {
                let same = stands.kind == Kind::Link
                    && target
                        .base
                        .read_link(&target.rel)
                        .await
                        .is_ok_and(|there| there == text);
                if same || self.shared.request.existing == Existing::Keep {
                    self.shared.proof.link(index, &below, &text);
                    return Ok(false);
                }
            }
            if self.shared.request.dry_run {
                self.would("link", &target.path(), 0);
                return Ok(false);
            }
            let temp = self.shared.temps.name(self.serial.fetch_add(1, Relaxed), 0);
            self.shared.log.made();
            target.base.make_link(&target.rel, &text, &temp).await?;
            self.shared.proof.link(index, &below, &text);
            Ok::<bool, Trouble>(true)
        };
        match made.await {
            Ok(true) => self.shared.ledger.copied(&source.path(), 0),
            Ok(false) => self.shared.ledger.skipped(&source.path(), "it is there already"),
            Err(trouble) if trouble.is_lost() => return Err(trouble),
            Err(trouble) => self.shared.ledger.failed(&source.path(), &trouble),
        }
        Ok(())
    }

    // ---- one file ---------------------------------------------------------------------------------------------------

    /// Hands a file to the plan unless it is to be left alone.
    async fn offer(&self, item: Item, standing: Option<Facts>) -> Result<(), Trouble> {
        let kept = match standing {
            Some(standing) => self.choice.keeps(&item, &standing).await?,
            None => None,
        };
        if let Some(reason) = kept {
            self.shared.ledger.skipped(&item.shown(), reason);
            self.shared.proof.file(&item, item.facts.size, None);
            return Ok(());
        }
        if item.facts.nlink > 1
            && !self.shared.request.follow
            && let Some(first) = self.first_name(&item)
        {
            self.shared.ledger.total_files.fetch_add(1, Relaxed);
            if let Ok(mut links) = self.hard_links.lock() {
                links.later.push(HardLink { item, first });
            }
            return Ok(());
        }
        self.shared.ledger.found(item.facts.size);
        if self.shared.request.dry_run {
            self.would("copy", &item.target.path(), item.facts.size);
            self.shared.ledger.files.fetch_add(1, Relaxed);
            return Ok(());
        }
        self.add(item).await
    }

    async fn add(&self, item: Item) -> Result<(), Trouble> {
        self.shared.wait_for_room().await?;
        let Some(item) = resume::recall(&self.shared, item).await? else {
            return Ok(());
        };
        match item {
            resume::Recalled::Fresh(item) if item.facts.size <= PIECE => self.shared.add_small(item),
            resume::Recalled::Fresh(item) => self.shared.add_large(item, None),
            resume::Recalled::Begun(item, resumed) => self.shared.add_large(item, Some(*resumed)),
        }
        Ok(())
    }

    /// The place of the first name of the same file, if there was one; else this becomes the first.
    fn first_name(&self, item: &Item) -> Option<Spot> {
        let id = item.facts.id?;
        let mut links = self.hard_links.lock().ok()?;
        match links.firsts.get(&id) {
            Some(first) => first.shares_base(&item.target).then(|| first.clone()),
            None => {
                links.firsts.insert(id, item.target.clone());
                None
            }
        }
    }

    async fn hard_links(&self) -> Result<(), Trouble> {
        let later = self
            .hard_links
            .lock()
            .map(|mut links| std::mem::take(&mut links.later))
            .unwrap_or_default();
        if later.is_empty() || self.shared.request.dry_run {
            return Ok(());
        }
        // The first names must stand before others can be hung on them.
        self.shared.wait_until_empty().await?;
        for HardLink { mut item, first } in later {
            let temp = item.temp(&self.shared.temps);
            match item
                .target
                .base
                .make_hard_link(&first.rel, &item.target.rel, &temp)
                .await
            {
                Ok(()) => {
                    self.shared.ledger.files.fetch_add(1, Relaxed);
                    self.shared.ledger.copied(&item.shown(), 0);
                    self.shared.proof.file(&item, item.facts.size, None);
                }
                Err(trouble) if trouble.is_lost() => return Err(trouble),
                Err(trouble) if is_link_refused(&trouble) || trouble.is_missing() => {
                    // If it is missing, the first name did not arrive, and there is nothing to hang this one on.
                    if !trouble.is_missing() {
                        self.shared
                            .ledger
                            .note("the target makes no hard links; further names of a file became copies");
                    }
                    self.shared.ledger.total_bytes.fetch_add(item.facts.size, Relaxed);
                    item.serial = self.serial.fetch_add(1, Relaxed);
                    self.add(item).await?;
                }
                Err(trouble) => self.shared.failed(&item, &trouble),
            }
        }
        Ok(())
    }

    // ---- what the source does not have ------------------------------------------------------------------------------

    async fn delete(&self, dir: &Dir, extra: HashMap<Vec<u8>, Facts>) -> Result<(), Trouble> {
        let mut names: Vec<(Vec<u8>, Facts)> = extra.into_iter().collect();
        names.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        for (name, facts) in names {
            // What the filters leave out at the source is not missed at the target.
            if self.filters.decide(&join(&dir.below, &name), facts.kind) == Decision::Skip {
                continue;
            }
            let spot = Spot {
                base: dir.target.base.clone(),
                rel: join(&dir.target.rel, &name),
            };
            self.delete_one(spot, facts).await?;
        }
        Ok(())
    }

    /// With `--delete` the target becomes what the source is, also where a directory stands for a file or a file for a
    /// directory; without it that is an error.
    fn is_in_the_way(&self, facts: &Facts, there: &Facts) -> bool {
        self.shared.request.delete && facts.is_dir() != there.is_dir()
    }

    async fn delete_one(&self, top: Spot, facts: Facts) -> Result<(), Trouble> {
        // Directories are emptied first: each stands on the stack twice, once to be entered, once to be removed.
        let mut stack = vec![(top, facts.kind, false)];
        while let Some((spot, kind, emptied)) = stack.pop() {
            if kind == Kind::Dir && !emptied {
                stack.push((spot.clone(), kind, true));
                let mut listing = spot.base.list(&spot.rel).await;
                while let Some(names) = listing.recv().await {
                    match names {
                        Ok(names) => stack.extend(names.into_iter().map(|(name, facts)| {
                            (
                                Spot {
                                    base: spot.base.clone(),
                                    rel: join(&spot.rel, &name),
                                },
                                facts.kind,
                                false,
                            )
                        })),
                        Err(trouble) if trouble.is_lost() => return Err(trouble),
                        Err(trouble) => self.shared.ledger.failed(&spot.path(), &trouble),
                    }
                }
                continue;
            }
            if self.shared.request.dry_run {
                self.would("delete", &spot.path(), 0);
                continue;
            }
            let removed = match kind {
                Kind::Dir => spot.base.remove_dir(&spot.rel).await,
                _ => spot.base.remove_file(&spot.rel).await,
            };
            match removed {
                Ok(()) => {
                    self.shared.ledger.deleted.fetch_add(1, Relaxed);
                }
                Err(trouble) if trouble.is_lost() => return Err(trouble),
                Err(trouble) => self.shared.ledger.failed(&spot.path(), &trouble),
            }
        }
        Ok(())
    }

    fn would(&self, action: &'static str, path: &[u8], bytes: u64) {
        self.shared.ledger.event(Event::Would {
            action,
            path: path.to_vec(),
            bytes,
        });
    }
}

/// Whether the target has no hard links or not between these places, so that a copy must stand in for one.
fn is_link_refused(trouble: &Trouble) -> bool {
    match trouble {
        Trouble::Near(error) => error.is_link_refused(),
        // A server hardly says why: OpenSSH has one code for "across file systems", "too many" and all others. Where the
        // reason is another one the copy fails as well, and tells it.
        Trouble::Far { source, .. } => matches!(
            source.code(),
            Some(StatusCode::OpUnsupported | StatusCode::Failure | StatusCode::PermissionDenied)
        ),
        // It does not know the request.
        Trouble::Other { .. } => true,
        _ => false,
    }
}
