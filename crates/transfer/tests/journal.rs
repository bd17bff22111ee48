//! The journal as a file: found again, locked, cut where it is torn, set aside where it is damaged.

use std::borrow::Cow;
use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use renkei_plan::journal::{
    Durability, End, FileIdentity, FileSeq, Header, Identity, Record, SourceIndex, TargetPlace, UnixMillis,
};
use renkei_transfer::journal::{Damage, Journal, JournalError, OpenOptions as Open, Opened, State};
use renkei_transfer::journal::{discard, list, load, load_at, take};
use renkei_types::tree_hash::{Cv, Root};
use tempfile::TempDir;

const SOURCE: SourceIndex = SourceIndex(0);

fn header() -> Header {
    Header {
        identity: Identity {
            sources: vec![b"data\x1b[2J".to_vec()],
            target: b"centre:project/".to_vec(),
            cwd: b"/home/user".to_vec(),
            ends: vec![
                End::Local,
                End::Remote {
                    user: b"u".to_vec(),
                    host: b"centre".to_vec(),
                    port: 22,
                },
            ],
            options: vec![],
        },
        started: UnixMillis(1_750_000_000_000),
        program: "renkei".to_owned(),
        request: b"request".to_vec(),
    }
}

fn open(dir: &Path) -> Result<Opened, JournalError> {
    Open {
        header: &header(),
        checkpoint: None,
    }
    .open_in(dir)
}

fn journal_path(dir: &Path) -> PathBuf {
    dir.join(format!("{}.journal", header().identity.id()))
}

fn begin(seq: u64, path: &[u8]) -> Record<'_> {
    Record::Begin {
        seq: FileSeq(seq),
        source: SOURCE,
        path,
        identity: FileIdentity {
            size: 3 << 20,
            mtime_ns: 1,
            inode: 2,
            device: 3,
        },
        temp: b".temp",
        target: TargetPlace::BelowLanded,
    }
}

fn finished(seq: u64, at: UnixMillis) -> Record<'static> {
    Record::Finished {
        seq: FileSeq(seq),
        size: 3 << 20,
        mtime: Some(9),
        root: Some(Root([5; 32])),
        at,
    }
}

/// A run that begins two files, finishes the first and is then interrupted.
fn first_run(dir: &Path) {
    let opened = open(dir).unwrap();
    assert!(opened.resume.is_none() && opened.note.is_none());
    let journal = opened.journal;
    write_some(&journal);
}

fn write_some(journal: &Journal) {
    let at = journal.now();
    let cvs = Cow::Owned(vec![Cv([1; 32])]);
    for record in [
        Record::Run {
            at,
            durability: Durability::Sync,
        },
        Record::Landed {
            source: SOURCE,
            target: b"project/data",
        },
        begin(0, b"done"),
        begin(1, b"half"),
        Record::Pieces {
            seq: FileSeq(1),
            first: 0,
            cvs,
            at,
        },
        finished(0, at),
    ] {
        journal.append(&record).unwrap();
    }
}

#[test]
fn the_next_run_of_the_same_command_goes_on() {
    let dir = TempDir::new().unwrap();
    first_run(dir.path());
    let Opened {
        journal,
        header: stored,
        resume,
        note,
    } = open(dir.path()).unwrap();
    let mut resume = resume.unwrap();
    assert_eq!((stored, note), (header(), None));
    assert_eq!(resume.landed(SOURCE), Some(&b"project/data"[..]));
    assert_eq!(
        resume.take_unfinished(SOURCE, b"half").unwrap().in_doubt[&0],
        Cv([1; 32])
    );
    let done = journal.finished(&resume, SOURCE, b"done").unwrap().unwrap();
    assert_eq!(
        (done.seq, &done.target[..], done.mtime),
        (FileSeq(0), &b"project/data/done"[..], Some(9))
    );
    assert_eq!((done.root, done.in_doubt), (Some(Root([5; 32])), true));
    assert_eq!(journal.finished(&resume, SOURCE, b"half").unwrap(), None);
    // What this run adds follows on what was there.
    journal
        .append(&Record::Run {
            at: journal.now(),
            durability: Durability::Sync,
        })
        .unwrap();
    journal.append(&finished(1, journal.now())).unwrap();
    drop(journal);
    assert_eq!(open(dir.path()).unwrap().resume.unwrap().finished_files(), 2);
}

#[test]
fn a_finished_file_with_a_very_long_path_is_found_again() {
    let dir = TempDir::new().unwrap();
    let path = b"long/".repeat(20_000);
    let journal = open(dir.path()).unwrap().journal;
    journal
        .append(&Record::Landed {
            source: SOURCE,
            target: b"t",
        })
        .unwrap();
    journal.append(&begin(0, &path)).unwrap();
    journal.append(&finished(0, journal.now())).unwrap();
    drop(journal);
    let opened = open(dir.path()).unwrap();
    let found = opened.journal.finished(&opened.resume.unwrap(), SOURCE, &path).unwrap();
    assert_eq!(found.unwrap().target, [b"t/", &path[..]].concat());
}

