//! Replays `tests/corpus/known_hosts`: files that once were, or could be, trouble; and random changes of them.
//!
//! `RENKEI_FUZZ_ROUNDS` sets how many changes are tried.

use std::path::Path;

use proptest::prelude::*;
use proptest::sample::Index;
use renkei_ssh::known_hosts::fuzz_known_hosts;

fn corpus() -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus/known_hosts");
    let entries = std::fs::read_dir(folder).unwrap();
    entries
        .map(|entry| std::fs::read(entry.unwrap().path()).unwrap())
        .collect()
}

#[test]
fn the_corpus_makes_no_panic() {
    let files = corpus();
    assert!(files.len() >= 7, "the corpus is there");
    for file in files {
        fuzz_known_hosts(&file);
    }
}

fn rounds() -> u32 {
    std::env::var("RENKEI_FUZZ_ROUNDS")
        .ok()
        .and_then(|rounds| rounds.parse().ok())
        .unwrap_or(2000)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: rounds(), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn changes_of_the_corpus_make_no_panic(
        file in any::<Index>(),
        changes in prop::collection::vec((any::<Index>(), prop::collection::vec(any::<u8>(), 0..6), 0_usize..8), 0..6),
    ) {
        let files = corpus();
        let mut data = file.get(&files).clone();
        for (at, new, removed) in changes {
            let at = at.index(data.len() + 1);
            let end = (at + removed).min(data.len());
            data.splice(at..end, new);
        }
        fuzz_known_hosts(&data);
    }
}
