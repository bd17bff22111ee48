//! What is concluded from a journal: rule by rule, and that nothing which a crash has lost is ever believed.

use std::borrow::Cow;
use std::iter::once;

use renkei_plan::PIECE;
use renkei_plan::journal::{
    Durability, FileIdentity, FileSeq, Inconsistent, Record, RecordPlace, Replay, Resume, SourceIndex, TargetPlace,
    UnixMillis,
};
use renkei_types::tree_hash::{Cv, Part, hash_piece, hash_whole};

const SOURCE: SourceIndex = SourceIndex(0);

fn at(seconds: u64) -> UnixMillis {
    UnixMillis(1_000_000 + seconds * 1000)
}

fn run(seconds: u64, durability: Durability) -> Record<'static> {
    Record::Run {
        at: at(seconds),
        durability,
    }
}

fn landed() -> Record<'static> {
    Record::Landed {
        source: SOURCE,
        target: b"there",
    }
}

fn begin(seq: u64, path: &'static [u8], pieces: u64) -> Record<'static> {
    Record::Begin {
        seq: FileSeq(seq),
        source: SOURCE,
        path,
        identity: FileIdentity {
            size: pieces * PIECE,
            mtime_ns: 5,
            inode: 6,
            device: 7,
        },
        temp: b".temp",
        target: TargetPlace::BelowLanded,
    }
}

fn pieces(seq: u64, first: u64, count: u8, seconds: u64) -> Record<'static> {
    let cvs: Vec<Cv> = (0..count).map(|n| Cv([first as u8 + n + 1; 32])).collect();
    Record::Pieces {
        seq: FileSeq(seq),
        first,
        cvs: Cow::Owned(cvs),
        at: at(seconds),
    }
}

fn durable(seq: u64, run: std::ops::Range<u64>, seconds: u64) -> Record<'static> {
    Record::Durable {
        seq: FileSeq(seq),
        runs: once(run).collect(),
        at: at(seconds),
    }
}

fn finished(seq: u64, seconds: u64) -> Record<'static> {
    Record::Finished {
        seq: FileSeq(seq),
        size: 5,
        mtime: None,
        root: None,
        at: at(seconds),
    }
}

