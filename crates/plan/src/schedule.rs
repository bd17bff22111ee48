//! Which lane does what next.
//!
//! Small files go in batches, large ones in pieces; the two have budgets of their own on every lane, so that neither
//! starves the other. Pieces are taken from the oldest open file first, lowest first, whatever the lane: disks at both
//! ends see nearly sequential streams and the end is not left to the slowest.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use crate::chunk::Chunks;
use crate::file::{Large, Step};
use crate::lane::{Lane, LaneId, Time, time_of};
use crate::overtake::{self, Out, Repeat};
use crate::runs::Runs;
use crate::tune::Load;
use crate::{FileId, Job, PIECE, Piece};

/// Whole files a batch has at most.
const BATCH_FILES: usize = 64;
/// Large files that may be open at the same time.
const MOST_OPEN: usize = 64;
/// A file of fewer pieces than this is left to the lane that opened it while that lane has room.
const SHARED_FROM: u64 = 8 * PIECE;
/// How often a small file may be lost with its lane before it is given up: a server that dies of one file must not hold
/// up the rest for ever.
const MOST_LOSSES: u32 = 100;

/// Limits of a plan.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Bytes in flight over all lanes.
    pub memory: u64,
    /// Small files in flight on one lane.
    pub files_per_lane: usize,
    /// A fixed window of each lane in bytes (`--ahead`).
    pub window: Option<u64>,
    /// Hand out large files by chunks of this size; none: piece by piece to whichever lane has room.
    pub chunks: Option<Chunks>,
    /// What comes of a piece that is brought twice.
    pub repeat: Repeat,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            memory: 96 * PIECE,
            files_per_lane: 256,
            window: None,
            chunks: None,
            repeat: Repeat::Lingers,
        }
    }
}

/// What came of a job, or of one file of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Done and acknowledged.
    Done,
    /// Not done, for a reason that has nothing to do with the file: try again on any lane.
    Again,
    /// This file cannot be done.
    Failed,
}

#[derive(Debug)]
struct Small {
    size: u64,
    losses: u32,
}

/// The scheduler.
#[derive(Debug)]
pub struct Plan {
    settings: Settings,
    lanes: BTreeMap<LaneId, Lane>,
    next_file: u64,
    /// Small files that wait.
    waiting: VecDeque<FileId>,
    small: BTreeMap<FileId, Small>,
    large: BTreeMap<FileId, Large>,
    /// Large files that nobody has opened.
    unopened: BTreeSet<FileId>,
    /// Open files that still have pieces to hand out, oldest first.
    open: BTreeSet<FileId>,
    /// Files in `Opening`, `Active` or later.
    begun: usize,
    ready: VecDeque<Job>,
    scan_done: bool,
    in_flight: u64,
    load: Load,
    /// Chunks of all files that were added.
    chunks: u64,
}