#[test]
fn a_completed_transfer_leaves_nothing() {
    let dir = TempDir::new().unwrap();
    first_run(dir.path());
    open(dir.path()).unwrap().journal.complete().unwrap();
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    assert!(open(dir.path()).unwrap().resume.is_none());
}

#[test]
fn one_that_was_completed_but_not_removed_is_not_resumed() {
    let dir = TempDir::new().unwrap();
    let journal = open(dir.path()).unwrap().journal;
    write_some(&journal);
    journal.append(&Record::Complete).unwrap();
    drop(journal);
    let opened = open(dir.path()).unwrap();
    assert!(opened.resume.is_none() && opened.note.is_none());
}

#[test]
fn a_second_run_is_refused_by_name_while_the_first_is_at_work() {
    let dir = TempDir::new().unwrap();
    let first = open(dir.path()).unwrap();
    let error = open(dir.path()).unwrap_err();
    assert!(matches!(&error, JournalError::InUse { pid: Some(pid), .. } if *pid == std::process::id()));
    assert!(error.is_transient());
    assert!(error.to_string().contains(first.journal.name()), "{error}");
    drop(first);
    open(dir.path()).unwrap();
}

#[test]
fn the_journal_is_for_its_owner_alone() {
    let dir = TempDir::new().unwrap();
    let state = dir.path().join("state/renkei");
    let _opened = open(&state).unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&state), 0o700);
    assert_eq!(mode(&journal_path(&state)), 0o600);
}

#[test]
fn a_torn_end_is_cut_off_and_written_over() {
    let dir = TempDir::new().unwrap();
    first_run(dir.path());
    let path = journal_path(dir.path());
    let whole = fs::read(&path).unwrap();
    for cut in [1, 5, 40] {
        fs::write(&path, &whole[..whole.len() - cut]).unwrap();
        let opened = open(dir.path()).unwrap();
        assert_eq!(opened.resume.unwrap().finished_files(), 0, "{cut} bytes cut");
        opened.journal.append(&finished(0, opened.journal.now())).unwrap();
        drop(opened.journal);
        assert_eq!(
            open(dir.path()).unwrap().resume.unwrap().finished_files(),
            1,
            "{cut} bytes cut"
        );
    }
}

#[test]
fn one_that_ends_within_its_header_is_begun_anew() {
    let dir = TempDir::new().unwrap();
    first_run(dir.path());
    let path = journal_path(dir.path());
    let whole = fs::read(&path).unwrap();
    for len in [0, 3, 17, 30] {
        fs::write(&path, &whole[..len]).unwrap();
        let opened = open(dir.path()).unwrap();
        assert!(opened.resume.is_none() && opened.note.is_none(), "{len} bytes");
    }
}

#[test]
fn with_any_byte_changed_it_is_set_aside_and_said() {
    let dir = TempDir::new().unwrap();
    first_run(dir.path());
    let path = journal_path(dir.path());
    let whole = fs::read(&path).unwrap();
    for at in 0..whole.len() {
        let mut changed = whole.clone();
        changed[at] ^= 1 << (at % 8);
        fs::write(&path, &changed).unwrap();
        let opened = open(dir.path()).unwrap();
        assert!(opened.resume.is_none(), "byte {at}");
        assert!(opened.note.unwrap().contains(".damaged-"), "byte {at}");
    }
    let aside = fs::read(path.with_extension("damaged-1")).unwrap();
    assert_eq!(aside.len(), whole.len());
    assert!(path.with_extension(format!("damaged-{}", whole.len())).exists());
}

#[test]
fn one_of_a_later_version_is_named_and_kept() {
    let dir = TempDir::new().unwrap();
    first_run(dir.path());
    let path = journal_path(dir.path());
    let mut bytes = fs::read(&path).unwrap();
    bytes[8] = 2;
    let crc = crc32(&bytes[..14]);
    bytes[14..18].copy_from_slice(&crc.to_le_bytes());
    fs::write(&path, &bytes).unwrap();
    let error = open(dir.path()).unwrap_err();
    assert!(
        matches!(error, JournalError::NewerVersion { version: 2, .. }),
        "{error}"
    );
    assert_eq!(fs::read(&path).unwrap(), bytes);
}

/// CRC-32 as in IEEE 802.3, bit by bit.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            (crc >> 1) ^ if crc & 1 == 1 { 0xedb8_8320 } else { 0 }
        })
    })
}

#[test]
fn what_was_not_flushed_is_written_when_the_journal_is_dropped_and_what_was_is_there_at_once() {
    let dir = TempDir::new().unwrap();
    let opened = open(dir.path()).unwrap();
    let path = journal_path(dir.path());
    let empty = fs::metadata(&path).unwrap().len();
    opened
        .journal
        .append(&Record::Landed {
            source: SOURCE,
            target: b"t",
        })
        .unwrap();
    assert_eq!(fs::metadata(&path).unwrap().len(), empty);
    opened.journal.tick().unwrap();
    let flushed = fs::metadata(&path).unwrap().len();
    assert!(flushed > empty);
    opened
        .journal
        .append(&Record::Landed {
            source: SourceIndex(1),
            target: b"t",
        })
        .unwrap();
    drop(opened);
    assert!(fs::metadata(&path).unwrap().len() > flushed);
}

