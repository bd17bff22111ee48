//! Names are bytes: any that the file system allows arrives.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use renkei_testkit::tree::nasty_names;

use crate::support::{ALL, Lab, WAYS, Way, ends_with};

#[test]
fn every_name_arrives_in_a_tree() {
    let lab = Lab::new();
    lab.tree("tree").nasty_names().unwrap();
    for way in WAYS {
        let target = format!("{way:?}");
        lab.copy_well(way, &[], &["tree", &target]);
        lab.assert_same("tree", &target, ALL);
        // Once more, onto what is there.
        lab.copy_well(way, &["-T"], &["tree", &target]);
        lab.assert_same("tree", &target, ALL);
    }
}

#[test]
fn every_name_arrives_as_a_source_of_its_own() {
    let lab = Lab::new();
    lab.tree("tree").nasty_names().unwrap();
    for way in WAYS {
        let target = lab.path(format!("{way:?}"));
        let mut words: Vec<OsString> = vec![];
        for name in nasty_names() {
            let path = lab.path("tree").join(OsStr::from_bytes(&name));
            words.push(if way == Way::Up { path.into() } else { lab.far(path) });
        }
        words.push(if way == Way::Up {
            lab.far(&target)
        } else {
            target.clone().into()
        });
        lab.cp_well(words);
        fs::remove_dir_all(lab.path("tree/dir").with_file_name(OsStr::from_bytes(b"dir\xff \n\"'")))
            .unwrap_or_default();
        lab.assert_same("tree", &format!("{way:?}"), ALL);
    }
}

#[test]
fn a_file_can_be_given_any_name() {
    let lab = Lab::new();
    lab.file("source", "content");
    lab.dir("to");
    for (number, name) in nasty_names().into_iter().enumerate().step_by(4) {
        let target = lab.path("to").join(OsStr::from_bytes(&name));
        let words = if number % 8 == 0 {
            [lab.far("source"), target.clone().into()]
        } else {
            [lab.path("source").into(), lab.far(&target)]
        };
        lab.cp_well(words);
        assert_eq!(fs::read(&target).unwrap(), b"content", "{target:?}");
    }
}

#[test]
fn a_path_longer_than_one_system_call_takes_is_copied() {
    let lab = Lab::new();
    // 18 names of 200 bytes are under PATH_MAX from here and over it with the prefix of nothing: the server has to open
    // them by path, so it is the longest that it can.
    let below = vec!["d".repeat(200); 18].join("/");
    lab.file(format!("tree/{below}/file"), "content");
    for way in WAYS {
        let target = format!("{way:?}");
        lab.copy_well(way, &[], &["tree", &target]);
        lab.assert_same("tree", &target, ALL);
    }
}

#[test]
fn a_name_too_long_for_the_target_fails_alone() {
    let lab = Lab::new();
    lab.file("a", "content");
    lab.file("b", "content");
    for way in WAYS {
        let long = format!("{way:?}{}", "x".repeat(300));
        ends_with(&lab.copy(way, &[], &["a", &long]), 1);
        assert_eq!(lab.names("."), ["a", "b"]);
    }
}

#[test]
fn the_name_of_a_failure_is_exact_in_json() {
    let lab = Lab::new();
    let name = OsString::from_vec(b"no\xffsuch\n".to_vec());
    let outcome = lab.cp([OsString::from("--json"), lab.far(&name), "target".into()]);
    ends_with(&outcome, 1);
    let failed = outcome
        .events()
        .into_iter()
        .find(|event| event["event"] == "failed")
        .unwrap();
    let hex: String = lab
        .path(&name)
        .as_os_str()
        .as_bytes()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    assert_eq!(failed["path_hex"], hex.as_str());
}
