//! The journal's bytes: compact, torn tails told from damage, and no changed byte ever believed.

use std::borrow::Cow;
use std::iter::once;

use proptest::prelude::*;
use renkei_plan::journal::{
    Decoder, Durability, Encoder, End, Ending, FileIdentity, FileSeq, Header, Identity, Item, ReadError, Record,
    RecordPlace, SourceIndex, TargetPlace, TransferId, UnixMillis, VERSION, decode_single,
};
use renkei_types::tree_hash::{Cv, Root};

fn header() -> Header {
    Header {
        identity: Identity {
            sources: vec![b"data/".to_vec(), b"caf\xe9".to_vec()],
            target: b"user@centre:project/".to_vec(),
            cwd: b"/home/user".to_vec(),
            ends: vec![
                End::Local,
                End::Local,
                End::Remote {
                    user: b"user".to_vec(),
                    host: b"centre.example".to_vec(),
                    port: 22,
                },
            ],
            options: vec![b"--follow".to_vec()],
        },
        started: UnixMillis(1_750_000_000_000),
        program: "renkei 0.1.0".to_owned(),
        request: b"{\"words\":[]}".to_vec(),
    }
}

fn begin(seq: u64, path: &[u8]) -> Record<'_> {
    Record::Begin {
        seq: FileSeq(seq),
        source: SourceIndex(0),
        path,
        identity: FileIdentity {
            size: 4096,
            mtime_ns: 1_750_000_000_123_456_789,
            inode: 1 << 40,
            device: 2049,
        },
        temp: b".renkei-a1b2c3d4",
        target: TargetPlace::BelowLanded,
    }
}

fn finished(seq: u64) -> Record<'static> {
    Record::Finished {
        seq: FileSeq(seq),
        size: 4096,
        mtime: Some(1_750_000_000),
        root: Some(Root([7; 32])),
        at: UnixMillis(1_750_000_001_000),
    }
}

/// One of each kind.
fn records() -> Vec<Record<'static>> {
    let seq = FileSeq(1);
    let at = UnixMillis(1_750_000_002_000);
    vec![
        Record::Run {
            at,
            durability: Durability::Age,
        },
        Record::Landed {
            source: SourceIndex(0),
            target: b"project/data",
        },
        begin(0, b"a/b"),
        finished(0),
        begin(1, b"large \xff"),
        Record::Pieces {
            seq,
            first: 0,
            cvs: Cow::Owned(vec![Cv([1; 32]), Cv([2; 32])]),
            at,
        },
        Record::Lost {
            seq,
            runs: once(0..1).collect(),
        },
        Record::Durable {
            seq,
            runs: Cow::Owned(vec![1..2, 5..9]),
            at,
        },
        Record::Checked { seq: FileSeq(0), at },
        Record::AllDurable { before: at },
        Record::AsideMoved {
            seq,
            aside: b".renkei-old",
        },
        Record::AsideDone { seq },
        Record::Abandoned { seq },
        Record::Finished {
            seq: FileSeq(2),
            size: 0,
            mtime: None,
            root: None,
            at,
        },
        Record::Complete,
    ]
}

