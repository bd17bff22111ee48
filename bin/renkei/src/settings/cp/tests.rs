use std::path::Path;
use std::time::Duration;

use clap::Parser as _;
use clap::error::ErrorKind;
use renkei_transfer::Filter;
use renkei_transfer::ssh::Family;

use super::*;
use crate::arguments::Renkei;
use crate::printer::{Form, Output};
use crate::settings::recall::Program;

fn typed(words: &[&str]) -> Result<Renkei, clap::Error> {
    Renkei::try_parse_from(["renkei", "cp"].iter().chain(words))
}

fn understand(words: &[&str]) -> Result<Settings, UsageError> {
    let words = [words, &["--journal-dir", "/j"]].concat();
    let recall = Recall::new(Program::Renkei, Path::new("/"), &[]);
    Settings::of_renkei(typed(&words).unwrap(), &recall)
}

fn copy(words: &[&str]) -> (Request, Output) {
    match understand(words).unwrap() {
        Settings::Copy { request, output } => (*request, output),
        other => panic!("not a copy: {other:?}"),
    }
}

fn request(line: &str) -> Request {
    let words = [&line.split_whitespace().collect::<Vec<_>>()[..], &["a", "h:b"]].concat();
    copy(&words).0
}

#[track_caller]
fn refused(line: &str) -> ErrorKind {
    let words: Vec<_> = line.split_whitespace().collect();
    typed(&words).unwrap_err().kind()
}

#[test]
fn the_definitions_are_sound() {
    use clap::CommandFactory as _;
    Renkei::command().debug_assert();
    crate::arguments::mscp::Mscp::command().debug_assert();
}

#[test]
fn without_options_everything_is_as_documented() {
    let request = request("");
    assert_eq!(request.sources, [Location::Local(b"a".to_vec())]);
    assert_eq!(request.existing, Existing::Replace);
    assert_eq!(request.timeout, Duration::from_secs(300));
    assert_eq!(request.journals.as_deref(), Some(Path::new("/j")));
    let tuning = request.tuning;
    assert_eq!((tuning.limit, tuning.connections, tuning.ahead), (None, None, None));
    assert!(!(request.contents || request.follow || request.preserve || request.delete || request.dry_run));
    assert!(!(request.in_place || request.sparse || request.verify) && request.manifest.is_none());
}

#[test]
fn what_is_copied_arrives() {
    let request = request("-r -T --follow --dry-run -p --sparse --in-place --verify --delete --checksum");
    assert!(request.contents && request.follow && request.dry_run && request.preserve && request.sparse);
    assert!(request.in_place && request.verify && request.delete);
    assert_eq!(request.existing, Existing::SkipSameContent);
}

#[test]
fn what_to_do_with_existing_files_has_short_names() {
    assert_eq!(request("-u").existing, Existing::SkipSameTime);
    assert_eq!(request("--update").existing, Existing::SkipSameTime);
    assert_eq!(request("-n").existing, Existing::Keep);
    assert_eq!(request("--no-clobber").existing, Existing::Keep);
}

#[test]
fn filters_keep_their_order() {
    let filter = |include, glob: &str| Filter {
        include,
        glob: glob.to_owned(),
    };
    assert_eq!(
        request("--exclude *.tmp --include a/* --exclude=b --include c").filters,
        [
            filter(false, "*.tmp"),
            filter(true, "a/*"),
            filter(false, "b"),
            filter(true, "c")
        ]
    );
}

#[test]
fn tuning_arrives_in_its_units() {
    let tuning = request("--limit 500M --connections 4 --ahead 64").tuning;
    assert_eq!(tuning.limit, Some(500_000_000));
    assert_eq!((tuning.connections, tuning.ahead), (Some(4), Some(64)));
    assert!(matches!(
        understand(&["--limit", "0", "a", "h:b"]),
        Err(UsageError::Zero("--limit"))
    ));
}

