//! The life of each noun: made, listed, shown, changed, frozen, deleted, by name and by id, as a plan and for real.

use serde_json::json;

use super::support::{Hub, Person};

#[test]
fn an_organization_lives_and_dies() {
    let hub = Hub::start();
    let admin = hub.administrator();
    let made = admin.done(&["org", "create", "計算科学", "--description", "a\u{1b}[2Jb"]);
    assert!(made.starts_with("created organization `計算科学`, id "), "{made}");
    let list = admin.done(&["org", "list"]);
    assert!(list.contains("計算科学") && !list.contains('\u{1b}'), "{list}");
    let shown = admin.json(&["org", "show", "計算科学"]);
    assert_eq!(shown["description"], "a\u{1b}[2Jb");

    admin.done(&["org", "change", "計算科学", "--name", "cs"]);
    let id = shown["id"].as_str().expect("an id");
    assert_eq!(admin.json(&["org", "show", id])["name"], "cs");

    admin.done(&["org", "freeze", "cs", "--reason", "audit", "--until", "2d"]);
    assert!(admin.done(&["org", "show", "cs"]).contains("by admin: audit"));
    admin.done(&["org", "thaw", "cs"]);
    assert_eq!(admin.json(&["org", "show", "cs"])["freeze"], json!(null));

    admin.done(&["org", "delete", "cs", "--yes"]);
    assert!(
        admin
            .refused(1, &["org", "show", "cs"])
            .contains("there is no organization `cs`")
    );
}

/// An organization with a project, and a site.
fn lab(admin: &Person) {
    admin.done(&["org", "create", "cs"]);
    admin.done(&["project", "create", "lab", "--org", "cs", "--contact", "a@example.org"]);
    admin.done(&["site", "create", "hakusan"]);
}

#[test]
fn a_project_lives_and_dies() {
    let hub = Hub::start();
    let admin = hub.administrator();
    lab(&admin);
    let list = admin.done(&["project", "list", "--org", "cs"]);
    let row = list.lines().find(|line| line.starts_with("lab ")).expect("a row");
    assert!(
        row.contains(" cs ") && row.contains("shared") && row.contains("never"),
        "{list}"
    );

    admin.done(&[
        "project",
        "change",
        "lab",
        "--type",
        "dedicated",
        "--expires",
        "2030-03-31",
    ]);
    let shown = admin.json(&["project", "show", "lab"]);
    assert_eq!(shown["type"], "dedicated");
    assert_eq!(shown["expires"], "2030-03-31T00:00:00Z");
    assert_eq!(shown["contact"], "a@example.org", "what was not named stays");

    let still = admin.refused(1, &["org", "delete", "cs", "--yes"]);
    assert!(still.contains("`lab`") && still.contains("hint: "), "{still}");
    admin.done(&["project", "delete", "lab", "--yes"]);
    assert_eq!(admin.json(&["project", "list"]), json!([]));
}

#[test]
fn a_plan_says_what_would_happen_and_changes_nothing() {
    let hub = Hub::start();
    let admin = hub.administrator();
    lab(&admin);
    let plan = admin.done(&["project", "change", "lab", "--contact", "b@example.org", "--plan"]);
    assert!(plan.contains("would change project `lab`"), "{plan}");
    assert!(
        plan.contains("contact  \"a@example.org\" -> \"b@example.org\""),
        "{plan}"
    );
    assert_eq!(admin.json(&["project", "show", "lab"])["contact"], "a@example.org");

    let outcome = admin.run(&["org", "delete", "cs", "--plan"]);
    assert_eq!(outcome.code(), Some(1), "{}", outcome.text());
    assert!(outcome.text().contains("`lab`"), "{}", outcome.text());
    assert!(
        admin
            .done(&["project", "delete", "lab", "--plan"])
            .contains("would delete project `lab`")
    );
    assert_eq!(admin.json(&["project", "show", "lab"])["name"], "lab");
}

