//! A mirror that was killed goes on: what it has written so far is not taken for something that the source does not have.

use crate::resume::{FAST, SLOW, assert_whole, killed_at, number, temporaries};
use crate::support::{Lab, WAYS, summary};

#[test]
fn resume_of_a_mirror_keeps_the_temporary_files_that_it_goes_on_with() {
    for way in WAYS {
        let lab = Lab::new();
        lab.tree("tree").file("large", 40 << 20).unwrap();
        lab.file("to/extra", "not at the source");
        let words = |speed: &[&str]| lab.words(way, &[speed, &["--delete", "-T"]].concat(), &["tree", "to"]);
        killed_at(&lab, &words(SLOW), 8 << 20);
        assert_eq!(temporaries(&lab.path("to")).len(), 1, "{way:?}");
        let outcome = lab.cp_well(words(FAST));
        assert!(
            number(&summary(&outcome), "resumed_bytes") > 0,
            "{way:?} {}",
            outcome.text()
        );
        assert_whole(&lab, "tree", "to");
    }
}
