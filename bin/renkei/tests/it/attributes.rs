//! Modes, set-id bits and times.

use std::fs::{File, FileTimes};
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, SystemTime};

use renkei_testkit::tree::What;

use crate::support::{ALL, Lab, WAYS};

const LONG_AGO: u64 = 1_000_000_000;

fn make_old(lab: &Lab, name: &str) {
    let time = SystemTime::UNIX_EPOCH + Duration::new(LONG_AGO, 123_456_789);
    let times = FileTimes::new()
        .set_modified(time)
        .set_accessed(time + Duration::from_secs(7));
    File::open(lab.path(name)).unwrap().set_times(times).unwrap();
}

fn times(lab: &Lab, name: &str) -> (i64, i64) {
    let metadata = lab.path(name).metadata().unwrap();
    (metadata.mtime(), metadata.atime())
}

#[test]
fn the_nine_bits_are_kept_also_on_overwrite() {
    let lab = Lab::new();
    for way in WAYS {
        for (before, mode) in [(0o644, 0o751), (0o777, 0o600), (0o400, 0o666), (0o000, 0o644)] {
            lab.file_with_mode("source", "new", mode);
            lab.file_with_mode("target", "old", before);
            lab.copy_well(way, &[], &["source", "target"]);
            assert_eq!((lab.mode("target"), lab.read("target")), (mode, "new".to_owned()));
        }
    }
}

#[test]
fn every_mode_arrives_in_a_tree_whatever_the_umask() {
    let lab = Lab::new();
    lab.tree("tree").modes().unwrap();
    for way in WAYS {
        let target = format!("{way:?}");
        lab.copy_well(way, &[], &["tree", &target]);
        lab.assert_same("tree", &target, ALL);
        lab.copy_well(way, &["-T"], &["tree", &target]);
        lab.assert_same("tree", &target, ALL);
    }
}

#[test]
fn a_large_file_gets_its_mode_too() {
    let lab = Lab::new();
    lab.tree("tree").file("large", 5 << 20).unwrap();
    lab.set_mode("tree/large", 0o451);
    for way in WAYS {
        lab.copy_well(way, &[], &["tree/large", "target"]);
        lab.assert_same("tree/large", "target", ALL);
    }
}

#[test]
fn set_id_and_sticky_bits_need_preserve() {
    let lab = Lab::new();
    for (name, mode) in [("uid", 0o4755), ("gid", 0o2755), ("sticky", 0o1644)] {
        lab.file_with_mode(&format!("tree/{name}"), "content", mode);
    }
    lab.dir("tree/dir");
    lab.set_mode("tree/dir", 0o3775);
    for way in WAYS {
        let (plain, kept) = (format!("{way:?}-plain"), format!("{way:?}-kept"));
        lab.copy_well(way, &[], &["tree", &plain]);
        lab.copy_well(way, &["-p"], &["tree", &kept]);
        for (name, mode) in [("uid", 0o4755), ("gid", 0o2755), ("sticky", 0o1644), ("dir", 0o3775)] {
            assert_eq!(lab.mode(&format!("{plain}/{name}")), mode & 0o777, "{name}");
            assert_eq!(lab.mode(&format!("{kept}/{name}")), mode, "{name}");
        }
    }
}

#[test]
fn times_are_kept_with_preserve_only() {
    let lab = Lab::new();
    lab.file("tree/dir/small", "content");
    lab.tree("tree").file("large", 3 << 20).unwrap();
    let names = ["tree/dir/small", "tree/large", "tree/dir", "tree"];
    for way in WAYS {
        // Reading may have moved the access times.
        names.iter().for_each(|name| make_old(&lab, name));
        let (plain, kept) = (format!("{way:?}-plain"), format!("{way:?}-kept"));
        lab.copy_well(way, &["--preserve"], &["tree", &kept]);
        for name in names {
            let name = name.replacen("tree", &kept, 1);
            assert_eq!(times(&lab, &name).0, LONG_AGO as i64, "{name}");
        }
        assert_eq!(times(&lab, &format!("{kept}/large")).1, LONG_AGO as i64 + 7);
        lab.copy_well(way, &[], &["tree", &plain]);
        lab.assert_same("tree", &plain, ALL);
        assert_ne!(times(&lab, &format!("{plain}/large")).0, LONG_AGO as i64);
    }
}

#[test]
fn times_are_exact_where_both_ends_can_hold_them() {
    let lab = Lab::new();
    lab.file("a", "content");
    make_old(&lab, "a");
    lab.cp_well(["-p", "a", "b"]);
    assert_eq!(lab.path("b").metadata().unwrap().mtime_nsec(), 123_456_789);
}

#[test]
fn a_time_before_1970_does_not_fail_the_file() {
    let lab = Lab::new();
    lab.file("a", "content");
    let before = SystemTime::UNIX_EPOCH - Duration::from_secs(1000);
    File::open(lab.path("a")).unwrap().set_modified(before).unwrap();
    lab.cp_well(["-p", "a", "near"]);
    lab.assert_same("a", "near", &[What::Times]);
    for way in WAYS {
        lab.copy_well(way, &["-p"], &["a", &format!("{way:?}")]);
        assert_eq!(lab.read(format!("{way:?}")), "content");
    }
}

#[test]
fn a_read_only_directory_is_copied_and_copied_again() {
    use renkei_testkit::Sshd;
    use renkei_testkit::sshd::Account;
    // Root would not notice.
    let lab = Lab::with(Sshd::builder().account(Account::new()).start().unwrap());
    lab.file("tree/dir/sub/a", "1");
    for name in ["tree/dir/sub", "tree/dir", "tree"] {
        lab.set_mode(name, 0o555);
    }
    let home = lab.sshd().home().join("copy");
    for _ in 0..2 {
        lab.cp_well(["-T", "tree", "testhost:copy"]);
        renkei_testkit::tree::same_tree(&lab.path("tree"), &home, ALL).unwrap();
    }
    lab.cp_well(["testhost:copy", "back"]);
    lab.assert_same("tree", "back", ALL);
}

#[test]
fn a_directory_without_any_bit_is_made_and_keeps_none() {
    let lab = Lab::new();
    lab.dir("tree/closed");
    lab.file("tree/open/a", "1");
    lab.set_mode("tree/closed", 0o000);
    for way in WAYS {
        let target = format!("{way:?}");
        lab.copy_well(way, &[], &["tree", &target]);
        lab.assert_same("tree", &target, ALL);
    }
}
