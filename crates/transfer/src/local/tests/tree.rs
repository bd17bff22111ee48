//! Directories, links, and removing them.

use std::os::unix::fs::MetadataExt;

use super::*;
use crate::local::meta::{Time, Times};
use crate::local::tree::{Made, NewHardLink, NewLink};

fn chmod(scratch: &Scratch, rel: &str, mode: u32) {
    std::fs::set_permissions(scratch.path(rel), PermissionsExt::from_mode(mode)).unwrap();
}

fn attributes(permissions: Permissions) -> Attributes {
    Attributes {
        permissions,
        times: None,
    }
}

#[test]
fn a_directory_gets_its_mode_and_times_last() {
    let scratch = Scratch::new();
    for root in scratch.roots("") {
        assert_eq!(root.make_dir(b"d").unwrap(), Made::New);
        assert_eq!(scratch.mode("d"), 0o700);
        put(&root, b"d/f", b"x").unwrap();
        let mtime = Time {
            secs: 1_000_000,
            nanos: 500,
        };
        let times = Some(Times { atime: mtime, mtime });
        let permissions = Permissions::Nine(0o555);
        root.finish_dir(b"d", &Attributes { permissions, times }).unwrap();
        assert_eq!(scratch.mode("d"), 0o555);
        assert_eq!(root.stat(b"d").unwrap().mtime, mtime);
        std::fs::remove_dir_all(scratch.path("d")).unwrap();
    }
}

#[test]
fn a_directory_keeps_the_group_bit_it_inherited() {
    let scratch = Scratch::new();
    let root = scratch.root("");
    root.make_dir(b"d").unwrap();
    chmod(&scratch, "d", 0o2700);
    let nine = attributes(Permissions::Nine(0o4750));
    root.finish_dir(b"d", &nine).unwrap();
    assert_eq!(scratch.mode("d"), 0o2750);
    let twelve = attributes(Permissions::Twelve(0o1750));
    root.finish_dir(b"d", &twelve).unwrap();
    assert_eq!(scratch.mode("d"), 0o1750);
}

#[test]
fn the_root_itself_can_be_finished() {
    let scratch = Scratch::new();
    scratch.dir("d");
    let root = scratch.root("d");
    root.finish_dir(b"", &attributes(Permissions::Nine(0o711))).unwrap();
    assert_eq!(scratch.mode("d"), 0o711);
}

#[test]
fn a_read_only_directory_of_an_earlier_copy_can_be_written_again() {
    let scratch = Scratch::new();
    chmod(&scratch, "", 0o777);
    as_nobody(|| {
        let root = scratch.root("");
        for mode in [0o555, 0o300, 0] {
            root.make_dir(b"d").unwrap();
            root.finish_dir(b"d", &attributes(Permissions::Nine(mode))).unwrap();
            assert_eq!(scratch.mode("d"), mode);
            let root = scratch.root("");
            assert_eq!(root.make_dir(b"d").unwrap(), Made::Existed);
            put(&root, b"d/f", b"x").unwrap();
        }
    });
}

#[test]
fn a_directory_is_not_made_where_something_else_stands() {
    let scratch = Scratch::new();
    scratch.file("file", "");
    scratch.dir("dir");
    scratch.link("link", "dir");
    let root = scratch.root("");
    let error = root.make_dir(b"file").unwrap_err();
    assert!(matches!(error, FileError::NotADirectory { .. }));
    let error = root.make_dir(b"link").unwrap_err();
    assert!(matches!(error, FileError::ThroughLink { .. }));
    assert!(root.make_dir(b"none/dir").unwrap_err().is_missing());
}