fn encode(header: &Header, records: &[Record<'_>]) -> (Vec<u8>, Vec<usize>) {
    let mut bytes = Vec::new();
    let mut encoder = Encoder::begin(header, &mut bytes).unwrap();
    let mut ends = vec![bytes.len()];
    for record in records {
        encoder.append(record, &mut bytes).unwrap();
        ends.push(bytes.len());
    }
    (bytes, ends)
}

type Read = (Option<Header>, Vec<Record<'static>>, Result<Ending, ReadError>);

fn owned(record: Record<'_>) -> Record<'static> {
    // A record with borrowed names is made to live as long as the test.
    let mut bytes = Vec::new();
    Encoder::begin(&header(), &mut bytes)
        .unwrap()
        .append(&record, &mut bytes)
        .unwrap();
    let bytes: &'static [u8] = bytes.leak();
    let mut decoder = Decoder::new();
    let skip = decoder.step(bytes).unwrap().unwrap().len;
    match decoder.step(&bytes[skip..]).unwrap().unwrap().item {
        Item::Record(record) => record,
        other => panic!("{other:?}"),
    }
}

/// Reads all of a journal, given `step` bytes at a time.
fn read_in_steps(bytes: &[u8], step: usize) -> Read {
    let (mut header, mut records) = (None, Vec::new());
    let mut decoder = Decoder::new();
    let (mut start, mut end) = (0, 0);
    loop {
        match decoder.step(&bytes[start..end]) {
            Err(error) => return (header, records, Err(error)),
            Ok(Some(decoded)) => {
                assert_eq!(decoded.offset, start as u64);
                start += decoded.len;
                match decoded.item {
                    Item::Header(found) => header = Some(*found),
                    Item::Record(record) => records.push(owned(record)),
                    Item::Hole => {}
                }
            }
            Ok(None) if end == bytes.len() => return (header, records, decoder.end(&bytes[start..])),
            Ok(None) => end = bytes.len().min(end + step),
        }
    }
}

fn read(bytes: &[u8]) -> Read {
    read_in_steps(bytes, bytes.len().max(1))
}

#[test]
fn everything_written_is_read_back_however_it_arrives() {
    let (bytes, _) = encode(&header(), &records());
    for step in [1, 7, 100, bytes.len()] {
        let (found, list, ending) = read_in_steps(&bytes, step);
        assert_eq!(found, Some(header()));
        assert_eq!(list, records());
        assert_eq!(ending, Ok(Ending::Clean));
    }
}

#[test]
fn any_changed_byte_is_damage_and_nothing_after_it_is_read() {
    let (bytes, ends) = encode(&header(), &records());
    for at in 0..bytes.len() {
        for change in [1, 0x80, 0xff, bytes[at]] {
            if change == 0 {
                continue;
            }
            let mut changed = bytes.clone();
            changed[at] ^= change;
            let (_, list, ending) = read(&changed);
            let good = ends.iter().filter(|end| **end <= at).count().saturating_sub(1);
            assert_eq!(list, records()[..good], "byte {at} changed by {change:#x}");
            let begins = ends.iter().rev().find(|end| **end <= at).copied().unwrap_or(0) as u64;
            assert_eq!(
                ending,
                Err(ReadError::Damaged { offset: begins }),
                "byte {at} changed by {change:#x}"
            );
        }
    }
}

#[test]
fn a_journal_that_ends_anywhere_is_torn_after_its_last_whole_record() {
    let (bytes, ends) = encode(&header(), &records());
    for len in 0..bytes.len() {
        let (_, list, ending) = read(&bytes[..len]);
        let whole = ends.iter().rev().find(|end| **end <= len).copied();
        let good = ends.iter().filter(|end| **end <= len).count().saturating_sub(1);
        assert_eq!(list, records()[..good], "{len} bytes");
        match whole {
            Some(end) if end == len => assert_eq!(ending, Ok(Ending::Clean), "{len} bytes"),
            whole => {
                let valid_len = whole.unwrap_or(0) as u64;
                assert_eq!(ending, Ok(Ending::Torn { valid_len }), "{len} bytes");
            }
        }
    }
}

#[test]
fn a_hole_that_a_crash_has_left_at_the_end_is_torn() {
    let (bytes, ends) = encode(&header(), &records());
    // The file has its length and the last blocks were never written, from wherever a block begins.
    for from in ends[0]..bytes.len() {
        let mut holed = bytes[..from].to_vec();
        holed.resize(bytes.len() + 4096, 0);
        let valid_len = ends.iter().rev().find(|end| **end <= from).copied().unwrap() as u64;
        for step in [37, 100_000] {
            let (_, list, ending) = read_in_steps(&holed, step);
            assert!(list.len() <= records().len());
            match ending {
                Ok(Ending::Torn { valid_len: found }) => {
                    // A record whose last bytes are zeros anyway is whole.
                    assert!(
                        found >= valid_len && list == records()[..list.len()],
                        "hole from {from}"
                    );
                }
                other => panic!("hole from {from}: {other:?}"),
            }
        }
    }
}

#[test]
fn a_hole_in_the_middle_is_damage() {
    let (mut bytes, ends) = encode(&header(), &records());
    bytes[ends[3]..ends[5]].fill(0);
    assert_eq!(read(&bytes).2, Err(ReadError::Damaged { offset: ends[3] as u64 }));
}

#[test]
fn records_cannot_be_dropped_doubled_or_moved() {
    let (bytes, ends) = encode(&header(), &records());
    let part = |n: usize| bytes[ends[n]..ends[n + 1]].to_vec();
    let damaged = |bytes: Vec<u8>| matches!(read(&bytes).2, Err(ReadError::Damaged { .. }));
    let dropped = [&bytes[..ends[3]], &bytes[ends[4]..]].concat();
    let doubled = [&bytes[..ends[4]], &part(3), &bytes[ends[4]..]].concat();
    let moved = [&bytes[..ends[3]], &part(4), &part(3), &bytes[ends[5]..]].concat();
    let (other, other_ends) = encode(
        &Header {
            request: b"else".to_vec(),
            ..header()
        },
        &records(),
    );
    let spliced = [&bytes[..ends[3]], &other[other_ends[3]..]].concat();
    for changed in [dropped, doubled, moved, spliced] {
        assert!(damaged(changed));
    }
}

#[test]
fn a_later_version_is_named_and_a_damaged_one_is_not_taken_for_it() {
    let (mut bytes, _) = encode(&header(), &[]);
    bytes[8] = VERSION as u8 + 1;
    assert_eq!(read(&bytes).2, Err(ReadError::Damaged { offset: 0 }));
    let crc = crc32fast::hash(&bytes[..14]);
    bytes[14..18].copy_from_slice(&crc.to_le_bytes());
    assert_eq!(read(&bytes).2, Err(ReadError::NewerVersion { version: VERSION + 1 }));
}

#[test]
fn a_record_can_be_read_again_by_itself() {
    let (bytes, ends) = encode(&header(), &records());
    for (n, record) in records().into_iter().enumerate() {
        let place = RecordPlace { offset: ends[n] as u64 };
        let from = place.read_from() as usize;
        assert_eq!(decode_single(place, &bytes[from..]), Ok(Some(record)));
        assert_eq!(decode_single(place, &bytes[from..ends[n + 1] - 1]), Ok(None));
        let mut changed = bytes[from..].to_vec();
        changed[7] ^= 4;
        assert!(decode_single(place, &changed).is_err());
    }
}

#[test]
fn a_small_file_takes_at_most_120_bytes_and_its_path() {
    let path = b"some/directory/sample-000123.dat";
    let mut bytes = Vec::new();
    let mut encoder = Encoder::begin(&header(), &mut bytes).unwrap();
    let before = bytes.len();
    encoder.append(&begin(1_999_999, path), &mut bytes).unwrap();
    encoder.append(&finished(1_999_999), &mut bytes).unwrap();
    let used = bytes.len() - before - path.len();
    assert!(used <= 120, "{used} bytes");
}

#[test]
fn a_record_that_does_not_fit_leaves_the_journal_as_it_was() {
    let mut bytes = Vec::new();
    let mut encoder = Encoder::begin(&header(), &mut bytes).unwrap();
    let before = bytes.len();
    let huge = vec![0; 1 << 24];
    let error = encoder
        .append(
            &Record::AsideMoved {
                seq: FileSeq(0),
                aside: &huge,
            },
            &mut bytes,
        )
        .unwrap_err();
    assert!(error.len > error.max);
    assert_eq!(bytes.len(), before);
    encoder.append(&Record::Complete, &mut bytes).unwrap();
    assert_eq!(read(&bytes).1, [Record::Complete]);
}

#[test]
fn the_id_depends_on_all_of_the_identity_and_on_nothing_else() {
    let identity = header().identity;
    let id = identity.id();
    // Written down so that a later version finds the journals of this one.
    assert_eq!(id.as_str(), "rb2rzex3vt");
    assert_eq!(id.as_str().parse::<TransferId>().as_ref(), Ok(&id));
    let mut others = vec![identity; 6];
    others[0].sources.swap(0, 1);
    others[1].target.push(b'x');
    others[2].cwd.push(b'x');
    others[3].ends[2] = End::Remote {
        user: b"user".to_vec(),
        host: b"centre.example".to_vec(),
        port: 2222,
    };
    others[4].options.clear();
    others[5].sources = vec![b"data/\x05caf\xe9".to_vec()];
    for other in others {
        assert_ne!(other.id(), id, "{other:?}");
    }
    for text in ["", "0123456789a", "012345678i", "012345678A", "../../etc/"] {
        assert!(text.parse::<TransferId>().is_err(), "{text}");
    }
}

proptest! {
    #[test]
    fn arbitrary_bytes_are_read_without_fault(junk in prop::collection::vec(any::<u8>(), 0..400), keep in 0_usize..3) {
        let (bytes, ends) = encode(&header(), &records());
        let start = [0, ends[0], ends[5]][keep];
        let joined = [&bytes[..start], &junk].concat();
        let (_, list, _) = read(&joined);
        // With 48 bits of checks, chance does not make a record.
        prop_assert_eq!(list.len(), [0, 0, 5][keep]);
    }

    #[test]
    fn several_changes_at_once_give_no_wrong_record(changes in prop::collection::vec((any::<prop::sample::Index>(), 1_u8..), 1..20)) {
        let (bytes, _) = encode(&header(), &records());
        let mut changed = bytes.clone();
        for (at, change) in changes {
            changed[at.index(bytes.len())] ^= change;
        }
        let (_, list, ending) = read(&changed);
        prop_assert_eq!(&list, &records()[..list.len()]);
        prop_assert!(changed == bytes || ending.is_err() || list.len() < records().len());
    }
}