#[test]
fn connections_are_described_as_for_scp() {
    let ssh =
        request("-P 2222 -i k1 -i k2 -F none -o A=b -o C=d -J j -l u -4 --cipher c --congestion bbr --timeout 30s");
    assert_eq!((ssh.timeout, ssh.ssh.port), (Duration::from_secs(30), Some(2222)));
    let ssh = ssh.ssh;
    assert_eq!(ssh.identities, [Path::new("k1"), Path::new("k2")]);
    assert_eq!(ssh.options, ["A=b", "C=d"]);
    assert_eq!(ssh.config_file.as_deref(), Some(Path::new("none")));
    assert_eq!((ssh.jump.as_deref(), ssh.login.as_deref()), (Some("j"), Some("u")));
    assert_eq!((ssh.family, ssh.cipher.as_deref()), (Family::V4, Some("c")));
    assert_eq!(ssh.congestion.as_deref(), Some("bbr"));
    assert_eq!(
        request("--ssh-command myssh").ssh.ssh_command.as_deref(),
        Some("myssh".as_ref())
    );
    assert_eq!(request("-4 -6").ssh.family, Family::V6, "the last one counts");
}

#[test]
fn the_last_path_is_the_target() {
    let (request, _) = copy(&["a", "h:b", "sftp://h/c"]);
    assert_eq!(request.sources.len(), 2);
    assert!(matches!(request.target, Location::Remote { path, .. } if path == b"/c"));
    assert!(matches!(understand(&["a"]), Err(UsageError::NoTarget)));
    assert!(matches!(understand(&[]), Err(UsageError::NoTarget)));
}

#[test]
fn options_that_exclude_each_other_are_refused() {
    for line in [
        "-u --checksum a b",
        "-n -u a b",
        "--delete --files-from l a b",
        "--dry-run --manifest m a b",
        "--resume x a b",
        "--resume x --limit 1M",
        "--resume-list --resume-drop x",
    ] {
        assert_eq!(refused(line), ErrorKind::ArgumentConflict, "{line}");
    }
    assert_eq!(refused("-0 a b"), ErrorKind::MissingRequiredArgument);
}

#[test]
fn values_out_of_range_are_refused() {
    for line in [
        "-P 0 a b",
        "--connections 0 a b",
        "--ahead 0 a b",
        "--timeout 0 a b",
        "--limit 5X a b",
        "-P 70000 a b",
    ] {
        assert_eq!(refused(line), ErrorKind::ValueValidation, "{line}");
    }
}

#[test]
fn resuming_keeps_the_display_of_this_command() {
    let Settings::Resume { stored, output } = understand(&["--resume", "k7", "--json"]).unwrap() else {
        panic!("--resume resumes");
    };
    assert_eq!((stored.id.as_str(), stored.journals.as_path()), ("k7", Path::new("/j")));
    assert_eq!(output.form, Form::Json);
    assert!(matches!(understand(&["--resume-list"]), Ok(Settings::List { .. })));
    assert!(matches!(
        understand(&["--resume-drop", "k7"]),
        Ok(Settings::Drop { .. })
    ));
}

#[test]
fn quiet_wins() {
    assert_eq!(copy(&["-q", "--json", "-v", "a", "b"]).1.form, Form::Silent);
    assert_eq!(copy(&["-vv", "a", "b"]).1.verbosity.level, 2);
}

#[test]
fn a_list_of_names_goes_with_one_source() {
    let dir = tempfile::tempdir().unwrap();
    let list = dir.path().join("list");
    std::fs::write(&list, b"x\0y\nz\0").unwrap();
    let list = list.to_str().unwrap();
    let (request, _) = copy(&["--files-from", list, "-0", "a", "h:b"]);
    assert_eq!(request.files_from, Some(vec![b"x".to_vec(), b"y\nz".to_vec()]));
    let two = understand(&["--files-from", list, "a", "b", "h:c"]);
    assert!(matches!(two, Err(UsageError::FilesFromSources(2))));
}
