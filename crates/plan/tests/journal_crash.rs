//! A far host that crashes at any moment, in a simulated time: nothing that it has lost is ever believed.
//!
//! The model knows what the far disk really holds. The journal is written by the rules of `Record`, loses its last
//! records at a break as a killed process would, and is replayed.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::iter::once;

use proptest::prelude::*;
use renkei_plan::PIECE;
use renkei_plan::journal::{
    Durability, FileIdentity, FileSeq, Record, RecordPlace, Replay, Resume, SourceIndex, TargetPlace, UnixMillis,
};
use renkei_types::tree_hash::Cv;

const PIECES: u64 = 3;
/// The longest that a write stays in the far host's memory (`dirty_expire_centisecs` and a wake-up).
const WRITE_BACK: u64 = 35_000;
const PATHS: [&[u8]; 3] = [b"a", b"b", b"c"];
const SOURCE: SourceIndex = SourceIndex(0);

#[derive(Clone, Debug)]
enum Step {
    Wait(u64),
    Send {
        file: usize,
        piece: u64,
    },
    /// A sync is sent, another piece is acknowledged, the sync is answered.
    Sync {
        file: usize,
        meanwhile: u64,
    },
    Finish {
        file: usize,
    },
    SyncAll,
    GiveUp {
        file: usize,
    },
    Break {
        crash: bool,
        lost_records: usize,
        checks: u8,
    },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let file = 0..PATHS.len();
    let step = prop_oneof![
        3 => (0..40_000_u64).prop_map(Step::Wait),
        8 => (file.clone(), 0..PIECES).prop_map(|(file, piece)| Step::Send { file, piece }),
        2 => (file.clone(), 0..PIECES).prop_map(|(file, meanwhile)| Step::Sync { file, meanwhile }),
        3 => file.clone().prop_map(|file| Step::Finish { file }),
        1 => Just(Step::SyncAll),
        1 => file.prop_map(|file| Step::GiveUp { file }),
        2 => (any::<bool>(), 0..4_usize, any::<u8>())
            .prop_map(|(crash, lost_records, checks)| Step::Break { crash, lost_records, checks }),
    ];
    prop::collection::vec(step, 1..60)
}

/// What the far host holds of one attempt at a file.
#[derive(Clone, Debug, Default)]
struct Held {
    /// Piece → when it was written and whether it was synced.
    pieces: BTreeMap<u64, (u64, bool)>,
}

/// What the copy believes in this run.
#[derive(Clone, Debug)]
struct Attempt {
    seq: u64,
    acknowledged: BTreeSet<u64>,
    finished: bool,
}

struct World {
    durability: Durability,
    now: u64,
    far: BTreeMap<u64, Held>,
    journal: Vec<Record<'static>>,
    /// Records up to here cannot be lost any more.
    kept: usize,
    attempts: BTreeMap<usize, Attempt>,
    next_seq: u64,
}

impl World {
    fn new(durability: Durability) -> Self {
        let mut world = Self {
            durability,
            now: 1_000_000,
            far: BTreeMap::new(),
            journal: Vec::new(),
            kept: 0,
            attempts: BTreeMap::new(),
            next_seq: 0,
        };
        world.write(Record::Run {
            at: world.at(),
            durability,
        });
        world.write(Record::Landed {
            source: SOURCE,
            target: b"t",
        });
        world.kept = world.journal.len();
        world
    }

    fn at(&self) -> UnixMillis {
        UnixMillis(self.now)
    }

    fn write(&mut self, record: Record<'static>) {
        self.journal.push(record);
    }

    fn begin(&mut self, file: usize) {
        let seq = self.next_seq;
        self.next_seq += 1;
        self.write(Record::Begin {
            seq: FileSeq(seq),
            source: SOURCE,
            path: PATHS[file],
            identity: FileIdentity {
                size: PIECES * PIECE,
                mtime_ns: 0,
                inode: 0,
                device: 0,
            },
            temp: b".t",
            target: TargetPlace::BelowLanded,
        });
        // A new temporary file, also where an attempt of the same number was forgotten with the journal's end.
        self.far.insert(seq, Held::default());
        self.attempts.insert(
            file,
            Attempt {
                seq,
                acknowledged: BTreeSet::new(),
                finished: false,
            },
        );
    }

