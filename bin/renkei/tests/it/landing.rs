//! Where things land: scp's rules, both ways.

use std::fs;
use std::os::unix::fs::symlink;

use crate::support::{ALL, Lab, WAYS, ends_with};

#[test]
fn a_file_takes_the_name_of_a_target_that_does_not_exist() {
    let lab = Lab::new();
    lab.file("a", "content");
    for way in WAYS {
        let target = format!("{way:?}");
        lab.copy_well(way, &[], &["a", &target]);
        assert_eq!(lab.read(target), "content");
    }
}

#[test]
fn a_file_goes_into_a_directory_under_its_own_name() {
    let lab = Lab::new();
    lab.file("a", "content");
    for way in WAYS {
        let target = format!("{way:?}");
        lab.dir(&target);
        lab.copy_well(way, &[], &["a", &target]);
        assert_eq!(lab.read(format!("{target}/a")), "content");
    }
}

#[test]
fn a_target_with_a_slash_is_made_as_a_directory() {
    let lab = Lab::new();
    lab.file("a", "content");
    for way in WAYS {
        lab.copy_well(way, &[], &["a", &format!("{way:?}/")]);
        assert_eq!(lab.read(format!("{way:?}/a")), "content");
    }
}

#[test]
fn a_directory_becomes_the_target_and_the_second_time_nests() {
    let lab = Lab::new();
    lab.tree("dir").mixed(20, 3000).unwrap();
    for way in WAYS {
        let target = format!("{way:?}");
        lab.copy_well(way, &[], &["dir", &target]);
        lab.assert_same("dir", &target, ALL);
        lab.copy_well(way, &[], &["dir", &target]);
        lab.assert_same("dir", &format!("{target}/dir"), ALL);
    }
}

#[test]
fn a_directory_into_a_target_with_a_slash_keeps_its_name() {
    let lab = Lab::new();
    lab.file("dir/sub/a", "content");
    for way in WAYS {
        lab.copy_well(way, &[], &["dir/", &format!("{way:?}/")]);
        lab.assert_same("dir", &format!("{way:?}/dir"), ALL);
    }
}

#[test]
fn several_sources_make_the_target_a_directory() {
    let lab = Lab::new();
    lab.file("a", "1");
    lab.file("b", "2");
    lab.file("dir/c", "3");
    for way in WAYS {
        let target = format!("{way:?}");
        lab.copy_well(way, &[], &["a", "b", "dir", &target]);
        assert_eq!(lab.names(&target), ["a", "b", "dir"]);
        lab.assert_same("dir", &format!("{target}/dir"), ALL);
    }
}

#[test]
fn several_sources_do_not_go_into_a_file() {
    let lab = Lab::new();
    lab.file("a", "1");
    lab.file("b", "2");
    for way in WAYS {
        lab.file("target", "stays");
        let outcome = lab.copy(way, &[], &["a", "b", "target"]);
        ends_with(&outcome, 1);
        assert!(outcome.stderr.contains("target"), "{}", outcome.text());
        assert_eq!(lab.read("target"), "stays");
    }
}

#[test]
fn a_glob_is_expanded_on_the_side_where_it_is() {
    let lab = Lab::new();
    for name in ["src1", "src2", "other", ".src3"] {
        lab.file(format!("in/{name}"), name);
    }
    for way in WAYS {
        let target = format!("{way:?}");
        lab.copy_well(way, &[], &["in/src*", &format!("{target}/")]);
        assert_eq!(lab.names(&target), ["src1", "src2"]);
        lab.copy_well(way, &[], &["i?/[o]ther", &target]);
        assert_eq!(lab.names(&target), ["other", "src1", "src2"]);
    }
}

#[test]
fn a_name_that_looks_like_a_glob_is_that_file_first() {
    let lab = Lab::new();
    lab.file("in/a*", "the star itself");
    lab.file("in/ab", "not meant");
    for way in WAYS {
        let target = format!("{way:?}");
        lab.copy_well(way, &[], &["in/a*", &format!("{target}/")]);
        assert_eq!(lab.names(&target), ["a*"]);
    }
}

