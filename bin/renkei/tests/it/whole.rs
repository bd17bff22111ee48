//! Never a half file under its final name, and nothing left of what failed.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use renkei_testkit::Sshd;
use renkei_testkit::process::run;
use renkei_testkit::renkei::Running;
use renkei_testkit::sshd::Account;

use crate::support::{ALL, Lab, WAYS, Way, ends_with, is_temporary, walk};

#[test]
fn a_final_name_has_the_old_file_or_the_whole_new_one_at_any_moment() {
    let lab = Lab::new();
    let source = lab.tree("tree").file("a-name-of-its-own", 30 << 20).unwrap();
    let new = fs::read(source).unwrap();
    for way in WAYS {
        let dir = format!("{way:?}");
        let target = lab.file(format!("{dir}/a-name-of-its-own"), "old");
        let paths = ["tree/a-name-of-its-own", &dir];
        let mut running = lab.start(lab.words(way, &["--limit", "40M"], &paths));
        let mut temporary = BTreeSet::new();
        while !running.has_ended() {
            for entry in fs::read_dir(lab.path(&dir)).unwrap().flatten() {
                let path = entry.path();
                if path != target && temporary.insert(path.clone()) {
                    assert!(is_temporary(&path), "{path:?}");
                    // It may have been renamed meanwhile.
                    let mode = path.metadata().map_or(0, |metadata| metadata.mode() & 0o077);
                    assert_eq!(mode, 0, "others may read {path:?}");
                }
            }
            let length = target.metadata().unwrap().len();
            assert!(length == 3 || fs::read(&target).unwrap() == new, "{length} bytes");
        }
        ends_with(&running.finish().unwrap(), 0);
        assert_eq!(fs::read(&target).unwrap(), new);
        assert!(!temporary.is_empty());
        for name in temporary.iter().map(|path| path.file_name().unwrap()) {
            assert!(
                name.len() <= 40 && !name.as_bytes().windows(6).any(|part| part == b"a-name"),
                "{name:?}"
            );
        }
    }
}

#[test]
fn a_killed_copy_leaves_final_names_as_they_were() {
    let lab = Lab::new();
    lab.tree("tree").file("large", 40 << 20).unwrap();
    for way in WAYS {
        let dir = format!("{way:?}");
        lab.file(format!("{dir}/large"), "old");
        let mut running = lab.start(lab.words(way, &["--json", "--limit", "16M", "-T"], &["tree", &dir]));
        running.wait_for_bytes(2 << 20).unwrap();
        running.kill();
        assert_eq!(running.finish().unwrap().code(), None);
        assert_eq!(lab.read(format!("{dir}/large")), "old");
    }
}

/// A small file system of its own; unmounted when dropped.
pub struct Small(PathBuf);

impl Small {
    /// A tmpfs with this limit: `size=…` or `nr_inodes=…`.
    pub fn mount(path: PathBuf, limit: &str) -> Self {
        let mut mount = Command::new("mount");
        run(mount.args(["-t", "tmpfs", "-o", limit, "renkei-test"]).arg(&path)).unwrap();
        Self(path)
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = run(Command::new("umount").arg("--lazy").arg(&self.0));
    }
}

#[test]
fn on_a_full_disk_what_does_not_fit_fails_and_the_rest_is_right() {
    let lab = Lab::new();
    let mut tree = lab.tree("tree");
    tree.small_files(100, 5000).unwrap();
    tree.file("large", 8 << 20).unwrap();
    for way in WAYS {
        let target = format!("{way:?}");
        let _disk = Small::mount(lab.dir(&target), "size=3m");
        let outcome = lab.copy(way, &["-T"], &["tree", &target]);
        ends_with(&outcome, 1);
        assert!(outcome.stderr.contains("tree/large"), "{}", outcome.text());
        if way == Way::Down {
            assert!(outcome.stderr.contains("No space left"), "{}", outcome.text());
        }
        assert!(!lab.exists(format!("{target}/large")));
        lab.assert_clean(&target);
        every_file_is_whole(&lab.path("tree"), &lab.path(&target));
    }
}

