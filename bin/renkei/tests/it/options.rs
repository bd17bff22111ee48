//! The options that choose what is copied and what is left alone.

use std::fs::{self, File};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::time::{Duration, SystemTime};

use renkei_testkit::tree::What;

use crate::support::{ALL, Lab, WAYS, Way, ends_with, summary, walk};

/// Names, modes, times to the nanosecond and contents of everything below: what must not change.
fn picture(lab: &Lab, name: &str) -> Vec<(std::path::PathBuf, u32, i64, i64, Vec<u8>)> {
    let mut all: Vec<_> = walk(&lab.path(name))
        .into_iter()
        .map(|path| {
            let metadata = path.symlink_metadata().unwrap();
            let content = if metadata.is_file() {
                fs::read(&path).unwrap()
            } else {
                vec![]
            };
            (path, metadata.mode(), metadata.mtime(), metadata.mtime_nsec(), content)
        })
        .collect();
    all.sort();
    all
}

fn set_time(lab: &Lab, name: &str, seconds: u64) {
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
    File::open(lab.path(name)).unwrap().set_modified(time).unwrap();
}

#[test]
fn an_update_of_an_unchanged_tree_sends_no_data() {
    let lab = Lab::new();
    let mut tree = lab.tree("tree");
    tree.mixed(50, 5000).unwrap();
    tree.links().unwrap();
    tree.file("large", 3 << 20).unwrap();
    for way in WAYS {
        let target = format!("{way:?}");
        let options = ["--update", "--json", "-T"];
        let first = summary(&lab.copy_well(way, &options, &["tree", &target]));
        assert!(first["sent_bytes"].as_u64().unwrap() > 3 << 20, "{first}");
        lab.assert_same("tree", &target, &[What::Content, What::Modes, What::Links, What::Times]);
        let second = summary(&lab.copy_well(way, &options, &["tree", &target]));
        assert_eq!(second["sent_bytes"], 0, "{second}");
        assert_eq!(second["files"], 0, "{second}");
    }
}

#[test]
fn an_update_copies_what_differs_in_size_or_time() {
    let lab = Lab::new();
    for name in ["same", "longer", "newer"] {
        lab.file(format!("tree/{name}"), "content");
    }
    for way in WAYS {
        let target = format!("{way:?}");
        lab.copy_well(way, &["-u"], &["tree", &format!("{target}/")]);
        lab.file(format!("{target}/tree/longer"), "contents");
        set_time(&lab, &format!("{target}/tree/newer"), 2_000_000_000);
        let outcome = lab.copy_well(way, &["-u", "--json"], &["tree", &format!("{target}/")]);
        assert_eq!(summary(&outcome)["files"], 2, "{}", outcome.text());
        lab.assert_same("tree", &format!("{target}/tree"), &[What::Content, What::Times]);
    }
}

#[test]
fn a_single_file_is_updated_too() {
    let lab = Lab::new();
    lab.file("a", "content");
    for way in WAYS {
        let target = format!("{way:?}");
        for (files, skipped) in [(1, 0), (0, 1)] {
            let outcome = lab.copy_well(way, &["-u", "--json"], &["a", &target]);
            let summary = summary(&outcome);
            assert_eq!(
                (&summary["files"], &summary["skipped"]),
                (&files.into(), &skipped.into()),
                "{summary}"
            );
        }
    }
}

#[test]
fn no_clobber_leaves_whatever_exists() {
    let lab = Lab::new();
    lab.file("tree/there", "new");
    lab.file("tree/missing", "new");
    lab.tree("tree").file("large", 3 << 20).unwrap();
    for way in WAYS {
        let target = format!("{way:?}");
        lab.file(format!("{target}/there"), "old");
        lab.file(format!("{target}/large"), "old");
        lab.copy_well(way, &["-n", "-T"], &["tree", &target]);
        for (name, content) in [("there", "old"), ("large", "old"), ("missing", "new")] {
            assert_eq!(lab.read(format!("{target}/{name}")), content, "{name}");
        }
        lab.copy_well(way, &["-n"], &["tree/there", &format!("{target}/there")]);
        assert_eq!(lab.read(format!("{target}/there")), "old");
        lab.assert_clean(&target);
    }
}

#[test]
fn delete_makes_a_true_mirror() {
    let lab = Lab::new();
    lab.file("tree/a", "1");
    lab.file("tree/dir/b", "2");
    for way in WAYS {
        let target = format!("{way:?}");
        lab.file(format!("{target}/dir/extra"), "x");
        lab.file(format!("{target}/gone/deep/er"), "x");
        lab.file(format!("{target}/.hidden"), "x");
        std::os::unix::fs::symlink("/etc", lab.path(format!("{target}/link"))).unwrap();
        let before = picture(&lab, &target);
        let outcome = lab.copy_well(way, &["--delete", "--dry-run", "-T"], &["tree", &target]);
        for name in ["dir/extra", "gone/deep/er", ".hidden", "link"] {
            let line = format!("would delete {}/{name}\n", lab.path(&target).display());
            assert!(outcome.stdout.contains(&line), "{name}: {}", outcome.text());
        }
        assert_eq!(picture(&lab, &target), before);
        let outcome = lab.copy_well(way, &["--delete", "--json", "-T"], &["tree", &target]);
        lab.assert_same("tree", &target, ALL);
        assert!(
            summary(&outcome)["deleted"].as_u64().unwrap() >= 4,
            "{}",
            outcome.text()
        );
        assert!(fs::exists("/etc/passwd").unwrap());
    }
}