#[test]
fn what_destroys_needs_a_yes() {
    let hub = Hub::start();
    let admin = hub.administrator();
    lab(&admin);
    for words in [
        &["project", "delete", "lab"][..],
        &["site", "delete", "hakusan"],
        &["member", "remove", "admin", "-p", "lab"],
    ] {
        let told = admin.refused(1, words);
        assert!(told.contains("hint: "), "{words:?}: {told}");
    }
    assert_eq!(admin.json(&["project", "list"]).as_array().expect("a list").len(), 1);
    // And the one that `up` makes.
    assert_eq!(admin.json(&["site", "list"]).as_array().expect("a list").len(), 2);
}

#[test]
fn limits_that_are_not_named_stay() {
    let hub = Hub::start();
    let admin = hub.administrator();
    lab(&admin);
    admin.done(&[
        "quota", "set", "hakusan", "-p", "lab", "--vms", "10", "--memory", "64G", "--disk", "1T",
    ]);
    admin.done(&["quota", "set", "hakusan", "-p", "lab", "--vcpus", "32"]);
    let limit = &admin.json(&["quota", "show", "hakusan", "-p", "lab"])["limit"];
    assert_eq!(limit["vms"], 10);
    assert_eq!(limit["vcpus"], 32);
    assert_eq!(limit["memory_mib"], 65_536);
    assert_eq!(limit["disk_gib"], 1024);
    let list = admin.done(&["quota", "list", "-p", "lab"]);
    assert!(list.contains("hakusan") && list.contains("0 MiB of 64 GiB"), "{list}");
    admin.done(&["quota", "delete", "hakusan", "-p", "lab", "--yes"]);
    assert_eq!(admin.json(&["quota", "list", "-p", "lab"]), json!([]));
}

#[test]
fn operators_of_a_site_are_added_and_removed_one_by_one() {
    let hub = Hub::start();
    let admin = hub.administrator();
    admin.done(&["user", "create", "ada", "--no-password"]);
    admin.done(&["user", "create", "bob", "--no-password"]);
    admin.done(&["site", "create", "hakusan", "--operator", "ada"]);
    admin.done(&["site", "change", "hakusan", "--add-operator", "bob"]);
    let list = admin.done(&["site", "list"]);
    assert!(list.contains("ada, bob") || list.contains("bob, ada"), "{list}");
    admin.done(&[
        "site",
        "change",
        "hakusan",
        "--remove-operator",
        "ada",
        "--description",
        "the first",
    ]);
    let shown = admin.done(&["site", "show", "hakusan"]);
    assert!(
        shown.contains("bob") && !shown.contains("ada") && shown.contains("the first"),
        "{shown}"
    );
    admin.done(&["site", "delete", "hakusan", "--yes"]);
}

#[test]
fn the_project_may_come_from_the_environment() {
    let hub = Hub::start();
    let admin = hub.administrator();
    lab(&admin);
    let mut command = admin.command("setsid");
    command
        .arg(admin.program())
        .args(["member", "list"])
        .env("RENKEI_PROJECT", "lab");
    let output = command.output().expect("it starts");
    assert!(String::from_utf8_lossy(&output.stdout).contains("admin"), "{output:?}");
    assert!(admin.refused(2, &["member", "list"]).contains("--project"));
}

#[test]
fn a_name_of_nothing_is_named() {
    let hub = Hub::start();
    let admin = hub.administrator();
    lab(&admin);
    for (words, named) in [
        (&["project", "show", "nope"][..], "project `nope`"),
        (&["project", "create", "x", "--org", "nope"], "organization `nope`"),
        (&["member", "set", "nope", "-r", "owner", "-p", "lab"], "user `nope`"),
        (&["member", "show", "nope", "-p", "lab"], "member `nope`"),
        (&["quota", "show", "nope", "-p", "lab"], "site `nope`"),
        (&["token", "delete", "nope", "--yes"], "token `nope`"),
        (&["user", "show", "No Such"], "user `No Such`"),
    ] {
        let told = admin.refused(1, words);
        assert!(
            told.contains(&format!("there is no {named}")) && told.contains("hint: "),
            "{words:?}: {told}"
        );
    }
}
