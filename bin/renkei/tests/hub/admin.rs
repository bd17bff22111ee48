//! `renkei admin`, beside a hub and without one.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use renkei_testkit::Postgres;
use renkei_testkit::renkei::{Outcome, Renkei, Running};
use serde_json::Value;
use tempfile::TempDir;

use super::support::{Hub, PASSWORD};

fn admin(words: &[&str]) -> Outcome {
    let mut command = Renkei::built().unwrap().command();
    command.arg("admin").args(words);
    Running::start(command).unwrap().finish().unwrap()
}

fn done(words: &[&str]) -> String {
    let outcome = admin(words);
    assert_eq!(outcome.code(), Some(0), "{words:?}: {}", outcome.text());
    outcome.stdout
}

fn refused(words: &[&str]) -> String {
    let outcome = admin(words);
    assert_eq!(outcome.code(), Some(1), "{words:?}: {}", outcome.text());
    outcome.text()
}

fn json(words: &[&str]) -> Value {
    let outcome = admin(&[words, &["--json"]].concat());
    serde_json::from_str(&outcome.stdout).unwrap_or_else(|error| panic!("{words:?}: {error}: {}", outcome.text()))
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// How a thing is, by the doctor's word.
fn health<'a>(findings: &'a Value, what: &str) -> &'a str {
    let found = findings
        .as_array()
        .unwrap()
        .iter()
        .find(|finding| finding["what"] == what);
    found.unwrap_or_else(|| panic!("nothing about {what}: {findings}"))["health"]
        .as_str()
        .unwrap()
}

#[test]
fn a_backup_of_a_running_hub_makes_another_hub() {
    let mut hub = Hub::start();
    let person = hub.administrator();
    person.done(&["org", "create", "cs"]);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("today");
    let data = hub.data().to_owned();
    let of = ["--data", text(&data)];
    let told = done(&[&["backup", text(&file)], &of[..]].concat());
    assert!(
        told.starts_with("backed up sqlite:") && told.contains("epoch 1"),
        "{told}"
    );
    let listed: Vec<_> = std::fs::read_dir(folder.path()).unwrap().collect();
    assert_eq!(listed.len(), 1, "nothing is left beside it");
    assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    // A backup is never written over another.
    let again = refused(&[&["backup", text(&file)], &of[..]].concat());
    assert!(again.contains("there is already something at"), "{again}");
    // What came after it is not in it.
    person.done(&["org", "create", "later"]);
    // Not into the hub that runs.
    let busy = refused(&[&["restore", text(&file), "--overwrite"], &of[..]].concat());
    assert!(busy.contains("in use"), "{busy}");
    hub.stop();
    let full = refused(&[&["restore", text(&file)], &of[..]].concat());
    assert!(full.contains("the database is not empty: it has "), "{full}");
    let plan = refused(&[&["restore", text(&file), "--plan"], &of[..]].concat());
    assert!(
        plan.contains("is whole: ") && plan.contains("would be refused: "),
        "{plan}"
    );

    let other = TempDir::new().unwrap();
    let deeper = other.path().join("not/there/yet");
    done(&["restore", text(&file), "--data", text(&deeper)]);
    assert_eq!(deeper.metadata().unwrap().permissions().mode() & 0o777, 0o700);
    let into = ["--data", text(other.path())];
    let plan = done(&[&["restore", text(&file), "--plan"], &into[..]].concat());
    assert!(plan.contains("would restore it into"), "{plan}");
    let told = done(&[&["restore", text(&file)], &into[..]].concat());
    assert!(told.contains("epoch 2 begins") && told.contains(" holds"), "{told}");
    // What is sealed needs the key that it was sealed with: it is not in a backup.
    std::fs::copy(data.join("master.key"), other.path().join("master.key")).unwrap();
    bring_site(&data, other.path());
    let hub = Hub::over(other);
    let person = hub.person();
    person.done_with(&["login", "-u", "admin", "--password-stdin"], &format!("{PASSWORD}\n"));
    let names = person.json(&["org", "list"]);
    let names: Vec<_> = names
        .as_array()
        .unwrap()
        .iter()
        .map(|org| org["name"].clone())
        .collect();
    assert_eq!(names, ["cs"]);
    let events = person.json(&["audit", "list", "--noun", "hub"]);
    assert_eq!(
        (&events[0]["action"], &events[0]["after"]["epoch"]),
        (&"hub:restore".into(), &2.into())
    );
}

