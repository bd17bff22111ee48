//! Nothing is written outside the root, and every honest name arrives.

use super::*;
use crate::local::error::BadName;
use crate::local::root::check_name;
use crate::local::tree::{Made, NewLink};

fn link(rel: &'static str, target: &'static str) -> NewLink<'static> {
    NewLink {
        rel: rel.as_bytes(),
        target: target.as_bytes(),
        temp: b".tmp",
        times: None,
    }
}

#[test]
fn names_that_no_directory_has_are_refused() {
    assert_eq!(check_name(b""), Err(BadName::Empty));
    assert_eq!(check_name(b"."), Err(BadName::Dots));
    assert_eq!(check_name(b".."), Err(BadName::Dots));
    assert_eq!(check_name(b"a/b"), Err(BadName::Slash));
    assert_eq!(check_name(b"a\0"), Err(BadName::Nul));
    assert_eq!(check_name(b"..."), Ok(()));
}

#[test]
fn hostile_paths_are_refused_by_every_operation() {
    let scratch = Scratch::new();
    scratch.dir("target");
    scratch.file("secret", "s");
    for root in scratch.roots("target") {
        for rel in [
            &b"../secret"[..],
            b"..",
            b"/etc/passwd",
            b"a/../../secret",
            b"a//b",
            b"a/",
            b"./a",
            b"a/./b",
            b"a\0b",
        ] {
            let refused = |error: FileError| assert!(matches!(error, FileError::Name { .. }));
            root.make_dir(b"a").unwrap();
            refused(root.create(rel, b".tmp").unwrap_err());
            refused(root.open_in_place(rel).unwrap_err());
            refused(root.open_source(rel).unwrap_err());
            refused(root.make_dir(rel).unwrap_err());
            refused(root.remove_file(rel).unwrap_err());
            refused(root.stat(rel).unwrap_err());
            refused(root.list(rel).unwrap_err());
            refused(root.remove_dir(rel).unwrap_err());
            let hostile = NewLink { rel, ..link("x", "y") };
            refused(root.make_link(&hostile).unwrap_err());
        }
        let error = root.create(b"a/x", b"../tmp").unwrap_err();
        assert!(matches!(error, FileError::Name { .. }));
    }
    assert_eq!(scratch.names("target"), [b"a"]);
    assert_eq!(scratch.read("secret"), b"s");
}

#[test]
fn a_link_sent_first_is_not_written_through() {
    let scratch = Scratch::new();
    scratch.dir("outside/deep");
    scratch.file("outside/secret", "s");
    scratch.dir("target");
    for root in scratch.roots("target") {
        root.make_dir(b"sub").unwrap();
        root.make_link(&link("out", "../outside")).unwrap();
        root.make_link(&link("sub/out", "../../outside")).unwrap();
        root.make_link(&link("self", ".")).unwrap();
        for rel in [
            &b"out/file"[..],
            b"out/deep/file",
            b"sub/out/file",
            b"sub/out/deep/file",
            b"self/file",
            b"self/sub/file",
        ] {
            let through = |error: FileError| assert!(matches!(error, FileError::ThroughLink { .. }), "{error}");
            through(root.create(rel, b".tmp").unwrap_err());
            through(root.make_dir(rel).unwrap_err());
            through(root.stat(rel).unwrap_err());
            through(root.remove_file(rel).unwrap_err());
            through(root.remove_dir(rel).unwrap_err());
        }
        assert!(root.list(b"out").is_err());
        assert!(root.finish_dir(b"out", &PLAIN).is_err());
        assert!(root.make_dir(b"out").is_err());
        root.remove_file(b"out").unwrap();
        assert!(!scratch.exists("target/out"));
    }
    assert_eq!(scratch.names("outside"), [&b"deep"[..], b"secret"]);
    assert!(scratch.names("outside/deep").is_empty());
}

