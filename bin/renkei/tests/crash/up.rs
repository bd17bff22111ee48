//! `renkei up` over a database that was restored, without what a backup does not hold.

use std::path::Path;
use std::process::Command;

use renkei_testkit::process::run;
use renkei_testkit::renkei::{Outcome, Renkei, Running};
use renkei_testkit::wait;

fn up(renkei: &Renkei, data: &Path) -> Running {
    let mut command = renkei.command();
    command
        .args(["up", "--listen", "127.0.0.1:0", "--driver", "fake", "--data"])
        .arg(data);
    Running::start(command).unwrap()
}

/// Runs until the agent is connected, then ends it in order.
fn works(renkei: &Renkei, data: &Path) {
    let mut running = up(renkei, data);
    let connected = wait::until_some("the agent to be started", wait::PATIENCE, || {
        let begun = running.stdout().contains("driver fake");
        (begun || running.has_ended()).then_some(begun)
    });
    assert_eq!(connected.ok(), Some(true), "{}{}", running.stdout(), running.stderr());
    running.interrupt();
    let outcome = running.finish().unwrap();
    assert!(outcome.status.success(), "{}", outcome.text());
}

fn ends(renkei: &Renkei, data: &Path) -> Outcome {
    let outcome = up(renkei, data).finish().unwrap();
    assert_eq!(outcome.code(), Some(1), "{}", outcome.text());
    outcome
}

#[test]
fn what_is_missing_beside_a_restored_database_is_named() {
    let renkei = Renkei::built().unwrap();
    let (old, new) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    works(&renkei, old.path());
    let backup = old.path().join("backup");
    let admin = |words: &[&str], data: &Path| {
        let mut command = renkei.command();
        command.arg("admin").args(words).arg(&backup).arg("--data").arg(data);
        run(&mut command).unwrap();
    };
    admin(&["backup"], old.path());
    admin(&["restore"], new.path());
    let bring = |name: &str| run(Command::new("cp").arg("-a").arg(old.path().join(name)).arg(new.path())).unwrap();

    let told = ends(&renkei, new.path()).stderr;
    assert!(told.contains("sealed with a master key, and there is none"), "{told}");
    assert!(told.contains("hint: put the file `master.key` back"), "{told}");
    // Nothing stands where it has to be put.
    assert!(!new.path().join("master.key").exists());
    bring("master.key");

    let told = ends(&renkei, new.path()).stderr;
    assert!(
        told.contains("cannot join its own hub") && told.contains("put the folder `site`"),
        "{told}"
    );
    // What the attempt has left is in nobody's way.
    std::fs::remove_dir_all(new.path().join("site")).unwrap();
    bring("site");
    works(&renkei, new.path());
}