#[test]
fn a_link_keeps_its_text_and_replaces_files() {
    let scratch = Scratch::new();
    scratch.file("l", "old");
    scratch.dir("dir");
    let root = scratch.root("");
    for target in [&b"../\xff/nowhere"[..], b"/absolute\n", b"second"] {
        let mtime = Time { secs: 77, nanos: 0 };
        let link = NewLink {
            rel: b"l",
            target,
            temp: b".tmp",
            times: Some(Times { atime: mtime, mtime }),
        };
        root.make_link(&link).unwrap();
        assert_eq!(root.read_link(b"l").unwrap(), target);
        assert_eq!(root.stat(b"l").unwrap().mtime, mtime);
    }
    let onto_dir = NewLink {
        rel: b"dir",
        target: b"x",
        temp: b".tmp",
        times: None,
    };
    assert!(root.make_link(&onto_dir).is_err());
    assert_eq!(scratch.names(""), [&b"dir"[..], b"l"]);
}

#[test]
fn a_hard_link_replaces_files_and_leaves_nothing_behind() {
    let scratch = Scratch::new();
    scratch.dir("d");
    scratch.file("first", "x");
    scratch.file("d/old", "y");
    let root = scratch.root("");
    for rel in [&b"d/new"[..], b"d/old", b"d/old"] {
        let link = NewHardLink {
            rel,
            existing: b"first",
            temp: b".tmp",
        };
        root.make_hard_link(&link).unwrap();
        assert_eq!(scratch.read(rel), b"x");
    }
    assert_eq!(scratch.names("d"), [&b"new"[..], b"old"]);
    let meta = std::fs::metadata(scratch.path("first")).unwrap();
    assert_eq!(meta.nlink(), 3);
}

#[test]
fn a_hard_link_that_the_system_refuses_is_told_as_such() {
    let scratch = Scratch::new();
    scratch.dir("d");
    let link = |existing| NewHardLink {
        rel: b"new",
        existing,
        temp: b".tmp",
    };
    let root = scratch.root("");
    // No system makes hard links to directories.
    assert!(root.make_hard_link(&link(b"d")).unwrap_err().is_link_refused());
    assert!(!root.make_hard_link(&link(b"none")).unwrap_err().is_link_refused());
}

#[test]
fn removing_a_link_leaves_what_it_points_at() {
    let scratch = Scratch::new();
    scratch.dir("keep");
    scratch.file("keep/file", "k");
    for root in scratch.roots("") {
        for (name, points_at) in [("to-dir", "keep"), ("to-file", "keep/file")] {
            scratch.link(name, points_at);
            assert!(root.remove_dir(name.as_bytes()).is_err());
            root.remove_file(name.as_bytes()).unwrap();
            assert!(!scratch.exists(name));
        }
    }
    assert_eq!(scratch.read("keep/file"), b"k");
}

#[test]
fn a_directory_is_removed_only_when_it_is_empty_and_by_its_own_call() {
    let scratch = Scratch::new();
    for root in scratch.roots("") {
        scratch.dir("d");
        scratch.fifo("d/pipe");
        let error = root.remove_dir(b"d").unwrap_err();
        assert_eq!(refusal(&error), ErrorKind::DirectoryNotEmpty);
        assert!(root.remove_file(b"d").is_err());
        root.remove_file(b"d/pipe").unwrap();
        root.remove_dir(b"d").unwrap();
        // What is not there is removed.
        root.remove_dir(b"d").unwrap();
        root.remove_file(b"d").unwrap();
    }
}

#[test]
fn what_can_not_be_removed_is_named() {
    // As another user than the one who made it.
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let scratch = Scratch::new();
    scratch.dir("locked/dir");
    scratch.file("locked/file", "");
    chmod(&scratch, "locked", 0o755);
    let (file, dir) = as_nobody(|| {
        let root = scratch.root("");
        (root.remove_file(b"locked/file"), root.remove_dir(b"locked/dir"))
    });
    for (result, rel) in [(file, "locked/file"), (dir, "locked/dir")] {
        let error = result.unwrap_err();
        assert_eq!(refusal(&error), ErrorKind::PermissionDenied);
        assert_names(&error, &scratch.bytes(rel));
        assert!(scratch.exists(rel));
    }
}
