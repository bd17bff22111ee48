//! Quotas that are used up in the middle of a copy: of inodes on a real file system, of blocks as a far server tells it.
//!
//! SFTP version 3 has no status for EDQUOT; OpenSSH answers FAILURE, as for any error without one of its own
//! (sftp-server.c, `errno_to_portable`).

use renkei_testkit::fault::{Fault, Plan};
use renkei_testkit::renkei::Outcome;

use crate::support::{Lab, WAYS, Way, ends_with, summary};
use crate::whole::{Small, every_file_is_whole};

const FILES: u32 = 300;

/// What does not stand was named as failed with this reason, what stands is whole; gives how many stand.
#[track_caller]
fn all_are_whole_or_named(lab: &Lab, target: &str, (outcome, reason): (&Outcome, &str)) -> usize {
    ends_with(outcome, 1);
    lab.assert_clean(target);
    let stand = every_file_is_whole(&lab.path("tree"), &lab.path(target));
    let failed: Vec<_> = outcome
        .events()
        .into_iter()
        .filter(|event| event["event"] == "failed")
        .collect();
    assert_eq!(stand + failed.len(), FILES as usize, "{}", outcome.text());
    for event in &failed {
        assert!(event["reason"].as_str().unwrap().contains(reason), "{event}");
    }
    assert_eq!(summary(outcome)["failed"], failed.len());
    stand
}

#[test]
fn without_inodes_left_each_file_fails_with_the_reason_and_the_others_are_whole() {
    let lab = Lab::new();
    lab.tree("tree").small_files(FILES as usize, 3000).unwrap();
    for (way, reason) in WAYS.into_iter().zip([": failure", "No space left on device"]) {
        let target = format!("{way:?}");
        let _disk = Small::mount(lab.dir(&target), "nr_inodes=150");
        let outcome = lab.copy(way, &["--json", "-T"], &["tree", &target]);
        let stand = all_are_whole_or_named(&lab, &target, (&outcome, reason));
        // Those under way at the same time have temporary names, which take inodes as well.
        assert!((20..150).contains(&stand), "{stand}");
    }
}

#[test]
fn over_a_quota_at_the_far_side_each_file_fails_with_the_reason_and_the_others_are_whole() {
    let lab = Lab::faulty(&Plan::new().with(Fault::FullAfter(100 * 3000)));
    lab.tree("tree").small_files(FILES as usize, 3000).unwrap();
    let outcome = lab.copy(Way::Up, &["--json"], &["tree", "up"]);
    let stand = all_are_whole_or_named(&lab, "up", (&outcome, ": failure"));
    assert!((50..=100).contains(&stand), "{stand}");
}
