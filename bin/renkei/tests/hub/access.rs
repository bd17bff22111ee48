//! Tokens, operations and the audit.

use serde_json::json;

use super::support::Hub;

#[test]
fn a_token_is_shown_once_and_does_what_its_scopes_say() {
    let hub = Hub::start();
    let admin = hub.administrator();
    let said = admin.done(&["token", "create", "ci", "--scope", "*:read", "--expires", "30d"]);
    let (_, secret) = said.split_once("secret: ").expect("a secret");
    let secret = secret.lines().next().expect("a line");
    let ci = hub.person().with_token(secret);
    ci.done(&["org", "list"]);
    let told = ci.refused(1, &["org", "create", "cs"]);
    assert!(told.contains("organization:write"), "{told}");
    for words in [
        &["token", "list"][..],
        &["token", "list", "--json"],
        &["token", "show", "ci"],
        &["audit", "list", "--json"],
    ] {
        assert!(!admin.done(words).contains(secret), "{words:?}");
    }
    // Signing out ends sessions, not what was made to last.
    ci.refused(3, &["logout"]);
    ci.done(&["org", "list"]);
    admin.done(&["token", "revoke", "ci", "--yes"]);
    ci.refused(3, &["org", "list"]);
}

#[test]
fn a_token_may_be_for_one_project_and_be_frozen() {
    let hub = Hub::start();
    let admin = hub.administrator();
    admin.done(&["org", "create", "cs"]);
    admin.done(&["project", "create", "lab", "--org", "cs"]);
    admin.done(&["project", "create", "other", "--org", "cs"]);
    let issued = admin.json(&["token", "create", "ci", "-s", "*", "-p", "lab"]);
    let ci = hub.person().with_token(issued["secret"].as_str().expect("a secret"));
    ci.done(&["project", "show", "lab"]);
    let other = admin.json(&["project", "show", "other"])["id"].clone();
    ci.refused(1, &["project", "show", other.as_str().expect("an id")]);
    admin.done(&["token", "freeze", "ci", "--reason", "leaked"]);
    assert_ne!(ci.run(&["project", "show", "lab"]).code(), Some(0));
    admin.done(&["token", "thaw", "ci"]);
    ci.done(&["project", "show", "lab"]);
}

#[test]
fn a_name_of_several_tokens_asks_for_the_id() {
    let hub = Hub::start();
    let admin = hub.administrator();
    let first = admin.json(&["token", "create", "ci", "-s", "*:read"])["token"]["id"].clone();
    admin.done(&["token", "create", "ci", "-s", "*:read"]);
    let told = admin.refused(1, &["token", "delete", "ci", "--yes"]);
    assert!(told.contains("`ci` may be any of 2 tokens"), "{told}");
    admin.done(&["token", "delete", first.as_str().expect("an id"), "--yes"]);
    admin.done(&["token", "delete", "ci", "--yes"]);
}

#[test]
fn what_was_done_is_in_the_audit_and_the_chain_is_whole() {
    let hub = Hub::start();
    let admin = hub.administrator();
    admin.done(&["org", "create", "cs"]);
    let list = admin.done(&["audit", "list", "--noun", "organization", "--user", "admin"]);
    let row = list.lines().nth(1).expect("a row");
    assert!(
        row.contains("admin") && row.contains("organization:create") && row.contains("cs"),
        "{list}"
    );
    assert_eq!(
        admin
            .json(&["audit", "list", "--limit", "1"])
            .as_array()
            .expect("a list")
            .len(),
        1
    );
    assert!(admin.done(&["audit", "verify"]).contains("the chain is whole"));
    assert!(admin.json(&["audit", "head"])["hash"].is_string());
}

#[test]
fn who_may_not_see_the_audit_is_told_so() {
    let hub = Hub::start();
    let admin = hub.administrator();
    let ada = hub.member(&admin, "ada");
    assert!(ada.refused(1, &["audit", "head"]).contains("hint: "));
}

#[test]
fn operations_are_listed_and_one_that_is_not_there_is_told() {
    let hub = Hub::start();
    let admin = hub.administrator();
    assert_eq!(admin.json(&["operation", "list", "--state", "running"]), json!([]));
    let id = "0192d3c4-0000-7000-8000-000000000001";
    for verb in ["show", "wait"] {
        assert!(admin.refused(1, &["operation", verb, id]).contains("error: "), "{verb}");
    }
}