#[test]
fn a_disk_that_fills_up_under_small_files_has_only_whole_ones() {
    let lab = Lab::new();
    lab.tree("tree").small_files(400, 5000).unwrap();
    for way in WAYS {
        let target = format!("{way:?}");
        let _disk = Small::mount(lab.dir(&target), "size=1m");
        let outcome = lab.copy(way, &["-T"], &["tree", &target]);
        ends_with(&outcome, 1);
        lab.assert_clean(&target);
        let stand = every_file_is_whole(&lab.path("tree"), &lab.path(&target));
        assert!(stand > 10 && stand < 400, "{stand}");
    }
}

/// Every file of the copy is like its source; gives how many there are.
#[track_caller]
pub fn every_file_is_whole(source: &Path, copy: &Path) -> usize {
    let files: Vec<_> = walk(copy).into_iter().filter(|path| path.is_file()).collect();
    for path in &files {
        let original = source.join(path.strip_prefix(copy).unwrap());
        assert!(
            fs::read(path).unwrap() == fs::read(original).unwrap(),
            "{path:?} is wrong"
        );
    }
    files.len()
}

#[test]
fn a_directory_that_may_not_be_written_is_no_obstacle_if_the_file_may_and_is_said_once() {
    let lab = Lab::with(Sshd::builder().account(Account::new()).start().unwrap());
    for name in ["a", "b"] {
        lab.file(format!("tree/{name}"), "new");
        lab.file_with_mode(&format!("closed/{name}"), "old and longer", 0o666);
    }
    lab.tree("tree").file("large", 3 << 20).unwrap();
    lab.file_with_mode("closed/large", "old", 0o666);
    let owner = fs::metadata(lab.sshd().home()).unwrap().uid();
    for name in ["a", "b", "large"] {
        chown(lab.path(format!("closed/{name}")), Some(owner), None).unwrap();
    }
    lab.set_mode("closed", 0o755);
    let outcome = lab.copy_well(Way::Up, &[], &["tree/a", "tree/b", "tree/large", "closed"]);
    lab.assert_same("tree", "closed", &ALL[..1]);
    assert_eq!(outcome.stderr.matches("in place").count(), 1, "{}", outcome.text());
}

#[test]
fn where_neither_directory_nor_file_may_be_written_that_is_the_reason() {
    let lab = Lab::with(Sshd::builder().account(Account::new()).start().unwrap());
    lab.file("a", "new");
    lab.file_with_mode("closed/a", "old", 0o644);
    for target in ["closed", "closed/new"] {
        let outcome = lab.copy(Way::Up, &[], &["a", target]);
        ends_with(&outcome, 1);
        assert!(
            outcome.stderr.to_lowercase().contains("permission denied"),
            "{}",
            outcome.text()
        );
    }
    assert_eq!(
        (lab.names("closed"), lab.read("closed/a")),
        (vec![OsString::from("a")], "old".to_owned())
    );
}

#[test]
fn a_source_that_cannot_be_read_fails_alone() {
    let lab = Lab::with(Sshd::builder().account(Account::new()).start().unwrap());
    lab.file("tree/a", "1");
    lab.file_with_mode("tree/secret", "no", 0o600);
    lab.tree("tree").file("large-secret", 3 << 20).unwrap();
    lab.set_mode("tree/large-secret", 0o600);
    lab.file("tree/closed/b", "2");
    lab.set_mode("tree/closed", 0o700);
    let outcome = lab.copy(Way::Down, &[], &["tree", "down"]);
    ends_with(&outcome, 1);
    for name in ["tree/secret", "tree/large-secret", "tree/closed"] {
        assert!(outcome.stderr.contains(name), "{}", outcome.text());
    }
    assert_eq!(lab.read("down/a"), "1");
    assert!(!lab.exists("down/secret") && !lab.exists("down/large-secret"));
    lab.assert_clean("down");
}

