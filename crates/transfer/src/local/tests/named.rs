//! Paths that the user typed.

use super::*;
use crate::local::meta::Special;
use crate::local::named::{Named, find};

fn found(path: Vec<u8>) -> Named {
    find(&path, Links::Refuse).unwrap()
}

#[test]
fn a_link_named_as_target_leads_to_its_file_and_that_is_replaced() {
    let scratch = Scratch::new();
    scratch.dir("real/data");
    scratch.file("real/data/file", "old");
    scratch.link("a", "b");
    scratch.link("b", "real/via");
    scratch.link("real/via", "data/file");
    let Named::File { root, name, meta } = found(scratch.bytes("a")) else {
        panic!("not a file");
    };
    assert_eq!(meta.size, 3);
    put(&root, &name, b"new content").unwrap();
    assert_eq!(scratch.read("real/data/file"), b"new content");
    assert!(std::fs::symlink_metadata(scratch.path("a")).unwrap().is_symlink());
    assert_eq!(scratch.names("real/data"), [b"file"]);
}

#[test]
fn what_is_not_there_can_be_made() {
    let scratch = Scratch::new();
    scratch.link("dangling", "made/here");
    scratch.dir("made");
    for (path, made) in [("new", "new"), ("new/", "new"), ("dangling", "made/here")] {
        let Named::Missing { root, name } = found(scratch.bytes(path)) else {
            panic!("{path} is there");
        };
        put(&root, &name, b"x").unwrap();
        assert!(std::fs::remove_file(scratch.path(made)).is_ok());
    }
    let error = find(&scratch.bytes("none/new"), Links::Refuse).unwrap_err();
    assert!(error.is_missing());
    assert_names(&error, &scratch.bytes("none"));
}

#[test]
fn links_in_a_circle_are_an_error() {
    let scratch = Scratch::new();
    scratch.link("a", "b");
    scratch.link("b", "a");
    assert!(find(&scratch.bytes("a"), Links::Refuse).is_err());
}

#[test]
fn directories_and_special_files_are_told_apart() {
    let scratch = Scratch::new();
    scratch.dir("d");
    scratch.fifo("pipe");
    scratch.link("to-d", "d/");
    scratch.link("to-null", "/dev/null");
    for path in ["d", "d//", "to-d", "to-d/", "d/.", "d/.."] {
        assert!(matches!(found(scratch.bytes(path)), Named::Dir(_)), "{path}");
    }
    assert!(matches!(found(b"/".to_vec()), Named::Dir(_)));
    assert!(matches!(found(Vec::new()), Named::Dir(_)));
    let special = |path| match found(scratch.bytes(path)) {
        Named::Special { special, path } => (special, path),
        other => panic!("{other:?}"),
    };
    assert_eq!(special("pipe"), (Special::Fifo, scratch.bytes("pipe")));
    assert_eq!(special("to-null"), (Special::CharDevice, b"/dev/null".to_vec()));
}