#[test]
fn delete_keeps_what_filters_leave_out() {
    let lab = Lab::new();
    lab.file("tree/a", "1");
    for way in WAYS {
        let target = format!("{way:?}");
        lab.file(format!("{target}/keep.log"), "x");
        lab.file(format!("{target}/go.txt"), "x");
        lab.copy_well(way, &["--delete", "--exclude", "*.log", "-T"], &["tree", &target]);
        assert_eq!(lab.names(&target), ["a", "keep.log"]);
    }
}

#[test]
fn a_dry_run_changes_nothing() {
    let lab = Lab::new();
    let mut tree = lab.tree("tree");
    tree.mixed(20, 3000).unwrap();
    tree.links().unwrap();
    tree.hard_links().unwrap();
    lab.file("there/f0", "old");
    let before = picture(&lab, ".");
    for way in WAYS {
        for target in ["there", "new", "new/"] {
            let outcome = lab.copy_well(way, &["--dry-run"], &["tree", target]);
            assert!(outcome.stdout.contains("would copy "), "{}", outcome.text());
            assert_eq!(picture(&lab, "."), before);
        }
        lab.copy_well(way, &["--dry-run", "--delete", "-T"], &["tree", "there"]);
        lab.copy_well(way, &["--dry-run"], &["tree/hard-one", "there/f0"]);
        assert_eq!(picture(&lab, "."), before);
    }
}

#[test]
fn filters_choose_in_the_order_given() {
    let lab = Lab::new();
    for name in ["a.txt", "b.log", "keep.log", "sub/c.log", "sub/d.txt", "skip/e.txt"] {
        lab.file(format!("tree/{name}"), name);
    }
    for way in WAYS {
        let target = format!("{way:?}");
        let options = ["--include", "keep.log", "--exclude", "*.log", "--exclude", "skip/"];
        lab.copy_well(way, &options, &["tree", &target]);
        assert_eq!(lab.names(&target), ["a.txt", "keep.log", "sub"]);
        assert_eq!(lab.names(&format!("{target}/sub")), ["d.txt"]);
    }
}

#[test]
fn contents_go_into_the_target_whether_or_not_it_exists() {
    let lab = Lab::new();
    lab.file("tree/sub/a", "1");
    for way in WAYS {
        let target = format!("{way:?}");
        for _ in 0..2 {
            lab.copy_well(way, &["-T"], &["tree", &target]);
            lab.assert_same("tree", &target, ALL);
        }
        lab.copy_well(way, &["-T"], &["tree/", &format!("{target}/")]);
        lab.assert_same("tree", &target, ALL);
    }
}

#[test]
fn a_directory_to_be_repeated_needs_to_be_told_its_place() {
    let lab = Lab::new();
    lab.file("tree/a", "1");
    for option in ["--update", "--checksum", "--delete"] {
        for way in WAYS {
            let outcome = lab.copy(way, &[option], &["tree", "target"]);
            ends_with(&outcome, 2);
            let said = &outcome.stderr;
            assert!(
                said.contains("-T") && said.contains("target/` ") && said.contains("target/tree"),
                "{said}"
            );
            assert!(!lab.exists("target"));
        }
        lab.copy_well(Way::Up, &[option], &["tree", &format!("{option}/")]);
        lab.copy_well(Way::Up, &[option], &["tree", &format!("{option}/")]);
        lab.assert_same("tree", &format!("{option}/tree"), ALL);
        assert_eq!(lab.names(option), ["tree"]);
    }
}

#[test]
fn in_place_writes_into_the_file_that_is_there() {
    let lab = Lab::new();
    lab.file("short", "new");
    lab.tree(".").file("large", 3 << 20).unwrap();
    for way in WAYS {
        for source in ["short", "large"] {
            let target = lab.file("target", vec![1; 5 << 20]);
            let inode = target.metadata().unwrap().ino();
            lab.copy_well(way, &["--in-place"], &[source, "target"]);
            lab.assert_same(source, "target", ALL);
            assert_eq!(target.metadata().unwrap().ino(), inode);
        }
        lab.copy_well(way, &["--in-place"], &["short", &format!("{way:?}")]);
        assert_eq!(lab.read(format!("{way:?}")), "new");
    }
}