    fn open(&mut self, file: usize) -> Option<u64> {
        let attempt = self.attempts.get(&file)?;
        (!attempt.finished).then_some(attempt.seq)
    }

    fn send(&mut self, file: usize, piece: u64) {
        if !self.attempts.contains_key(&file) {
            self.begin(file);
        }
        let now = self.now;
        if let Some(attempt) = self.attempts.get_mut(&file)
            && !attempt.finished
            && attempt.acknowledged.insert(piece)
        {
            let seq = attempt.seq;
            self.far.get_mut(&seq).unwrap().pieces.insert(piece, (now, false));
            self.acknowledge(seq, piece);
        }
    }

    fn acknowledge(&mut self, seq: u64, piece: u64) {
        let cvs = Cow::Owned(vec![Cv([piece as u8; 32])]);
        self.write(Record::Pieces {
            seq: FileSeq(seq),
            first: piece,
            cvs,
            at: self.at(),
        });
    }

    fn step(&mut self, step: &Step) {
        match *step {
            Step::Wait(time) => self.now += time,
            Step::Send { file, piece } => self.send(file, piece),
            Step::Sync { file, meanwhile } => {
                if self.durability == Durability::Sync
                    && let Some(seq) = self.open(file)
                {
                    let covered = self.attempts[&file].acknowledged.clone();
                    let held = self.far.get_mut(&seq).unwrap();
                    held.pieces.values_mut().for_each(|(_, synced)| *synced = true);
                    self.send(file, meanwhile);
                    let runs = covered.iter().map(|piece| *piece..piece + 1).collect();
                    self.write(Record::Durable {
                        seq: FileSeq(seq),
                        runs: Cow::Owned(runs),
                        at: self.at(),
                    });
                }
            }
            Step::Finish { file } => {
                let all = |attempt: &Attempt| attempt.acknowledged.len() as u64 == PIECES;
                if let Some(seq) = self.open(file)
                    && all(&self.attempts[&file])
                {
                    self.attempts.get_mut(&file).unwrap().finished = true;
                    let (seq, size) = (FileSeq(seq), PIECES * PIECE);
                    self.write(Record::Finished {
                        seq,
                        size,
                        mtime: None,
                        root: None,
                        at: self.at(),
                    });
                }
            }
            Step::SyncAll => {
                if self.durability == Durability::Sync {
                    let pieces = self.far.values_mut().flat_map(|held| held.pieces.values_mut());
                    pieces.for_each(|(_, synced)| *synced = true);
                    self.write(Record::AllDurable { before: self.at() });
                    self.now += 1;
                }
            }
            Step::GiveUp { file } => {
                if let Some(seq) = self.open(file) {
                    self.attempts.remove(&file);
                    self.write(Record::Abandoned { seq: FileSeq(seq) });
                }
            }
            Step::Break {
                crash,
                lost_records,
                checks,
            } => self.break_off(crash, lost_records, checks),
        }
    }

    fn break_off(&mut self, crash: bool, lost_records: usize, checks: u8) {
        let keep = self.journal.len().saturating_sub(lost_records).max(self.kept);
        self.journal.truncate(keep);
        if crash {
            let now = self.now;
            for held in self.far.values_mut() {
                held.pieces
                    .retain(|_, (written, synced)| *synced || *written + WRITE_BACK <= now);
                held.pieces.values_mut().for_each(|(_, synced)| *synced = true);
            }
        }
        let resume = self.replay();
        self.believed_is_true(&resume);
        self.resume(&resume, checks);
    }

    fn replay(&self) -> Resume {
        let mut replay = Replay::new();
        for (n, record) in self.journal.iter().enumerate() {
            replay.record(RecordPlace { offset: n as u64 }, record).unwrap();
        }
        replay.finish()
    }

