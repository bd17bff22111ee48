//! Symbolic and hard links, and what a copy must not open.

use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};

use renkei_testkit::Tree;
use renkei_testkit::fault::{Extension, Fault, Plan, Request, Status};

use crate::support::{ALL, Lab, WAYS, Way, ends_with};

#[test]
fn links_in_a_tree_are_copied_as_links() {
    let lab = Lab::new();
    lab.tree("tree").links().unwrap();
    for way in WAYS {
        let target = format!("{way:?}");
        // The second time they are there already.
        for _ in 0..2 {
            lab.copy_well(way, &["-T"], &["tree", &target]);
            lab.assert_same("tree", &target, ALL);
        }
    }
}

#[test]
fn a_link_replaces_a_file_and_a_file_replaces_a_link() {
    let lab = Lab::new();
    lab.file("outside", "stays");
    lab.file("tree/file", "new");
    symlink("file", lab.path("tree/link")).unwrap();
    for way in WAYS {
        let target = format!("{way:?}");
        lab.file(format!("{target}/link"), "old");
        symlink("../outside", lab.path(format!("{target}/file"))).unwrap();
        lab.copy_well(way, &["-T"], &["tree", &target]);
        lab.assert_same("tree", &target, ALL);
        assert_eq!(lab.read("outside"), "stays");
    }
}

#[test]
fn a_link_to_a_directory_in_the_target_is_not_written_through() {
    let lab = Lab::new();
    lab.dir("outside");
    lab.file("tree/dir/a", "1");
    lab.file("tree/b", "2");
    for way in WAYS {
        let target = format!("{way:?}");
        lab.dir(&target);
        symlink("../outside", lab.path(format!("{target}/dir"))).unwrap();
        ends_with(&lab.copy(way, &["-T"], &["tree", &target]), 1);
        assert!(lab.names("outside").is_empty());
        assert_eq!(lab.read(format!("{target}/b")), "2");
    }
}

#[test]
fn with_follow_what_links_point_at_is_copied_and_loops_end() {
    let lab = Lab::new();
    lab.file("elsewhere/deep/a", "1");
    lab.file("tree/file", "2");
    symlink("file", lab.path("tree/to-file")).unwrap();
    symlink("../elsewhere", lab.path("tree/to-dir")).unwrap();
    symlink("..", lab.path("elsewhere/deep/loop")).unwrap();
    symlink(".", lab.path("tree/self")).unwrap();
    for way in WAYS {
        let target = format!("{way:?}");
        let outcome = lab.copy(way, &["--follow"], &["tree", &target]);
        assert!(
            outcome.status.success() || outcome.code() == Some(1),
            "{}",
            outcome.text()
        );
        assert_eq!(lab.read(format!("{target}/to-file")), "2");
        assert_eq!(lab.read(format!("{target}/to-dir/deep/a")), "1");
        assert!(!lab.path(format!("{target}/to-file")).is_symlink());
        assert!(!lab.path(format!("{target}/to-dir")).is_symlink());
    }
    let outcome = lab.copy_well(Way::Up, &["--follow"], &["tree", "again"]);
    assert!(outcome.stderr.contains("tree/self"), "{}", outcome.text());
    assert!(!lab.exists("again/self"));
}

#[test]
fn with_follow_a_link_to_nothing_fails_alone() {
    let lab = Lab::new();
    lab.file("tree/a", "1");
    symlink("nowhere", lab.path("tree/dangling")).unwrap();
    for way in WAYS {
        let target = format!("{way:?}");
        let outcome = lab.copy(way, &["--follow"], &["tree", &target]);
        ends_with(&outcome, 1);
        assert!(outcome.stderr.contains("dangling"), "{}", outcome.text());
        assert_eq!(lab.names(&target), ["a"]);
    }
}

#[test]
fn a_link_given_as_source_is_followed() {
    let lab = Lab::new();
    lab.file("dir/a", "1");
    symlink("dir/a", lab.path("to-file")).unwrap();
    symlink("dir", lab.path("to-dir")).unwrap();
    for way in WAYS {
        let target = format!("{way:?}");
        lab.copy_well(way, &[], &["to-file", "to-dir", &format!("{target}/")]);
        assert!(
            lab.path(format!("{target}/to-file"))
                .symlink_metadata()
                .unwrap()
                .is_file()
        );
        lab.assert_same("dir", &format!("{target}/to-dir"), ALL);
    }
}

