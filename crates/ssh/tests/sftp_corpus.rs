//! Replays `tests/corpus/sftp`: packets (`packet-*`) and streams (`stream-*`, whose first byte says how the stream is cut)
//! that once were, or could be, trouble; and random changes of them.
//!
//! `RENKEI_SEED` and `RENKEI_FUZZ_SECONDS` set where the changes begin and for how long they are tried.

use std::fs;
use std::path::Path;

use renkei_ssh::sftp::{fuzz_packet, fuzz_stream};
use renkei_testkit::{fuzz, seed::Rng};

fn corpus() -> Vec<(String, Vec<u8>)> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus/sftp");
    let mut files: Vec<_> = fs::read_dir(dir)
        .unwrap()
        .map(|entry| {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            (name, fs::read(path).unwrap())
        })
        .collect();
    files.sort();
    files
}

fn replay(name: &str, data: &[u8]) {
    if name.starts_with("stream-") {
        fuzz_stream(data);
    } else {
        fuzz_packet(data);
        let length = u32::try_from(data.len()).unwrap().to_be_bytes();
        fuzz_stream(&[&[2][..], &length, data].concat());
    }
}

#[test]
fn the_corpus_makes_no_panic() {
    let files = corpus();
    assert!(files.len() >= 30, "the corpus is there");
    for (name, data) in files {
        replay(&name, &data);
    }
}

#[test]
fn changes_of_the_corpus_make_no_panic() {
    let files = corpus();
    fuzz::for_a_while("sftp", |rng| {
        let mut random = Random(rng);
        for (name, data) in &files {
            let other = &files[random.below(files.len())].1;
            replay(name, &random.change(data, other));
        }
    });
}

struct Random<'a>(&'a mut Rng);

impl Random<'_> {
    fn next(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// A number below `end`; 0 if that is 0.
    fn below(&mut self, end: usize) -> usize {
        (self.next() % (end.max(1) as u64)) as usize
    }

    /// `data` with one to four changes of the kinds that parsers trip over.
    fn change(&mut self, data: &[u8], other: &[u8]) -> Vec<u8> {
        let mut data = data.to_vec();
        for _ in 0..=self.below(4) {
            let at = self.below(data.len());
            let value = self.next();
            match self.below(6) {
                0 if !data.is_empty() => data[at] ^= 1 << (value % 8),
                1 if !data.is_empty() => data[at] = [0, 1, 0x7f, 0x80, 0xff][(value % 5) as usize],
                2 => data.truncate(at),
                3 => data.insert(at, value as u8),
                4 => data
                    .splice(at.., other[self.below(other.len())..].iter().copied())
                    .for_each(drop),
                _ => {
                    // A length or count near its packet's end.
                    let near = (data.len() as u32).wrapping_add((value % 16) as u32).wrapping_sub(8);
                    let end = (at + 4).min(data.len());
                    data.splice(at..end, near.to_be_bytes());
                }
            }
        }
        data
    }
}