fn try_replay(records: &[Record<'_>]) -> Result<Resume, Inconsistent> {
    let mut replay = Replay::new();
    for (n, record) in records.iter().enumerate() {
        replay.record(RecordPlace { offset: n as u64 }, record)?;
    }
    Ok(replay.finish())
}

fn replay(records: &[Record<'_>]) -> Resume {
    try_replay(records).unwrap()
}

fn state(resume: &mut Resume, path: &[u8]) -> (Vec<(u64, u64)>, Vec<u64>) {
    let file = resume.take_unfinished(SOURCE, path).unwrap();
    (file.durable.iter().collect(), file.in_doubt.into_keys().collect())
}

#[test]
fn synced_pieces_are_durable_and_the_other_acknowledged_ones_in_doubt_however_old() {
    let mut resume = replay(&[
        run(0, Durability::Sync),
        landed(),
        begin(0, b"f", 9),
        pieces(0, 0, 4, 1),
        durable(0, 0..3, 2),
        pieces(0, 6, 2, 3),
        begin(1, b"later", 1),
        finished(1, 1000),
    ]);
    assert_eq!(resume.bytes(), 6 * PIECE + 5);
    assert!(!resume.believed_by_age());
    assert_eq!(state(&mut resume, b"f"), (vec![(0, 3)], vec![3, 6, 7]));
}

#[test]
fn a_sync_does_not_cover_what_was_never_acknowledged() {
    let mut resume = replay(&[
        run(0, Durability::Sync),
        landed(),
        begin(0, b"f", 9),
        pieces(0, 2, 1, 1),
        durable(0, 0..9, 2),
    ]);
    assert_eq!(state(&mut resume, b"f"), (vec![(2, 3)], vec![]));
}

#[test]
fn without_sync_pieces_become_durable_by_age_while_answers_come() {
    let records = [
        run(0, Durability::Age),
        landed(),
        begin(0, b"f", 9),
        pieces(0, 0, 1, 1),
        pieces(0, 1, 1, 30),
        pieces(0, 2, 1, 62),
    ];
    let mut resume = replay(&records);
    assert!(resume.believed_by_age());
    assert_eq!(state(&mut resume, b"f"), (vec![(0, 1)], vec![1, 2]));
    // The next run beginning much later makes nothing older: the host may have crashed in between.
    let mut records = records.to_vec();
    records.extend([run(9000, Durability::Age), pieces(0, 5, 1, 9001)]);
    records.push(pieces(0, 6, 1, 9200));
    assert_eq!(
        state(&mut replay(&records), b"f"),
        (vec![(0, 1), (5, 6)], vec![1, 2, 6])
    );
}

#[test]
fn doubt_ends_by_comparing_and_not_by_a_later_sync() {
    let before = [
        run(0, Durability::Sync),
        landed(),
        begin(0, b"f", 9),
        pieces(0, 0, 3, 1),
        run(10, Durability::Sync),
    ];
    let with = |more: &[Record<'static>]| state(&mut replay(&[&before, more].concat()), b"f");
    assert_eq!(with(&[durable(0, 0..3, 11)]), (vec![], vec![0, 1, 2]));
    assert_eq!(
        with(&[pieces(0, 1, 1, 11), durable(0, 0..3, 12)]),
        (vec![(1, 2)], vec![0, 2])
    );
    let lost = Record::Lost {
        seq: FileSeq(0),
        runs: Cow::Owned(vec![0..1, 2..3]),
    };
    assert_eq!(with(&[lost]), (vec![], vec![1]));
}

#[test]
fn durable_pieces_that_are_gone_after_all_have_to_become_durable_again() {
    let lost = Record::Lost {
        seq: FileSeq(0),
        runs: once(1..2).collect(),
    };
    let start = [
        run(0, Durability::Sync),
        landed(),
        begin(0, b"f", 3),
        pieces(0, 0, 3, 1),
        durable(0, 0..3, 2),
        lost,
    ];
    let with = |more: &[Record<'static>]| state(&mut replay(&[&start, more].concat()), b"f");
    assert_eq!(with(&[]), (vec![(0, 1), (2, 3)], vec![]));
    assert_eq!(with(&[pieces(0, 1, 1, 3)]), (vec![(0, 1), (2, 3)], vec![1]));
    assert_eq!(with(&[pieces(0, 1, 1, 3), durable(0, 1..2, 4)]), (vec![(0, 3)], vec![]));
}

#[test]
fn a_finished_file_is_in_doubt_only_if_young_at_the_break_and_not_synced() {
    let doubt = |more: &[Record<'static>], path: &[u8]| {
        let resume = replay(
            &[
                &[run(0, Durability::Sync), landed(), begin(0, b"f", 1), finished(0, 1)],
                more,
            ]
            .concat(),
        );
        resume.finished(SOURCE, path).map(|entry| entry.in_doubt)
    };
    assert_eq!(doubt(&[], b"f"), Some(true));
    assert_eq!(doubt(&[], b"g"), None);
    let later = [begin(1, b"g", 1), finished(1, 62)];
    assert_eq!(doubt(&later, b"f"), Some(false));
    assert_eq!(doubt(&later, b"g"), Some(true));
    assert_eq!(doubt(&[Record::AllDurable { before: at(1) }], b"f"), Some(false));
    assert_eq!(doubt(&[Record::AllDurable { before: at(0) }], b"f"), Some(true));
    assert_eq!(doubt(&[run(500, Durability::Sync)], b"f"), Some(true));
    assert_eq!(
        doubt(
            &[run(500, Durability::Sync), Record::AllDurable { before: at(501) }],
            b"f"
        ),
        Some(true)
    );
}

#[test]
fn a_file_that_was_compared_is_as_if_just_finished() {
    let start = [
        run(0, Durability::Sync),
        landed(),
        begin(0, b"f", 1),
        finished(0, 1),
        run(500, Durability::Sync),
    ];
    let check = Record::Checked {
        seq: FileSeq(0),
        at: at(501),
    };
    let doubt = |more: &[Record<'static>]| {
        replay(&[&start, more].concat())
            .finished(SOURCE, b"f")
            .unwrap()
            .in_doubt
    };
    assert!(doubt(&[]));
    assert!(doubt(std::slice::from_ref(&check)));
    assert!(!doubt(&[check.clone(), begin(1, b"g", 1), finished(1, 562)]));
    assert!(!doubt(&[check.clone(), Record::AllDurable { before: at(501) }]));
    // A late word about the old file says nothing about one that was begun anew at the same path.
    let anew = [begin(1, b"f", 1), finished(1, 502), run(503, Durability::Sync), check];
    assert!(doubt(&[&anew[..], &[begin(2, b"g", 1), finished(2, 900)]].concat()));
}

#[test]
fn a_large_file_whose_pieces_were_all_synced_before_its_rename_is_never_in_doubt() {
    let resume = replay(&[
        run(0, Durability::Sync),
        landed(),
        begin(0, b"f", 2),
        pieces(0, 0, 2, 1),
        durable(0, 0..2, 2),
        finished(0, 3),
    ]);
    assert!(!resume.finished(SOURCE, b"f").unwrap().in_doubt);
}

#[test]
fn beginning_anew_voids_what_was_known_of_the_path() {
    let anew = [
        begin(0, b"f", 4),
        pieces(0, 0, 2, 1),
        begin(1, b"f", 4),
        pieces(0, 3, 1, 2),
        finished(0, 3),
    ];
    let mut resume = replay(&[&[run(0, Durability::Sync), landed()], &anew[..]].concat());
    assert_eq!(resume.unfinished().len(), 1);
    assert_eq!(resume.finished_files(), 0);
    assert_eq!(state(&mut resume, b"f"), (vec![], vec![]));
    assert_eq!(resume.next_seq(), FileSeq(2));
}

#[test]
fn an_abandoned_file_leaves_nothing_and_late_answers_for_it_are_ignored() {
    let resume = replay(&[
        run(0, Durability::Sync),
        landed(),
        begin(0, b"f", 4),
        Record::Abandoned { seq: FileSeq(0) },
        pieces(0, 0, 2, 1),
        durable(0, 0..2, 1),
    ]);
    assert_eq!(resume.unfinished().len(), 0);
}

#[test]
fn an_unfinished_file_has_all_that_is_needed_to_go_on() {
    let content = vec![3; (2 * PIECE + 10) as usize];
    let cv = |n: usize| {
        let piece = &content[n * PIECE as usize..content.len().min((n + 1) * PIECE as usize)];
        hash_piece(n as u64, Part::OneOfMany, piece)
    };
    let mut resume = replay(&[
        run(0, Durability::Sync),
        Record::Landed {
            source: SourceIndex(1),
            target: b"there",
        },
        Record::Begin {
            seq: FileSeq(3),
            source: SourceIndex(1),
            path: b"a/b",
            identity: FileIdentity {
                size: 2 * PIECE + 10,
                mtime_ns: -1,
                inode: 2,
                device: 3,
            },
            temp: b".temp",
            target: TargetPlace::BelowLanded,
        },
        Record::Pieces {
            seq: FileSeq(3),
            first: 0,
            cvs: Cow::Owned(vec![cv(0), cv(1)]),
            at: at(1),
        },
        durable(3, 1..2, 2),
    ]);
    assert_eq!(resume.landed(SourceIndex(1)), Some(&b"there"[..]));
    let mut file = resume.take_unfinished(SourceIndex(1), b"a/b").unwrap();
    assert_eq!(
        (file.seq, &file.temp[..], &file.target[..]),
        (FileSeq(3), &b".temp"[..], &b"there/a/b"[..])
    );
    assert_eq!(file.in_doubt[&0], cv(0));
    file.tree.add(0, file.in_doubt[&0]).unwrap();
    file.tree.add(2, cv(2)).unwrap();
    assert_eq!(file.tree.finish(), Some(hash_whole(&content)));
}

#[test]
fn a_file_moved_aside_is_known_until_it_is_done() {
    let aside = Record::AsideMoved {
        seq: FileSeq(0),
        aside: b".old",
    };
    let start = [run(0, Durability::Sync), landed(), begin(0, b"f", 1), aside];
    let known = |more: &[Record<'static>]| {
        let resume = replay(&[&start, more].concat());
        resume
            .asides()
            .map(|(_, aside)| (aside.target.clone(), aside.aside.clone(), aside.replaced))
            .collect::<Vec<_>>()
    };
    assert_eq!(known(&[]), [(b"there/f".to_vec(), b".old".to_vec(), false)]);
    assert_eq!(
        known(&[finished(0, 1)]),
        [(b"there/f".to_vec(), b".old".to_vec(), true)]
    );
    assert_eq!(known(&[finished(0, 1), Record::AsideDone { seq: FileSeq(0) }]), []);
}

#[test]
fn complete_counts_until_another_run_begins() {
    let records = [run(0, Durability::Sync), Record::Complete, run(1, Durability::Sync)];
    assert!(replay(&records[..2]).is_complete());
    assert!(!replay(&records).is_complete());
}

#[test]
fn what_contradicts_itself_is_refused() {
    let check = |records: &[Record<'static>], want: Inconsistent| {
        let records = [&[run(0, Durability::Sync), landed(), begin(0, b"f", 2)], records].concat();
        assert_eq!(try_replay(&records).unwrap_err(), want);
    };
    check(&[begin(0, b"g", 2)], Inconsistent::BegunTwice(FileSeq(0)));
    check(&[pieces(1, 0, 1, 1)], Inconsistent::NeverBegun(FileSeq(1)));
    check(&[finished(7, 1)], Inconsistent::NeverBegun(FileSeq(7)));
    check(
        &[pieces(0, 1, 2, 1)],
        Inconsistent::Piece {
            seq: FileSeq(0),
            piece: 1,
        },
    );
    let elsewhere = Record::Begin {
        seq: FileSeq(1),
        source: SourceIndex(9),
        path: b"",
        identity: FileIdentity {
            size: 0,
            mtime_ns: 0,
            inode: 0,
            device: 0,
        },
        temp: b"",
        target: TargetPlace::BelowLanded,
    };
    check(&[elsewhere], Inconsistent::NotLanded(SourceIndex(9)));
}