#[test]
fn the_error_names_the_link_or_file_in_the_way() {
    let scratch = Scratch::new();
    scratch.dir("a");
    scratch.file("a/file", "");
    scratch.link("a/link", "/");
    for root in scratch.roots("") {
        let error = root.create(b"a/link/b/c", b".tmp").unwrap_err();
        assert_names(&error, &scratch.bytes("a/link"));
        let error = root.create(b"a/file/b/c", b".tmp").unwrap_err();
        assert!(matches!(error, FileError::NotADirectory { found: "file", .. }));
        assert_names(&error, &scratch.bytes("a/file"));
    }
}

#[test]
fn a_link_under_the_final_name_is_replaced_and_not_followed() {
    let scratch = Scratch::new();
    scratch.file("outside", "keep");
    scratch.dir("target");
    scratch.link("target/file", "../outside");
    let root = scratch.root("target");
    assert!(matches!(
        root.open_in_place(b"file"),
        Err(FileError::ThroughLink { .. })
    ));
    put(&root, b"file", b"new").unwrap();
    assert_eq!(scratch.read("outside"), b"keep");
    assert_eq!(scratch.read("target/file"), b"new");
}

#[test]
fn a_directory_that_was_made_anew_is_found_again() {
    let scratch = Scratch::new();
    for root in scratch.roots("") {
        for _ in 0..2 {
            assert_eq!(root.make_dir(b"a").unwrap(), Made::New);
            assert_eq!(root.make_dir(b"a/b").unwrap(), Made::New);
            put(&root, b"a/b/file", b"x").unwrap();
            root.remove_file(b"a/b/file").unwrap();
            root.remove_dir(b"a/b").unwrap();
            root.remove_dir(b"a").unwrap();
        }
        root.make_link(&link("a", "/")).unwrap();
        assert!(put(&root, b"a/b", b"x").is_err());
        root.remove_file(b"a").unwrap();
    }
}

#[test]
fn any_name_that_the_file_system_allows_arrives() {
    let scratch = Scratch::new();
    let long = vec![b'n'; 255];
    for root in scratch.roots("") {
        for name in [
            &b"\xff\xfe"[..],
            b"a\nb\r",
            b"-rf",
            b" ",
            b"\x1b[31m",
            "名前".as_bytes(),
            &long,
        ] {
            root.make_dir(b"d").unwrap();
            let rel = [b"d/", name].concat();
            put(&root, &rel, name).unwrap();
            assert_eq!(root.open_source(&rel).unwrap().read(0, 300).unwrap(), name);
            assert_eq!(scratch.names("d"), [name]);
            root.remove_file(&rel).unwrap();
            root.remove_dir(b"d").unwrap();
        }
    }
}

#[test]
fn a_path_longer_than_the_system_takes_at_once_works() {
    let scratch = Scratch::new();
    for (root, again) in scratch.roots("").into_iter().zip(scratch.roots("")) {
        let mut rel = vec![b'x'; 100];
        root.make_dir(&rel).unwrap();
        while rel.len() < 9000 {
            rel.extend_from_slice(b"/");
            rel.extend_from_slice(&[b'x'; 100]);
            root.make_dir(&rel).unwrap();
        }
        rel.extend_from_slice(b"/file");
        put(&root, &rel, b"deep").unwrap();
        // With nothing known of the way there.
        assert_eq!(again.open_source(&rel).unwrap().read(0, 9).unwrap(), b"deep");
        again.remove_file(&rel).unwrap();
        while let Some(end) = rel.iter().rposition(|&byte| byte == b'/') {
            rel.truncate(end);
            again.remove_dir(&rel).unwrap();
        }
        assert!(scratch.names("").is_empty());
    }
}

#[test]
fn a_target_that_vanishes_fails_each_file_by_name() {
    let scratch = Scratch::new();
    scratch.dir("gone");
    let root = scratch.root("gone");
    let output = root.create(b"begun", b".tmp").unwrap();
    std::fs::remove_dir_all(scratch.path("gone")).unwrap();
    write(&output, 0, b"x").unwrap();
    assert!(finish(output, 1).unwrap_err().is_missing());
    let error = put(&root, b"next", b"x").unwrap_err();
    assert!(error.is_missing());
    assert_names(&error, &scratch.bytes("gone/next"));
}
