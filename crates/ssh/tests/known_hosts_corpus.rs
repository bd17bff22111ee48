//! Replays `tests/corpus/known_hosts`: files that once were, or could be, trouble; and random changes of them.
//!
//! `RENKEI_SEED` and `RENKEI_FUZZ_SECONDS` set where the changes begin and for how long they are tried.

use std::path::Path;

use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::{RngAlgorithm, TestRng, TestRunner};
use renkei_ssh::known_hosts::fuzz_known_hosts;
use renkei_testkit::fuzz;

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

#[test]
fn changes_of_the_corpus_make_no_panic() {
    let files = corpus();
    let change = (any::<Index>(), prop::collection::vec(any::<u8>(), 0..6), 0_usize..8);
    let input = (any::<Index>(), prop::collection::vec(change, 0..6));
    fuzz::for_a_while("known_hosts", |rng| {
        let mut seed = [0; 32];
        rng.fill(&mut seed);
        let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &seed);
        let config = ProptestConfig {
            cases: 256,
            failure_persistence: None,
            ..ProptestConfig::default()
        };
        let tried = TestRunner::new_with_rng(config, rng).run(&input, |(file, changes)| {
            let mut data = file.get(&files).clone();
            for (at, new, removed) in changes {
                let at = at.index(data.len() + 1);
                let end = (at + removed).min(data.len());
                data.splice(at..end, new);
            }
            fuzz_known_hosts(&data);
            Ok(())
        });
        tried.unwrap_or_else(|error| panic!("{error}"));
    });
}