#[test]
fn a_source_of_this_machine_that_cannot_be_read_fails_alone() {
    let lab = Lab::new();
    let program = lab.path("renkei");
    fs::copy(lab.renkei().program(), &program).unwrap();
    lab.file("tree/a", "1");
    lab.file_with_mode("tree/secret", "no", 0o600);
    lab.file("tree/closed/b", "2");
    lab.set_mode("tree/closed", 0o700);
    lab.dir("to");
    lab.set_mode("to", 0o777);
    let mut command = Command::new(program);
    // Nobody in particular.
    command
        .uid(47_012)
        .gid(47_012)
        .current_dir(lab.path("."))
        .env("HOME", lab.path("to"));
    command.env_remove("XDG_STATE_HOME").args(["cp", "tree", "to/copy"]);
    let outcome = Running::start(command).unwrap().finish().unwrap();
    ends_with(&outcome, 1);
    for name in ["tree/secret", "tree/closed"] {
        assert!(outcome.stderr.contains(name), "{}", outcome.text());
    }
    assert_eq!(lab.read("to/copy/a"), "1");
    assert!(!lab.exists("to/copy/secret"));
}

#[test]
fn a_device_or_fifo_named_as_target_is_written_through() {
    let lab = Lab::new();
    lab.file("a", "content");
    symlink("/dev/null", lab.path("null")).unwrap();
    for way in WAYS {
        lab.copy_well(way, &[], &["a", "null"]);
        assert!(lab.path("null").is_symlink());
        assert!(!fs::metadata("/dev/null").unwrap().is_file());
    }
    run(Command::new("mkfifo").arg(lab.path("fifo"))).unwrap();
    for way in WAYS {
        let running = lab.start(lab.words(way, &[], &["a", "fifo"]));
        let reader = std::thread::spawn({
            let fifo = lab.path("fifo");
            move || fs::read(fifo).unwrap()
        });
        ends_with(&running.finish().unwrap(), 0);
        assert_eq!(reader.join().unwrap(), b"content");
        assert!(!lab.path("fifo").metadata().unwrap().is_file());
    }
}

#[test]
fn a_source_that_shrinks_or_grows_meanwhile_is_never_half() {
    let lab = Lab::new();
    let source = lab.tree("tree").file("large", 30 << 20).unwrap();
    for way in WAYS {
        let target = format!("{way:?}");
        let mut running = lab.start(lab.words(way, &["--json", "--limit", "16M"], &["tree/large", &target]));
        running.wait_for_bytes(2 << 20).unwrap();
        fs::File::options()
            .write(true)
            .open(&source)
            .unwrap()
            .set_len(10 << 20)
            .unwrap();
        let outcome = running.finish().unwrap();
        if outcome.status.success() {
            lab.assert_same("tree/large", &target, ALL);
        } else {
            ends_with(&outcome, 1);
            assert!(outcome.stdout.contains("changed"), "{}", outcome.text());
            assert!(!lab.exists(&target));
        }
        lab.tree("tree").file("large", 30 << 20).unwrap();
    }
}

#[test]
fn a_target_that_vanishes_ends_with_failures() {
    let lab = Lab::new();
    lab.tree("tree").small_files(300, 20_000).unwrap();
    for way in WAYS {
        let target = format!("{way:?}");
        let mut running = lab.start(lab.words(way, &["--json", "--limit", "3M"], &["tree", &target]));
        running.wait_for_bytes(1 << 20).unwrap();
        let aside = lab.path(format!("{target}-moved"));
        fs::rename(lab.path(&target), &aside).unwrap();
        fs::remove_dir_all(&aside).unwrap();
        let outcome = running.finish().unwrap();
        ends_with(&outcome, 1);
        assert!(!lab.exists(&target) || every_file_is_whole(&lab.path("tree"), &lab.path(&target)) > 0);
    }
    let permissions = fs::metadata(lab.path("tree")).unwrap().permissions();
    assert_ne!(permissions.mode() & 0o700, 0);
}