#[test]
fn a_glob_that_matches_nothing_is_an_error_that_names_it() {
    let lab = Lab::new();
    for way in WAYS {
        let outcome = lab.copy(way, &[], &["nothing*", "target"]);
        ends_with(&outcome, 1);
        assert!(outcome.stderr.contains("nothing*"), "{}", outcome.text());
        assert!(!lab.exists("target"));
    }
}

#[test]
fn directories_matched_by_one_glob_land_together_in_a_target_that_does_not_exist() {
    let lab = Lab::new();
    lab.file("in/d1/a", "1");
    lab.file("in/d2/b", "2");
    for way in WAYS {
        let target = format!("{way:?}");
        lab.copy_well(way, &[], &["in/d*", &target]);
        assert_eq!(lab.names(&target), ["a", "b"]);
        lab.copy_well(way, &[], &["in/d*", &target]);
        assert_eq!(lab.names(&target), ["a", "b", "d1", "d2"]);
    }
}

#[test]
fn two_sources_of_one_name_are_refused_before_anything_is_done() {
    let lab = Lab::new();
    lab.file("one/a", "1");
    lab.file("two/a", "2");
    for way in WAYS {
        let outcome = lab.copy(way, &[], &["one/a", "two/a", "target/"]);
        ends_with(&outcome, 1);
        assert!(
            outcome.stderr.contains("two sources are called `a`"),
            "{}",
            outcome.text()
        );
        assert!(!lab.exists("target/a"));
    }
}

#[test]
fn an_existing_file_gets_the_new_content_and_length() {
    let lab = Lab::new();
    lab.file("short", "new");
    lab.file("large", vec![7; 3 << 20]);
    lab.file("empty", "");
    for way in WAYS {
        for name in ["short", "large", "empty"] {
            lab.file("target", vec![1; 5 << 20]);
            lab.copy_well(way, &[], &[name, "target"]);
            lab.assert_same(name, "target", ALL);
        }
    }
}

#[test]
fn zero_bytes_and_sizes_around_every_limit_arrive() {
    let lab = Lab::new();
    lab.tree("sizes").edge_sizes().unwrap();
    for way in WAYS {
        let target = format!("{way:?}");
        lab.copy_well(way, &[], &["sizes", &target]);
        lab.assert_same("sizes", &target, ALL);
        lab.copy_well(way, &[], &["sizes/size-0", &format!("{target}/alone")]);
        assert_eq!(lab.read(format!("{target}/alone")), "");
    }
}

#[test]
fn a_read_only_source_arrives_with_its_mode() {
    let lab = Lab::new();
    lab.file_with_mode("a", "content", 0o444);
    lab.file_with_mode("b", "other", 0o400);
    for way in WAYS {
        let target = format!("{way:?}");
        lab.copy_well(way, &[], &["a", "b", &format!("{target}/")]);
        // And once more onto what is now read-only.
        lab.copy_well(way, &[], &["a", "b", &format!("{target}/")]);
        assert_eq!(
            (lab.mode(&format!("{target}/a")), lab.mode(&format!("{target}/b"))),
            (0o444, 0o400)
        );
    }
}

#[test]
fn source_and_target_being_one_file_does_not_harm_it() {
    let lab = Lab::new();
    lab.file("a", "content");
    symlink("a", lab.path("link")).unwrap();
    for target in ["a", "link", "hard", "."] {
        for way in WAYS {
            lab.copy(way, &[], &["a", target]);
            assert_eq!(lab.read("a"), "content", "{way:?} {target}");
        }
        let _ = fs::remove_file(lab.path("hard"));
        fs::hard_link(lab.path("a"), lab.path("hard")).unwrap();
        let outcome = lab.cp(["a", target]);
        ends_with(&outcome, 1);
        assert!(outcome.stderr.contains("the same"), "{}", outcome.text());
        assert_eq!(
            (lab.read("a"), lab.read("hard")),
            ("content".into(), "content".into()),
            "{target}"
        );
    }
}