impl Plan {
    /// An empty plan.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            lanes: BTreeMap::new(),
            next_file: 0,
            waiting: VecDeque::new(),
            small: BTreeMap::new(),
            large: BTreeMap::new(),
            unopened: BTreeSet::new(),
            open: BTreeSet::new(),
            begun: 0,
            ready: VecDeque::new(),
            scan_done: false,
            in_flight: 0,
            load: Load::default(),
            chunks: 0,
        }
    }

    // ---- what there is to do ------------------------------------------------------------------------------------

    /// Adds a file of at most one piece, to be moved whole.
    pub fn add_small(&mut self, size: u64) -> FileId {
        let id = self.new_id();
        self.small.insert(id, Small { size, losses: 0 });
        self.waiting.push_back(id);
        self.load.bytes = self.load.bytes.saturating_add(size);
        self.load.files = self.load.files.saturating_add(1);
        id
    }

    /// Adds a file that is moved in pieces, of which `done` need not be moved again.
    pub fn add_large(&mut self, size: u64, done: Runs) -> FileId {
        let id = self.new_id();
        let mut file = Large::new(size, done);
        if let Some(chunks) = self.settings.chunks {
            file = file.cut(chunks.pieces(size));
            self.chunks = self.chunks.saturating_add(chunks.count(left(&file)));
        }
        self.load.bytes = self.load.bytes.saturating_add(left(&file));
        self.large.insert(id, file);
        self.unopened.insert(id);
        id
    }

    /// No more files will be added.
    pub fn scan_done(&mut self) {
        self.scan_done = true;
    }

    /// Whether the scan should pause: enough is queued.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.waiting.len() >= 8192 || self.unopened.len() >= 4096
    }

    /// Whether everything that was added is done or failed, and no more will come.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.scan_done && self.small.is_empty() && self.large.is_empty()
    }

    /// What is left, for the tuner.
    #[must_use]
    pub fn load(&self) -> Load {
        let whole = self.load.bytes / PIECE;
        // Chunks are not counted down: a lane that has one may still be in the midst of it.
        let cut = self.chunks.saturating_add(whole.min(self.load.files));
        let large = self.settings.chunks.map_or(whole, |_| cut);
        let pieces = large + self.load.files.min(1) + self.load.files / BATCH_FILES as u64;
        Load {
            pieces: pieces.max(1),
            ..self.load
        }
    }

    /// Pieces of a file that are acknowledged.
    #[must_use]
    pub fn done_pieces(&self, file: FileId) -> Option<&Runs> {
        self.large.get(&file).map(Large::done_pieces)
    }

    fn new_id(&mut self) -> FileId {
        let id = FileId(self.next_file);
        self.next_file = self.next_file.saturating_add(1);
        id
    }

    // ---- lanes --------------------------------------------------------------------------------------------------

    /// A lane is ready for work.
    pub fn lane_up(&mut self, id: LaneId, rtt: Duration, now: Time) {
        self.lanes.insert(id, Lane::new(rtt, self.settings.window, now));
    }

    /// The lane gets no new work; it may end when [`Plan::is_retired`].
    pub fn retire(&mut self, id: LaneId) {
        if let Some(lane) = self.lanes.get_mut(&id) {
            lane.retiring = true;
        }
        self.release(id);
    }

    /// When anything came over the lane last; none if there is no such lane.
    #[must_use]
    pub fn heard(&self, id: LaneId) -> Option<Time> {
        self.lanes.get(&id).map(|lane| lane.heard)
    }

    /// Whether the lane may end: it was retired and has nothing in flight, or everything is complete.
    #[must_use]
    pub fn is_retired(&self, id: LaneId) -> bool {
        self.is_complete() || self.lanes.get(&id).is_none_or(|lane| lane.retiring && lane.jobs == 0)
    }

    /// The lane is gone. Every job that it had must have been reported through [`Plan::done`] before.
    pub fn lane_down(&mut self, id: LaneId) {
        self.lanes.remove(&id);
        self.release(id);
    }

    /// A lane that takes no more pieces has no chunk.
    fn release(&mut self, id: LaneId) {
        if self.settings.chunks.is_some() {
            self.large.values_mut().for_each(|file| file.release(id));
        }
    }

    /// Lanes that hold only what others have brought meanwhile, and so keep files from being finished. Never all that there
    /// are: of two that have overtaken one another the one that was heard last is left.
    #[must_use]
    pub fn stragglers(&self) -> Vec<LaneId> {
        let mut found: Vec<(Time, LaneId)> = self
            .lanes
            .iter()
            .filter(|&(&id, _)| {
                let mut held = self.large.values().filter_map(|file| file.superseded(id)).peekable();
                held.peek().is_some() && held.all(|superseded| superseded)
            })
            .map(|(&id, lane)| (lane.heard, id))
            .collect();
        if found.len() == self.lanes.len() {
            found.sort_unstable();
            found.pop();
        }
        found.into_iter().map(|(_, id)| id).collect()
    }

    // ---- jobs ---------------------------------------------------------------------------------------------------

    /// The next job for a lane, or nothing for now. Ask again after any [`Plan::done`], [`Plan::add_small`],
    /// [`Plan::add_large`] or [`Plan::scan_done`].
    pub fn next(&mut self, id: LaneId, now: Time) -> Option<Job> {
        let lane = self.lanes.get(&id)?;
        if lane.retiring {
            return None;
        }
        let job = self
            .ready
            .pop_front()
            .or_else(|| self.next_open(id))
            .or_else(|| self.next_batch(id))
            .or_else(|| self.next_piece(id, now))
            .or_else(|| self.take_over(id, now))?;
        self.handed_out(id, &job);
        Some(job)
    }

    fn handed_out(&mut self, id: LaneId, job: &Job) {
        let batch_bytes = self.batch_bytes(job);
        let Some(lane) = self.lanes.get_mut(&id) else { return };
        lane.jobs = lane.jobs.saturating_add(1);
        match job {
            Job::Batch(files) => {
                lane.batch_files = lane.batch_files.saturating_add(files.len());
                lane.batch_bytes = lane.batch_bytes.saturating_add(batch_bytes);
                self.in_flight = self.in_flight.saturating_add(batch_bytes);
            }
            Job::Piece(piece) => {
                lane.piece_bytes = lane.piece_bytes.saturating_add(piece.len);
                self.in_flight = self.in_flight.saturating_add(piece.len);
            }
            Job::Open(_) | Job::Finish(_) | Job::Discard(_) => {}
        }
    }

    fn batch_bytes(&self, job: &Job) -> u64 {
        match job {
            Job::Batch(files) => files
                .iter()
                .filter_map(|id| self.small.get(id))
                .map(|file| file.size)
                .sum(),
            _ => 0,
        }
    }

    /// Files are opened ahead, so that no lane waits for the round trips of an OPEN.
    fn next_open(&mut self, id: LaneId) -> Option<Job> {
        let file = *self.unopened.first()?;
        let windows: u64 = self.lanes.values().map(Lane::window).sum();
        let ahead: u64 = self
            .open
            .iter()
            .filter_map(|id| self.large.get(id))
            .filter(|file| file.is_offered())
            .map(Large::unassigned)
            .sum();
        let opening = self.large_in(Step::Opening);
        if self.begun >= MOST_OPEN || ahead.saturating_add(opening) >= windows.saturating_mul(2) {
            return None;
        }
        self.unopened.pop_first();
        let large = self.large.get_mut(&file)?;
        large.step = Step::Opening;
        large.home = Some(id);
        self.begun = self.begun.saturating_add(1);
        Some(Job::Open(file))
    }

    /// Unassigned bytes of files in `step`; there are at most [`MOST_OPEN`] begun ones.
    fn large_in(&self, step: Step) -> u64 {
        if self.begun == self.open.len() {
            return 0;
        }
        self.large
            .iter()
            .take_while(|(id, _)| self.unopened.first().is_none_or(|first| *id < first))
            .filter(|(_, file)| file.step == step)
            .map(|(_, file)| file.unassigned())
            .sum()
    }

    fn next_batch(&mut self, id: LaneId) -> Option<Job> {
        if self.waiting.is_empty() {
            return None;
        }
        let lanes = self.lanes.len().max(1);
        let lane = self.lanes.get(&id)?;
        let room = self.settings.files_per_lane.saturating_sub(lane.batch_files);
        // While the scan runs, a lane that is busy waits for a batch worth its overhead.
        if room == 0 || (!self.scan_done && lane.batch_files > 0 && self.waiting.len() < BATCH_FILES / 4) {
            return None;
        }
        // Towards the end batches get small, so that all lanes end together.
        let share = if self.scan_done {
            self.waiting.len().div_ceil(lanes).max(1)
        } else {
            BATCH_FILES
        };
        let most = BATCH_FILES.min(room).min(share);
        let byte_room = lane.window().max(2 * PIECE).saturating_sub(lane.batch_bytes);
        let byte_room = byte_room
            .min(self.settings.memory.saturating_sub(self.in_flight))
            .min(PIECE);
        let idle = lane.batch_files == 0 && self.in_flight == 0;
        let (mut files, mut bytes) = (Vec::new(), 0u64);
        while files.len() < most {
            let Some(&next) = self.waiting.front() else { break };
            let size = self.small.get(&next).map_or(0, |file| file.size);
            let fits = bytes.saturating_add(size) <= byte_room;
            // Where nothing is in flight one file goes whatever its size, or it would never go.
            let is_only_one = idle && files.is_empty();
            if !fits && !is_only_one {
                break;
            }
            self.waiting.pop_front();
            bytes = bytes.saturating_add(size);
            files.push(next);
        }
        if files.is_empty() {
            None
        } else {
            Some(Job::Batch(files))
        }
    }

    fn next_piece(&mut self, id: LaneId, now: Time) -> Option<Job> {
        let lane = self.lanes.get(&id)?;
        let room = lane.piece_bytes.saturating_add(PIECE) <= lane.window().max(PIECE);
        let memory = self.in_flight.saturating_add(PIECE) <= self.settings.memory || self.in_flight == 0;
        if !room || !memory {
            return None;
        }
        // A chunk is finished by whoever has it.
        let rest = self.settings.chunks.and_then(|_| {
            let has_rest = |file: &&FileId| self.large.get(file).is_some_and(|file| file.has_rest_for(id));
            self.open.iter().find(has_rest).copied()
        });
        let pick = match rest {
            Some(file) => file,
            None if self.left_to_faster(id) => return None,
            None => self.next_file(id)?,
        };
        let large = self.large.get_mut(&pick)?;
        let index = large.hand_out(id, now)?;
        let piece = large.piece(pick, index);
        if large.unassigned() == 0 {
            self.open.remove(&pick);
        }
        Some(Job::Piece(piece))
    }

    /// The file of which a lane takes the next piece.
    fn next_file(&self, id: LaneId) -> Option<FileId> {
        // A file of one's own first, then the oldest; a short one that is another lane's home is left to that lane
        // as long as there is anything else.
        let own = |file: &Large| {
            let home = file
                .home
                .filter(|home| self.lanes.get(home).is_some_and(|lane| !lane.retiring));
            home.is_none_or(|home| home == id)
        };
        let pick = |may: &dyn Fn(&Large) -> bool| {
            let may = |file: &&FileId| self.large.get(file).is_some_and(|file| file.is_offered() && may(file));
            self.open.iter().find(may).copied()
        };
        pick(&|file| own(file) || file.size >= SHARED_FROM)
            .or_else(|| self.unopened.is_empty().then(|| pick(&|_| true)).flatten())
    }

    /// Towards the end a lane takes no piece that the others would wait for: a slow one, or one that has just been opened
    /// and is in TCP's slow start.
    fn left_to_faster(&self, id: LaneId) -> bool {
        if !self.scan_done || !self.unopened.is_empty() {
            return false;
        }
        let (mut rate_sum, mut known, mut in_flight) = (0u64, 0u64, 0u64);
        for lane in self.lanes.values().filter(|lane| !lane.retiring) {
            in_flight = in_flight.saturating_add(lane.piece_bytes);
            if let Some(rate) = lane.rate() {
                rate_sum = rate_sum.saturating_add(rate);
                known = known.saturating_add(1);
            }
        }
        let (Some(lane), Some(mean)) = (self.lanes.get(&id), rate_sum.checked_div(known)) else {
            return false;
        };
        let left: u64 = self
            .open
            .iter()
            .filter_map(|file| self.large.get(file))
            .map(Large::unassigned)
            .sum();
        let rest = time_of(left.saturating_add(in_flight), rate_sum).max(time_of(PIECE, mean));
        let patience = rest.saturating_add(rest / 2).saturating_add(lane.rtt.saturating_mul(2));
        lane.time_for(lane.piece_bytes.saturating_add(PIECE)) > patience
    }

    /// With nothing left to hand out, an idle lane brings a piece for which the end would wait longest.
    fn take_over(&mut self, id: LaneId, now: Time) -> Option<Job> {
        let offered = |file: &FileId| self.large.get(file).is_some_and(Large::is_offered);
        if !self.scan_done || !self.waiting.is_empty() || !self.unopened.is_empty() || self.open.iter().any(offered) {
            return None;
        }
        let lane = self.lanes.get(&id)?;
        if lane.jobs > 0 {
            return None;
        }
        let mut held = self.held();
        // Each lane brings what it has in the order in which it got it.
        held.sort_unstable();
        let (mut last, mut ahead, mut best) = (None, 0u64, None);
        for (holder, since, file, index) in held {
            let Some(large) = self.large.get(&file) else { continue };
            ahead = if last == Some(holder) { ahead } else { 0 };
            ahead = ahead.saturating_add(large.piece(file, index).len);
            last = Some(holder);
            if holder == id || !large.is_only_with(index, holder) {
                continue;
            }
            let Some(theirs) = self.lanes.get(&holder) else {
                continue;
            };
            let out = Out { since, ahead };
            let gain = overtake::gain(out, (theirs, lane), self.settings.repeat, now);
            best = best.max(gain.map(|gain| (gain, file, index)));
        }
        let (_, file, index) = best?;
        let large = self.large.get_mut(&file)?;
        large.take_over(index, id, now);
        Some(Job::Piece(large.piece(file, index)))
    }

    /// Who has which pieces since when.
    fn held(&self) -> Vec<(LaneId, Time, FileId, u64)> {
        let mut held = Vec::new();
        for (&file, large) in self.large.iter().filter(|(_, file)| file.step == Step::Active) {
            for (index, holders) in large.out() {
                held.extend(holders.iter().map(|&(holder, since)| (holder, since, file, index)));
            }
        }
        held
    }

    // ---- results ------------------------------------------------------------------------------------------------

    /// Takes the result of an `Open`, `Piece`, `Finish` or `Discard`.
    ///
    /// True for a piece that nobody had brought before, and for every other job that is done.
    pub fn done(&mut self, id: LaneId, job: &Job, outcome: Outcome, now: Time) -> bool {
        if let Some(lane) = self.lanes.get_mut(&id) {
            lane.jobs = lane.jobs.saturating_sub(1);
        }
        match job {
            Job::Batch(_) => false,
            Job::Open(file) => self.opened(*file, outcome),
            Job::Piece(piece) => self.piece_done(id, *piece, outcome, now),
            Job::Finish(file) => self.finished(*file, outcome),
            Job::Discard(file) => {
                // Whatever came of it: the file has failed and is not touched again.
                self.forget(*file);
                outcome == Outcome::Done
            }
        }
    }

    /// Takes the results of a batch, one for each of its files in order. Gives those that were lost with their lane too
    /// often and are given up.
    pub fn batch_done(&mut self, id: LaneId, files: &[FileId], outcomes: &[Outcome], now: Time) -> Vec<FileId> {
        let mut given_up = Vec::new();
        let mut bytes = 0u64;
        for (&file, &outcome) in files.iter().zip(outcomes) {
            let Some(small) = self.small.get_mut(&file) else {
                continue;
            };
            bytes = bytes.saturating_add(small.size);
            if outcome == Outcome::Again {
                small.losses = small.losses.saturating_add(1);
                if small.losses < MOST_LOSSES {
                    self.waiting.push_back(file);
                    continue;
                }
                given_up.push(file);
            }
            let size = small.size;
            self.small.remove(&file);
            self.load.bytes = self.load.bytes.saturating_sub(size);
            self.load.files = self.load.files.saturating_sub(1);
            if outcome == Outcome::Done {
                self.load.done_bytes = self.load.done_bytes.saturating_add(size);
                self.load.done_files = self.load.done_files.saturating_add(1);
            }
        }
        self.in_flight = self.in_flight.saturating_sub(bytes);
        if let Some(lane) = self.lanes.get_mut(&id) {
            lane.jobs = lane.jobs.saturating_sub(1);
            lane.batch_files = lane.batch_files.saturating_sub(files.len());
            lane.batch_bytes = lane.batch_bytes.saturating_sub(bytes);
            lane.delivered(bytes, now);
        }
        given_up
    }

    fn opened(&mut self, file: FileId, outcome: Outcome) -> bool {
        let Some(large) = self.large.get_mut(&file) else {
            return false;
        };
        match outcome {
            Outcome::Done => {
                large.step = Step::Active;
                if large.is_complete() {
                    large.step = Step::Finishing;
                    self.ready.push_back(Job::Finish(file));
                } else {
                    self.open.insert(file);
                }
                true
            }
            Outcome::Again => {
                large.step = Step::Queued;
                large.home = None;
                self.begun = self.begun.saturating_sub(1);
                self.unopened.insert(file);
                false
            }
            Outcome::Failed => {
                self.forget(file);
                false
            }
        }
    }

    fn piece_done(&mut self, id: LaneId, piece: Piece, outcome: Outcome, now: Time) -> bool {
        self.in_flight = self.in_flight.saturating_sub(piece.len);
        if let Some(lane) = self.lanes.get_mut(&id) {
            lane.piece_bytes = lane.piece_bytes.saturating_sub(piece.len);
            if outcome == Outcome::Done {
                lane.delivered(piece.len, now);
            }
        }
        let Some(large) = self.large.get_mut(&piece.file) else {
            return false;
        };
        let mut first = false;
        match outcome {
            Outcome::Done => {
                first = large.acknowledged(piece.index, id);
                if first {
                    self.load.bytes = self.load.bytes.saturating_sub(piece.len);
                    self.load.done_bytes = self.load.done_bytes.saturating_add(piece.len);
                }
            }
            Outcome::Again => large.came_back(piece.index, id),
            Outcome::Failed => {
                large.came_back(piece.index, id);
                large.step = Step::Failing;
                self.open.remove(&piece.file);
            }
        }
        match large.step {
            Step::Active if large.unassigned() > 0 => {
                self.open.insert(piece.file);
            }
            Step::Active if large.is_complete() && large.nothing_out() => {
                large.step = Step::Finishing;
                self.ready.push_back(Job::Finish(piece.file));
            }
            Step::Failing if large.nothing_out() => {
                large.step = Step::Discarding;
                self.ready.push_back(Job::Discard(piece.file));
            }
            _ => {}
        }
        first
    }

    fn finished(&mut self, file: FileId, outcome: Outcome) -> bool {
        match outcome {
            Outcome::Done => {
                self.load.done_files = self.load.done_files.saturating_add(1);
                self.forget(file);
                true
            }
            Outcome::Again => {
                // What was found missing while it was finished has to be brought first.
                match self.large.get_mut(&file) {
                    Some(large) if !large.is_complete() => {
                        large.step = Step::Active;
                        self.open.insert(file);
                    }
                    _ => self.ready.push_back(Job::Finish(file)),
                }
                false
            }
            Outcome::Failed => {
                if let Some(large) = self.large.get_mut(&file) {
                    large.step = Step::Discarding;
                    self.ready.push_back(Job::Discard(file));
                }
                false
            }
        }
    }

    /// What was believed to stand at the target does not: these pieces go again. Only while the file is opened or finished;
    /// a `Finish` is then reported as [`Outcome::Again`].
    pub fn undo(&mut self, file: FileId, pieces: &Runs) {
        let Some(large) = self.large.get_mut(&file) else { return };
        let before = left(large);
        for (start, end) in pieces.iter() {
            for index in start..end {
                large.undo(index);
            }
        }
        self.load.bytes = self.load.bytes.saturating_add(left(large).saturating_sub(before));
    }

    /// These pieces need not be moved. Only between `Open` and the first piece. Gives the bytes that this saves.
    pub fn fulfil(&mut self, file: FileId, pieces: &Runs) -> u64 {
        let Some(large) = self.large.get_mut(&file) else {
            return 0;
        };
        let before = left(large);
        for (start, end) in pieces.iter() {
            large.fulfil(start, end);
        }
        let saved = before.saturating_sub(left(large));
        self.load.bytes = self.load.bytes.saturating_sub(saved);
        saved
    }

    fn forget(&mut self, file: FileId) {
        let Some(large) = self.large.remove(&file) else { return };
        self.load.bytes = self.load.bytes.saturating_sub(left(&large));
        self.begun = self.begun.saturating_sub(1);
        self.open.remove(&file);
        self.unopened.remove(&file);
    }
}

/// Bytes of a file that are not acknowledged; the last piece counts as what it has.
fn left(file: &Large) -> u64 {
    let pieces = file.pieces();
    let missing = pieces.saturating_sub(file.done_pieces().len()).saturating_mul(PIECE);
    let last_missing = pieces > 0 && !file.done_pieces().contains(pieces.saturating_sub(1));
    if last_missing {
        missing.saturating_sub(pieces.saturating_mul(PIECE).saturating_sub(file.size))
    } else {
        missing
    }
}