#[test]
fn the_list_says_what_can_be_done_with_each() {
    let dir = TempDir::new().unwrap();
    assert!(list(&dir.path().join("none")).unwrap().is_empty());
    first_run(dir.path());
    fs::write(dir.path().join("0000000000.journal"), "junk").unwrap();
    fs::write(dir.path().join("notes.txt"), "").unwrap();
    let listed = list(dir.path()).unwrap();
    assert_eq!(listed.len(), 2);
    let of = |id: &str| listed.iter().find(|one| one.id.as_str() == id).unwrap();
    let good = of(header().identity.id().as_str());
    assert_eq!(good.command, "data\\x1b[2J centre:project/");
    assert_eq!((good.files, good.bytes), (1, 4 << 20));
    assert!(matches!(good.state, State::Resumable));
    assert!(matches!(
        of("0000000000").state,
        State::Unusable(JournalError::Damaged { .. })
    ));
    let _running = open(dir.path()).unwrap();
    let used = |one: &&renkei_transfer::journal::Listed| matches!(one.state, State::InUse { pid: Some(_) });
    assert_eq!(list(dir.path()).unwrap().iter().filter(used).count(), 1);
}

#[test]
fn one_journal_can_be_loaded_taken_and_dropped_by_its_id() {
    let dir = TempDir::new().unwrap();
    let id = header().identity.id();
    assert!(matches!(load(dir.path(), &id), Err(JournalError::NotFound(_))));
    assert!(matches!(take(dir.path(), &id), Err(JournalError::NotFound(_))));
    assert!(matches!(discard(dir.path(), &id), Err(JournalError::NotFound(_))));
    first_run(dir.path());
    assert_eq!(load(dir.path(), &id).unwrap().header.request, b"request");
    let taken = take(dir.path(), &id).unwrap();
    assert_eq!(taken.resume.unwrap().unfinished().next().unwrap().temp, b".temp");
    assert!(matches!(discard(dir.path(), &id), Err(JournalError::InUse { .. })));
    taken.journal.remove().unwrap();
    drop(taken.journal);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    fs::write(journal_path(dir.path()), "junk").unwrap();
    assert!(matches!(take(dir.path(), &id), Err(JournalError::Damaged { .. })));
    discard(dir.path(), &id).unwrap();
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn a_checkpoint_is_a_copy_from_which_another_run_can_start() {
    let dir = TempDir::new().unwrap();
    let checkpoint = dir.path().join("checkpoint");
    let journal = open(&dir.path().join("one")).unwrap().journal;
    write_some(&journal);
    journal.save_copy(&checkpoint).unwrap();
    let saved = fs::read(&checkpoint).unwrap();
    let header = load_at(&checkpoint).unwrap().header;
    let seeded = Open {
        header: &header,
        checkpoint: Some(&checkpoint),
    };
    let opened = seeded.open_in(&dir.path().join("two")).unwrap();
    assert_eq!(opened.resume.unwrap().finished_files(), 1);
    opened.journal.append(&Record::Complete).unwrap();
    drop(opened.journal);
    assert_eq!(fs::read(&checkpoint).unwrap(), saved, "it is left as it is");
    // A journal at a path of the user's choice.
    let named = dir.path().join("named.ck");
    let opened = seeded.open_at(&named).unwrap();
    assert_eq!(opened.resume.unwrap().finished_files(), 1);
    assert!(matches!(seeded.open_at(&named), Err(JournalError::InUse { .. })));
}

#[test]
fn a_checkpoint_that_cannot_be_used_is_refused_and_not_passed_over() {
    let dir = TempDir::new().unwrap();
    let checkpoint = dir.path().join("checkpoint");
    let other = Header {
        identity: Identity {
            target: b"elsewhere".to_vec(),
            ..header().identity
        },
        ..header()
    };
    let seeded = |header: &Header| {
        Open {
            header,
            checkpoint: Some(&checkpoint),
        }
        .open_in(&dir.path().join("state"))
    };
    assert!(matches!(seeded(&header()), Err(JournalError::Io { .. })));
    first_run(dir.path());
    fs::copy(journal_path(dir.path()), &checkpoint).unwrap();
    assert!(matches!(seeded(&other), Err(JournalError::Foreign { .. })));
    OpenOptions::new()
        .append(true)
        .open(&checkpoint)
        .unwrap()
        .write_all(b"more than it was")
        .unwrap();
    let error = seeded(&header()).unwrap_err();
    assert!(
        matches!(
            error,
            JournalError::Damaged {
                cause: Damage::Bytes(_),
                ..
            }
        ),
        "{error}"
    );
    File::create(&checkpoint).unwrap();
    assert!(matches!(
        seeded(&header()),
        Err(JournalError::Damaged {
            cause: Damage::NoHeader,
            ..
        })
    ));
}