#[test]
fn a_link_named_as_target_leads_to_the_file_that_is_replaced() {
    let lab = Lab::new();
    lab.file("a", "new");
    for way in WAYS {
        lab.file("dir/file", "old and longer");
        let link = lab.path(format!("{way:?}"));
        symlink("dir/second", &link).unwrap();
        let _ = symlink("file", lab.path("dir/second"));
        lab.copy_well(way, &[], &["a", &format!("{way:?}")]);
        assert!(link.is_symlink() && lab.path("dir/second").is_symlink());
        assert_eq!(lab.read("dir/file"), "new");
        assert_eq!(lab.names("dir"), ["file", "second"]);
    }
}

#[test]
fn a_link_to_a_directory_named_as_target_is_that_directory() {
    let lab = Lab::new();
    lab.file("a", "1");
    lab.file("tree/b", "2");
    for way in WAYS {
        let dir = format!("{way:?}");
        lab.dir(&dir);
        let link = format!("to-{dir}");
        symlink(&dir, lab.path(&link)).unwrap();
        lab.copy_well(way, &[], &["a", "tree", &link]);
        lab.copy_well(way, &["-T"], &["tree", &link]);
        assert_eq!(lab.names(&dir), ["a", "b", "tree"]);
    }
}

#[test]
fn fifos_and_sockets_in_a_tree_are_named_and_never_opened() {
    let lab = Lab::new();
    let mut tree = lab.tree("tree");
    tree.special().unwrap();
    tree.file("a", 10).unwrap();
    for way in WAYS {
        let target = format!("{way:?}");
        let outcome = lab.copy_well(way, &[], &["tree", &target]);
        for name in ["tree/fifo", "tree/socket"] {
            assert!(outcome.stderr.contains(name), "{}", outcome.text());
        }
        assert_eq!(lab.names(&target), ["a"]);
        // As a source of its own it is an error.
        ends_with(&lab.copy(way, &[], &["tree/fifo", "target"]), 1);
    }
}

fn are_one_file(lab: &Lab, one: &str, two: &str) -> bool {
    lab.path(one).metadata().unwrap().ino() == lab.path(two).metadata().unwrap().ino()
}

#[test]
fn hard_links_arrive_as_hard_links() {
    let lab = Lab::new();
    tree_with_hard_links(&lab).hard_links().unwrap();
    fs::hard_link(lab.path("tree/hard-one"), lab.path("tree/deep/er/hard-three")).unwrap();
    for _ in 0..2 {
        lab.copy_well(Way::Up, &["-T"], &["tree", "up"]);
        lab.assert_same("tree", "up", ALL);
        assert!(are_one_file(&lab, "up/hard-one", "up/hard-two"));
        assert!(are_one_file(&lab, "up/hard-one", "up/deep/er/hard-three"));
        lab.assert_clean("up");
    }
    lab.cp_well(["tree", "near"]);
    assert!(are_one_file(&lab, "near/hard-one", "near/hard-two"));
    // SFTP does not tell which names are one file.
    lab.copy_well(Way::Down, &[], &["tree", "down"]);
    lab.assert_same("tree", "down", ALL);
}

fn tree_with_hard_links(lab: &Lab) -> Tree {
    lab.file("tree/deep/er/a", "1");
    lab.tree("tree")
}

#[test]
fn a_directory_in_the_way_of_a_hard_link_is_told_and_not_taken_for_a_refusal() {
    let lab = Lab::new();
    lab.file("tree/first", "1");
    lab.dir("tree/deep");
    fs::hard_link(lab.path("tree/first"), lab.path("tree/deep/later")).unwrap();
    lab.dir("near/deep/later");
    let outcome = lab.cp(["-T", "tree", "near"]);
    ends_with(&outcome, 1);
    assert!(outcome.stderr.contains("make the hard link"), "{}", outcome.text());
    assert!(!outcome.stderr.contains("makes no hard links"), "{}", outcome.text());
    assert_eq!(lab.read("near/first"), "1");
    assert_eq!(lab.names("near/deep"), ["later"]);
}

#[test]
fn a_refused_hard_link_becomes_a_copy_and_is_said_once() {
    let refuse = Fault::Refuse {
        request: Request::Hardlink,
        nth: 1,
        times: 1000,
        status: Status::OpUnsupported,
    };
    for plan in [
        Plan::new().with(Fault::Without(Extension::Hardlink)),
        Plan::new().with(refuse),
    ] {
        let lab = Lab::faulty(&plan);
        lab.tree("tree").hard_links().unwrap();
        fs::hard_link(lab.path("tree/hard-one"), lab.path("tree/hard-three")).unwrap();
        let outcome = lab.copy_well(Way::Up, &[], &["tree", "up"]);
        lab.assert_same("tree", "up", ALL);
        assert!(!are_one_file(&lab, "up/hard-one", "up/hard-two"));
        assert_eq!(outcome.stderr.matches("hard link").count(), 1, "{}", outcome.text());
        lab.assert_clean("up");
    }
}
