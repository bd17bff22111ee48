//! A journal of millions of files is replayed in little memory.

use renkei_plan::journal::{
    Durability, FileIdentity, FileSeq, Record, RecordPlace, Replay, SourceIndex, TargetPlace, UnixMillis,
};

/// Memory of this process that is in use, in bytes.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}

#[test]
fn a_finished_file_takes_less_than_30_bytes() {
    let files = std::env::var("RENKEI_SYNTHETIC_FILES")
        .ok()
        .and_then(|files| files.parse().ok())
        .unwrap_or(200_000);
    let mut replay = Replay::new();
    let mut place = RecordPlace { offset: 0 };
    let mut add = |record: &Record<'_>| {
        place.offset += 100;
        replay.record(place, record).unwrap();
    };
    add(&Record::Run {
        at: UnixMillis(0),
        durability: Durability::Sync,
    });
    add(&Record::Landed {
        source: SourceIndex(0),
        target: b"project",
    });
    // The empty index and the files of the last minute are there in any case.
    let mut before = 0;
    let warm = 70_000;
    for n in 0..warm + files {
        if n == warm {
            before = resident();
        }
        let (seq, path) = (FileSeq(n), format!("directory-{}/sample-{n:010}.dat", n / 1000));
        add(&Record::Begin {
            seq,
            source: SourceIndex(0),
            path: path.as_bytes(),
            identity: FileIdentity {
                size: 1024,
                mtime_ns: 0,
                inode: n,
                device: 0,
            },
            temp: b".temp",
            target: TargetPlace::BelowLanded,
        });
        add(&Record::Finished {
            seq,
            size: 1024,
            mtime: None,
            root: None,
            at: UnixMillis(n),
        });
    }
    let grown = resident().saturating_sub(before);
    assert!(grown < 30 * files, "{} bytes a file", grown / files);
    let resume = replay.finish();
    assert_eq!(resume.finished_files(), warm + files);
    assert!(
        resume
            .finished(SourceIndex(0), b"directory-0/sample-0000000007.dat")
            .is_some()
    );
}