#[test]
fn a_directory_cannot_land_where_a_file_stands() {
    let lab = Lab::new();
    lab.file("dir/a", "1");
    lab.file("tree/x/in", "1");
    lab.file("tree/z", "2");
    for way in WAYS {
        lab.file("file", "stays");
        for target in ["file", "file/"] {
            ends_with(&lab.copy(way, &[], &["dir", target]), 1);
        }
        ends_with(&lab.copy(way, &[], &["dir/a", "file/"]), 1);
        ends_with(&lab.copy(way, &[], &["dir/a", "file/below"]), 1);
        assert_eq!(lab.read("file"), "stays");

        // Deeper in a tree: that directory fails, the rest is done.
        let target = format!("{way:?}");
        lab.file(format!("{target}/tree/x"), "stays");
        let outcome = lab.copy(way, &[], &["tree", &target]);
        ends_with(&outcome, 1);
        assert!(outcome.stderr.contains("tree/x"), "{}", outcome.text());
        assert_eq!(
            (
                lab.read(format!("{target}/tree/x")),
                lab.read(format!("{target}/tree/z"))
            ),
            ("stays".into(), "2".into())
        );
    }
}

#[test]
fn a_file_cannot_land_where_a_directory_stands() {
    let lab = Lab::new();
    lab.file("tree/x", "1");
    lab.file("tree/z", "2");
    for way in WAYS {
        let target = format!("{way:?}");
        lab.file(format!("{target}/tree/x/inside"), "stays");
        let outcome = lab.copy(way, &[], &["tree", &target]);
        ends_with(&outcome, 1);
        assert!(outcome.stderr.contains("tree/x"), "{}", outcome.text());
        assert_eq!(lab.read(format!("{target}/tree/x/inside")), "stays");
        assert_eq!(lab.read(format!("{target}/tree/z")), "2");
        lab.assert_clean(&target);
    }
}

#[test]
fn a_missing_source_is_an_error_that_names_it() {
    let lab = Lab::new();
    for way in WAYS {
        let outcome = lab.copy(way, &[], &["no-such-file", "target"]);
        ends_with(&outcome, 1);
        assert!(outcome.stderr.contains("no-such-file"), "{}", outcome.text());
        assert!(!lab.exists("target"));
    }
}

#[test]
fn of_several_sources_only_the_missing_one_fails() {
    let lab = Lab::new();
    lab.file("a", "1");
    lab.file("b", "2");
    for way in WAYS {
        let target = format!("{way:?}");
        let outcome = lab.copy(way, &[], &["a", "missing", "b", &target]);
        ends_with(&outcome, 1);
        assert!(outcome.stderr.contains("missing"), "{}", outcome.text());
        assert_eq!(lab.names(&target), ["a", "b"]);
    }
}

#[test]
fn a_target_below_a_missing_directory_is_an_error() {
    let lab = Lab::new();
    lab.file("a", "1");
    lab.file("dir/b", "2");
    for way in WAYS {
        for source in ["a", "dir"] {
            let outcome = lab.copy(way, &[], &[source, "no/such/target"]);
            ends_with(&outcome, 1);
            assert!(outcome.stderr.contains("no/such"), "{}", outcome.text());
        }
        assert!(!lab.exists("no"));
    }
}

#[test]
fn a_relative_far_path_starts_at_the_login_directory() {
    use renkei_testkit::Sshd;
    use renkei_testkit::sshd::Account;
    let lab = Lab::with(Sshd::builder().account(Account::new()).start().unwrap());
    lab.file("a", "content");
    let home = lab.sshd().home().to_owned();
    lab.cp_well(["a", "testhost:"]);
    lab.cp_well(["a", "testhost:b"]);
    lab.cp_well(["a", "testhost:~/c"]);
    lab.cp_well(["a", "testhost:sub/"]);
    for name in ["a", "b", "c", "sub/a"] {
        assert_eq!(fs::read(home.join(name)).unwrap(), b"content", "{name}");
    }
    lab.cp_well(["testhost:~", "back"]);
    assert_eq!(lab.names("back"), ["a", "b", "c", "sub"]);
    ends_with(&lab.cp(["a", "testhost:~other/x"]), 2);
}

#[test]
fn the_contents_of_dot_are_copied() {
    let lab = Lab::new();
    lab.file("dir/a", "1");
    lab.file("dir/sub/b", "2");
    for way in WAYS {
        let target = format!("{way:?}");
        lab.copy_well(way, &[], &["dir/.", &target]);
        lab.assert_same("dir", &target, ALL);
        lab.copy_well(way, &[], &["dir/.", &target]);
        lab.assert_same("dir", &target, ALL);
    }
}