    /// The file that stands finished under a path, and whether it is in doubt.
    fn finished(&self, resume: &Resume, file: usize) -> Option<(u64, bool)> {
        let entry = resume.finished(SOURCE, PATHS[file])?;
        match self.journal[entry.begin.offset as usize] {
            Record::Begin { seq, path, .. } if path == PATHS[file] => Some((seq.0, entry.in_doubt)),
            ref other => panic!("{other:?}"),
        }
    }

    fn is_whole(&self, seq: u64) -> bool {
        self.far[&seq].pieces.len() as u64 == PIECES
    }

    fn believed_is_true(&self, resume: &Resume) {
        for file in resume.unfinished() {
            let held = &self.far[&file.seq.0];
            for piece in file.durable.iter().flat_map(|(start, end)| start..end) {
                assert!(
                    held.pieces.contains_key(&piece),
                    "piece {piece} of {} is believed and lost",
                    file.seq
                );
            }
        }
        for file in 0..PATHS.len() {
            if let Some((seq, false)) = self.finished(resume, file) {
                assert!(self.is_whole(seq), "{seq} is believed and lost");
            }
        }
    }

    /// Begins the next run. Bits of `checks` say what is compared before the next break comes.
    fn resume(&mut self, resume: &Resume, checks: u8) {
        self.now += 1;
        self.attempts.clear();
        self.next_seq = resume.next_seq().0;
        self.write(Record::Run {
            at: self.at(),
            durability: self.durability,
        });
        for (file, path) in PATHS.into_iter().enumerate() {
            let compare = checks & (1 << file) != 0;
            if let Some((seq, in_doubt)) = self.finished(resume, file) {
                let all = (0..PIECES).collect();
                if !in_doubt {
                    self.attempts.insert(
                        file,
                        Attempt {
                            seq,
                            acknowledged: all,
                            finished: true,
                        },
                    );
                } else if compare && self.is_whole(seq) {
                    self.write(Record::Checked {
                        seq: FileSeq(seq),
                        at: self.at(),
                    });
                    self.attempts.insert(
                        file,
                        Attempt {
                            seq,
                            acknowledged: all,
                            finished: true,
                        },
                    );
                }
            }
            let Some(unfinished) = resume.unfinished().find(|one| one.path == path) else {
                continue;
            };
            let seq = unfinished.seq.0;
            let mut acknowledged: BTreeSet<u64> =
                unfinished.durable.iter().flat_map(|(start, end)| start..end).collect();
            for &piece in unfinished.in_doubt.keys() {
                if compare && self.far[&seq].pieces.contains_key(&piece) {
                    self.acknowledge(seq, piece);
                    acknowledged.insert(piece);
                } else if compare {
                    self.write(Record::Lost {
                        seq: FileSeq(seq),
                        runs: once(piece..piece + 1).collect(),
                    });
                }
            }
            self.attempts.insert(
                file,
                Attempt {
                    seq,
                    acknowledged,
                    finished: false,
                },
            );
        }
        self.kept = self.journal.len();
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8 * ProptestConfig::default().cases, ..ProptestConfig::default() })]

    #[test]
    fn nothing_that_a_crash_has_lost_is_believed(steps in steps(), by_age: bool) {
        let mut world = World::new(if by_age { Durability::Age } else { Durability::Sync });
        for step in steps.iter().chain([&Step::Break { crash: true, lost_records: 0, checks: 0 }]) {
            world.step(step);
        }
    }
}

#[test]
fn a_synced_or_old_copy_is_believed_so_that_it_is_not_sent_again() {
    for durability in [Durability::Sync, Durability::Age] {
        let mut world = World::new(durability);
        world.step(&Step::Send { file: 0, piece: 0 });
        world.step(&Step::Sync { file: 0, meanwhile: 0 });
        world.step(&Step::Wait(60_001));
        world.step(&Step::Send { file: 1, piece: 0 });
        let resume = world.replay();
        let believed = resume.unfinished().map(|file| file.durable.len()).sum::<u64>();
        assert_eq!(believed, 1, "{durability:?}");
    }
}
