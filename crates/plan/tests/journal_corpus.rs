//! Replays `tests/corpus/journal`, and random changes of it: `raw-*` are whole journals, right and wrong; `records-*` are
//! records without their checks (kind, length in two bytes, payload), which get right ones here so that what is behind
//! the checks is tried too. `RENKEI_SEED` and `RENKEI_FUZZ_SECONDS` set where the changes begin and for how long they are
//! tried.

use std::fs;
use std::path::Path;

use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::{RngAlgorithm, TestRng, TestRunner};
use renkei_plan::journal::{
    Decoder, Encoder, Header, Identity, Item, Record, RecordPlace, Replay, SourceIndex, UnixMillis,
};
use renkei_testkit::fuzz;

fn corpus() -> Vec<(String, Vec<u8>)> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus/journal");
    let read = |entry: std::io::Result<fs::DirEntry>| {
        let path = entry.unwrap().path();
        (
            path.file_name().unwrap().to_str().unwrap().to_owned(),
            fs::read(path).unwrap(),
        )
    };
    let mut files: Vec<_> = fs::read_dir(dir).unwrap().map(read).collect();
    files.sort();
    files
}

fn header() -> Header {
    let identity = Identity {
        sources: vec![],
        target: vec![],
        cwd: vec![],
        ends: vec![],
        options: vec![],
    };
    Header {
        identity,
        started: UnixMillis(0),
        program: String::new(),
        request: vec![],
    }
}

/// Reads a journal as far as it goes; each record means the same after it was written again.
fn try_journal(bytes: &[u8]) -> usize {
    let mut decoder = Decoder::new();
    let mut replay = Replay::new();
    let (mut at, mut records) = (0, 0);
    while let Ok(Some(found)) = decoder.step(&bytes[at..]) {
        assert!(found.len > 0);
        if let Item::Record(record) = found.item {
            records += 1;
            written_again(&record);
            if replay.record(RecordPlace { offset: found.offset }, &record).is_err() {
                return records;
            }
        }
        at += found.len;
    }
    let _ = decoder.end(&bytes[at..]);
    let mut resume = replay.finish();
    let paths: Vec<_> = resume
        .unfinished()
        .map(|file| (file.source, file.path.clone(), file.bytes()))
        .collect();
    for (source, path, bytes) in paths {
        let file = resume.take_unfinished(source, &path).unwrap();
        assert!(bytes <= file.identity.size && file.tree.finish().is_none_or(|_| file.in_doubt.is_empty()));
    }
    let _ = (resume.bytes(), resume.finished(SourceIndex(0), b""));
    records
}

fn written_again(record: &Record<'_>) {
    let mut bytes = Vec::new();
    let mut encoder = Encoder::begin(&header(), &mut bytes).unwrap();
    let start = bytes.len();
    encoder.append(record, &mut bytes).unwrap();
    let mut decoder = Decoder::new();
    decoder.step(&bytes).unwrap();
    let again = decoder.step(&bytes[start..]).unwrap().unwrap();
    assert_eq!(again.item, Item::Record(record.clone()));
}

/// Gives records their checks.
fn framed(mut records: &[u8]) -> Vec<u8> {
    let crc = |seed, bytes: &[u8]| {
        let mut hasher = crc32fast::Hasher::new_with_initial(seed);
        hasher.update(bytes);
        hasher.finalize()
    };
    let mut out = Vec::new();
    Encoder::begin(&header(), &mut out).unwrap();
    while let [kind, low, high, rest @ ..] = records {
        let (payload, rest) = rest.split_at(rest.len().min(usize::from(u16::from_le_bytes([*low, *high]))));
        let [low, high] = (payload.len() as u16).to_le_bytes();
        let chain = u32::from_le_bytes(*out.last_chunk().unwrap());
        let head = [low, high, 0, *kind];
        let check = crc(chain, &head);
        let check = ((check >> 16) as u16 ^ check as u16).to_le_bytes();
        let record = [&head[..], &check, payload].concat();
        out.extend_from_slice(&record);
        out.extend_from_slice(&crc(chain, &record).to_le_bytes());
        records = rest;
    }
    out
}

fn try_file(name: &str, bytes: &[u8]) -> usize {
    if name.starts_with("records-") {
        try_journal(&framed(bytes))
    } else {
        try_journal(bytes)
    }
}

#[test]
fn the_corpus_is_read_without_fault_and_as_far_as_it_is_right() {
    let files = corpus();
    assert!(files.len() >= 20, "the corpus is there");
    for (name, bytes) in &files {
        // `…-5` at the end of a name says how many records it has that can be read.
        let want: usize = name.rsplit('-').next().unwrap().parse().unwrap();
        assert_eq!(try_file(name, bytes), want, "{name}");
    }
}

#[derive(Clone, Debug)]
enum Change {
    Flip(Index, u8),
    Set(Index, u8),
    Cut(Index),
    Insert(Index, Vec<u8>),
    Join(Index, Index),
}

fn changes() -> impl Strategy<Value = Vec<Change>> {
    let change = prop_oneof![
        (any::<Index>(), 1_u8..).prop_map(|(at, bits)| Change::Flip(at, bits)),
        (any::<Index>(), prop::sample::select(vec![0, 1, 0x7f, 0x80, 0xff])).prop_map(|(at, to)| Change::Set(at, to)),
        any::<Index>().prop_map(Change::Cut),
        (any::<Index>(), prop::collection::vec(any::<u8>(), 1..12)).prop_map(|(at, more)| Change::Insert(at, more)),
        (any::<Index>(), any::<Index>()).prop_map(|(at, from)| Change::Join(at, from)),
    ];
    prop::collection::vec(change, 1..5)
}

fn changed(bytes: &[u8], other: &[u8], changes: &[Change]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for change in changes {
        let place = |index: &Index| index.index(bytes.len() + 1);
        match change {
            Change::Flip(at, bits) => {
                let at = place(at);
                bytes.get_mut(at).into_iter().for_each(|byte| *byte ^= bits);
            }
            Change::Set(at, to) => {
                let at = place(at);
                bytes.get_mut(at).into_iter().for_each(|byte| *byte = *to);
            }
            Change::Cut(at) => bytes.truncate(place(at)),
            Change::Insert(at, more) => {
                let at = place(at);
                bytes.splice(at..at, more.iter().copied());
            }
            Change::Join(at, from) => {
                bytes.truncate(place(at));
                bytes.extend_from_slice(&other[from.index(other.len() + 1)..]);
            }
        }
    }
    bytes
}

#[test]
fn changes_of_the_corpus_are_read_without_fault() {
    let files = corpus();
    let input = (any::<Index>(), any::<Index>(), changes());
    fuzz::for_a_while("journal", |rng| {
        let mut seed = [0; 32];
        rng.fill(&mut seed);
        let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &seed);
        let config = ProptestConfig {
            cases: 256,
            failure_persistence: None,
            ..ProptestConfig::default()
        };
        let tried = TestRunner::new_with_rng(config, rng).run(&input, |(one, other, changes)| {
            let (name, bytes) = one.get(&files);
            try_file(name, &changed(bytes, &other.get(&files).1, &changes));
            Ok(())
        });
        tried.unwrap_or_else(|error| panic!("{error}"));
    });
}