#[test]
fn a_hub_moves_from_sqlite_to_postgres() {
    let mut hub = Hub::start();
    let person = hub.administrator();
    person.done(&["org", "create", "cs"]);
    hub.stop();
    let file = hub.data().join("moving");
    done(&["backup", text(&file), "--data", text(hub.data())]);
    let server = Postgres::start().unwrap();
    let url = server.url(&server.create().unwrap());
    let key = hub.data().join("master.key");
    let of = ["--database", &url, "--master-key", text(&key)];
    let told = json(&[&["restore", text(&file)], &of[..]].concat());
    assert_eq!((&told["epoch"], &told["audit"]["whole"]), (&2.into(), &true.into()));
    let findings = json(&[&["doctor"], &of[..]].concat());
    for what in ["database", "audit", "clock", "master key"] {
        assert_eq!(health(&findings, what), "ok", "{findings}");
    }
    let head = json(&[&["audit", "head"], &of[..]].concat());
    assert_eq!(
        head["length"],
        json(&["audit", "head", "--data", text(hub.data())])["length"]
    );
    assert!(done(&[&["audit", "verify"], &of[..]].concat()).contains(" holds"));
    // And back again.
    let back = hub.data().join("back");
    done(&[&["backup", text(&back)], &of[..]].concat());
    let data = TempDir::new().unwrap();
    done(&["restore", text(&back), "--data", text(data.path())]);
    std::fs::copy(&key, data.path().join("master.key")).unwrap();
    bring_site(key.parent().unwrap(), data.path());
    let hub = Hub::over(data);
    let person = hub.person();
    person.done_with(&["login", "-u", "admin", "--password-stdin"], &format!("{PASSWORD}\n"));
    assert_eq!(person.json(&["org", "list"])[0]["name"], "cs");
}

#[test]
fn the_doctor_finds_what_is_wrong_and_says_what_to_do() {
    let mut hub = Hub::start();
    hub.administrator();
    let data = hub.data().to_owned();
    let of = ["doctor", "--data", text(&data)];
    let told = done(&of);
    assert!(told.lines().any(|line| line.starts_with("ok        audit")), "{told}");
    hub.stop();
    let database = data.join("hub.sqlite");
    let mode = |mode| std::fs::set_permissions(&database, std::fs::Permissions::from_mode(mode)).unwrap();
    mode(0o644);
    let told = refused(&of);
    assert!(
        told.contains("problem   database file") && told.contains("next: it holds hashes"),
        "{told}"
    );
    assert_eq!(health(&json(&of), "database file"), "problem");
    mode(0o600);
    done(&of);
    let key = data.join("master.key");
    std::fs::rename(&key, data.join("away")).unwrap();
    assert_eq!(health(&json(&of), "master key"), "warning");
    // Of what it only looked at nothing was made.
    assert!(!key.exists());
    let nowhere = ["doctor", "--database", "sqlite:/nowhere/at/all"];
    assert_eq!(health(&json(&nowhere), "data folder"), "problem");
    assert!(refused(&nowhere).contains("next: "));
}

#[test]
fn a_damaged_backup_and_a_final_schema_are_refused() {
    let mut hub = Hub::start();
    hub.stop();
    let data = text(hub.data());
    let file = hub.data().join("backup");
    done(&["backup", text(&file), "--data", data]);
    let mut bytes = std::fs::read(&file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    let damaged = hub.data().join("damaged");
    std::fs::write(&damaged, bytes).unwrap();
    let other = TempDir::new().unwrap();
    let told = refused(&["restore", text(&damaged), "--data", text(other.path())]);
    assert!(told.contains("damaged at line") && told.contains("hint: "), "{told}");
    assert_eq!(std::fs::read_dir(other.path()).unwrap().count(), 0);
    let told = refused(&["migrate", "--rollback", "--data", data]);
    assert!(told.contains("is final: there is no way back"), "{told}");
    assert!(done(&["migrate", "--finalise", "--data", data]).contains("is final"));
    assert_eq!(admin(&["migrate", "--data", data]).code(), Some(2));
}

/// The host is the same one with its folder only: another one would not get its name.
fn bring_site(from: &std::path::Path, to: &std::path::Path) {
    let copied = std::process::Command::new("cp")
        .arg("-a")
        .arg(from.join("site"))
        .arg(to)
        .status();
    assert!(copied.unwrap().success());
}
