//! The units for systemd, read by systemd itself.

use std::path::Path;
use std::process::{Command, Output};

use renkei_testkit::Renkei;

/// What systemd says of this unit of the operators' pages, with the built program in place of the installed one.
fn verified(name: &str, change: impl Fn(String) -> String) -> Output {
    let pages = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/operators");
    let unit = std::fs::read_to_string(pages.join(name)).unwrap();
    let renkei = Renkei::built().unwrap();
    let program = renkei.program().to_str().unwrap();
    assert!(unit.contains("ExecStart=/usr/local/bin/renkei "), "{unit}");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, change(unit.replace("/usr/local/bin/renkei", program))).unwrap();
    let mut command = Command::new("systemd-analyze");
    // The manual's pages are not installed where this runs.
    command.args(["verify", "--man=no"]).arg(path);
    command.output().unwrap()
}

#[test]
fn systemd_has_nothing_to_say_against_the_units() {
    for name in ["renkei-hub.service", "renkei-site.service"] {
        let output = verified(name, |unit| unit);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && said.is_empty(), "{name}: {said}");
    }
}

#[test]
fn systemd_would_tell_a_key_that_it_does_not_know() {
    let output = verified("renkei-site.service", |unit| unit.replace("KillMode=", "KilMode="));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("KilMode"), "{said}");
}

#[test]
fn a_restart_of_the_agent_leaves_the_guests() {
    let unit = include_str!("../../../../docs/operators/renkei-site.service");
    for line in ["KillMode=process", "Delegate=yes"] {
        assert!(unit.lines().any(|is| is == line), "{line}");
    }
}

#[test]
fn the_commands_of_the_units_are_commands() {
    for unit in [
        include_str!("../../../../docs/operators/renkei-hub.service"),
        include_str!("../../../../docs/operators/renkei-site.service"),
    ] {
        let start = unit.lines().find_map(|line| line.strip_prefix("ExecStart=")).unwrap();
        let words = start.split_whitespace().skip(1).map(|word| {
            // No such file: the program gets as far as reading it.
            if word.starts_with('/') {
                "/nonexistent.toml"
            } else {
                word
            }
        });
        let mut command = Renkei::built().unwrap().command();
        let output = command.args(words).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains("/nonexistent.toml"), "{start}: {said}");
    }
}
