//! What is told while it happens, and names that only the hub knows.

use renkei_testkit::renkei::Running;
use renkei_testkit::wait;
use serde_json::Value;

use super::support::{Hub, Person};

#[test]
fn the_audit_is_followed_over_a_restart_of_the_hub() {
    let mut hub = Hub::start();
    let admin = hub.administrator();
    let follow = |words: &[&str]| {
        let mut command = admin.command(admin.program().to_str().unwrap());
        command.args(words);
        Running::start(command).unwrap()
    };
    // Everything from the beginning, and only what comes.
    let all = follow(&["audit", "--follow", "--after", "0", "--json"]);
    let seen = |running: &Running| -> Vec<Value> {
        let told = running.stdout();
        let whole = told.rfind('\n').map_or("", |end| &told[..end]);
        whole.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    wait::until("the first event", || !seen(&all).is_empty()).unwrap();
    let before = seen(&all).len();
    admin.done(&["org", "create", "one"]);
    wait::until("an event that happens", || seen(&all).len() > before).unwrap();
    let listen = hub.url.strip_prefix("http://").unwrap().to_owned();
    hub.stop();
    wait::until("the stream to complain", || all.stderr().contains("trying again")).unwrap();
    hub.start_again(&listen);
    admin.done(&["org", "create", "two"]);
    let names = || -> Vec<Value> { seen(&all).iter().map(|event| event["object_name"].clone()).collect() };
    wait::until("what happened after the restart", || names().contains(&"two".into())).unwrap();
    let ids: Vec<i64> = seen(&all).iter().map(|event| event["id"].as_i64().unwrap()).collect();
    assert_eq!(
        ids,
        (1..=ids.len() as i64).collect::<Vec<_>>(),
        "none twice, none left out"
    );
    all.interrupt();
    let refused = admin.refused(1, &["audit", "follow", "-p", "nothing"]);
    assert!(refused.contains("there is no project"), "{refused}");
}

fn completed(person: &Person, words: &[&str]) -> Vec<String> {
    let mut command = person.command(person.program().to_str().unwrap());
    command.arg("--").arg("renkei").args(words);
    command.env("RENKEI_COMPLETE", "bash").env("_CLAP_IFS", "\n");
    command.env("_CLAP_COMPLETE_INDEX", words.len().to_string());
    let outcome = Running::start(command).unwrap().finish().unwrap();
    assert_eq!((outcome.code(), outcome.stderr.as_str()), (Some(0), ""), "{words:?}");
    outcome.stdout.lines().map(|line| line.trim_end().to_owned()).collect()
}

#[test]
fn names_that_the_hub_knows_are_completed() {
    let mut hub = Hub::start();
    let admin = hub.administrator();
    for org in ["physics", "Philosophy", "chemistry"] {
        admin.done(&["org", "create", org]);
    }
    admin.done(&["project", "create", "lab", "--org", "physics"]);
    let mut names = completed(&admin, &["org", "show", "ph"]);
    names.sort();
    assert_eq!(names, ["Philosophy", "physics"]);
    assert_eq!(completed(&admin, &["quota", "list", "-p", "l"]), ["lab"]);
    assert_eq!(completed(&admin, &["member", "add", "-p", "lab", "ad"]), ["admin"]);
    assert_eq!(
        completed(&admin, &["project", "create", "x", "--org", "che"]),
        ["chemistry"]
    );
    // What is made anew has no name yet.
    assert!(!completed(&admin, &["org", "create", "ph"]).contains(&"physics".to_owned()));
    // A hub that is not there completes nothing, and complains of nothing.
    hub.stop();
    assert!(completed(&admin, &["org", "show", "ph"]).is_empty());
}

#[test]
fn what_is_so_at_once_is_not_waited_for() {
    let hub = Hub::start();
    let admin = hub.administrator();
    let told = admin.done(&["org", "create", "cs", "--wait"]);
    assert!(told.starts_with("created organization `cs`"), "{told}");
    admin.done(&["project", "create", "lab", "--org", "cs", "--wait"]);
    admin.done(&["project", "delete", "lab", "--yes", "--wait"]);
    assert_eq!(admin.run(&["org", "delete", "cs", "--plan", "--wait"]).code(), Some(2));
}