#[test]
fn a_sparse_file_of_5_gb_arrives_with_its_holes() {
    let lab = Lab::new();
    let size = 5 << 30;
    let pieces = [(0, 1000), ((4 << 30) + 77, 3 << 20), (size - 10, 10)];
    lab.tree("tree").sparse("file", size, &pieces).unwrap();
    lab.copy_well(Way::Up, &["--sparse"], &["tree/file", "copy"]);
    let [source, copy] = ["tree/file", "copy"].map(|name| File::open(lab.path(name)).unwrap());
    let there = copy.metadata().unwrap();
    assert_eq!(there.len(), size);
    for (offset, len) in pieces {
        let [ours, theirs] = [&source, &copy].map(|file| {
            let mut content = vec![0; len];
            file.read_exact_at(&mut content, offset).unwrap();
            content
        });
        assert!(ours == theirs, "at {offset}");
    }
    // What is not written is zero.
    assert!(there.blocks() * 512 <= source.metadata().unwrap().blocks() * 512 + (1 << 20));
}

#[test]
fn holes_stay_holes_with_sparse() {
    let lab = Lab::new();
    let pieces = [(0, 1000), (300 << 20, 5000), ((600 << 20) - 10, 10)];
    lab.tree("tree").sparse("file", 600 << 20, &pieces).unwrap();
    for way in WAYS {
        let target = format!("{way:?}");
        if way == Way::Down {
            // SFTP does not tell where the holes are; a smaller one is read through.
            File::options()
                .write(true)
                .open(lab.path("tree/file"))
                .unwrap()
                .set_len(40 << 20)
                .unwrap();
        }
        lab.copy_well(way, &["--sparse"], &["tree/file", &target]);
        lab.assert_same("tree/file", &target, ALL);
        assert!(
            lab.path(&target).metadata().unwrap().blocks() * 512 < 4 << 20,
            "it is full of zeros"
        );
    }
}

#[test]
fn checksum_copies_what_differs_in_content_only() {
    let lab = Lab::new();
    for name in ["same", "other"] {
        lab.file(format!("tree/{name}"), "content");
    }
    lab.tree("tree").file("large", 3 << 20).unwrap();
    for way in WAYS {
        let target = format!("{way:?}");
        lab.copy_well(way, &["--preserve"], &["tree", &target]);
        lab.file(format!("{target}/other"), "CONTENT");
        for name in ["same", "other", "large"] {
            set_time(&lab, &format!("{target}/{name}"), 1_000_000_000);
        }
        set_time(&lab, "tree/other", 1_000_000_000);
        let options = ["--checksum", "--json", "-T"];
        let outcome = lab.copy_well(way, &options, &["tree", &target]);
        assert_eq!(summary(&outcome)["files"], 1, "{}", outcome.text());
        lab.assert_same("tree", &target, ALL);
        let again = summary(&lab.copy_well(way, &options, &["tree", &target]));
        assert_eq!(
            (&again["files"], &again["sent_bytes"]),
            (&0.into(), &0.into()),
            "{again}"
        );
    }
}

#[test]
fn only_the_names_of_a_list_are_copied() {
    let lab = Lab::new();
    for name in ["a", "dir/b", "dir/c", "dir/deep/d", "other/e", "new\nline"] {
        lab.file(format!("tree/{name}"), name);
    }
    lab.file("list", "a\ndir/b\ndir/deep\n");
    lab.file("list0", "new\nline\0other/e\0");
    for way in WAYS {
        let target = format!("{way:?}");
        let list = lab.path("list").display().to_string();
        lab.copy_well(way, &["--files-from", &list], &["tree", &target]);
        assert_eq!(lab.names(&target), ["a", "dir"]);
        assert_eq!(lab.names(&format!("{target}/dir")), ["b", "deep"]);
        assert_eq!(lab.read(format!("{target}/dir/deep/d")), "dir/deep/d");
        lab.copy_well(
            way,
            &["-T", "-0", "--files-from", &format!("{list}0")],
            &["tree", &target],
        );
        assert_eq!(lab.names(&target), ["a", "dir", "new\nline", "other"]);
    }
}

#[test]
fn a_name_of_a_list_that_is_missing_fails_alone() {
    let lab = Lab::new();
    lab.file("tree/a", "1");
    lab.file("list", "missing\na\n");
    let list = lab.path("list").display().to_string();
    for way in WAYS {
        let target = format!("{way:?}");
        let outcome = lab.copy(way, &["--files-from", &list], &["tree", &target]);
        ends_with(&outcome, 1);
        assert!(outcome.stderr.contains("tree/missing"), "{}", outcome.text());
        assert_eq!(lab.names(&target), ["a"]);
    }
}

#[test]
fn a_mirror_turns_files_into_directories_and_back() {
    let lab = Lab::new();
    lab.file("tree/was-file/inside", "1");
    lab.file("tree/was-dir", "2");
    for way in WAYS {
        let target = format!("{way:?}");
        lab.file(format!("{target}/was-file"), "old");
        lab.file(format!("{target}/was-dir/inside/deep"), "old");
        lab.copy_well(way, &["--delete", "-T"], &["tree", &target]);
        lab.assert_same("tree", &target, ALL);
    }
}
