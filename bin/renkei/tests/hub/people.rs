//! Users and members.

use serde_json::json;

use super::support::Hub;

#[test]
fn a_member_sees_what_the_role_lets_see() {
    let hub = Hub::start();
    let admin = hub.administrator();
    let ada = hub.member(&admin, "ada");
    admin.done(&["org", "create", "cs"]);
    admin.done(&["project", "create", "lab", "--org", "cs"]);
    assert_eq!(ada.json(&["project", "list"]), json!([]));

    let said = admin.done(&["member", "add", "ada", "--role", "reader", "-p", "lab"]);
    assert!(said.starts_with("set member `ada`"), "{said}");
    assert!(ada.done(&["whoami"]).contains("lab (reader)"));
    let told = ada.refused(1, &["project", "change", "lab", "--contact", "x"]);
    assert!(told.contains("hint: "), "{told}");

    admin.done(&["member", "set", "ada", "-r", "owner", "-p", "lab"]);
    ada.done(&["project", "change", "lab", "--contact", "x"]);
    assert_eq!(ada.json(&["member", "show", "admin", "-p", "lab"])["role"], "owner");
    ada.done(&["member", "remove", "admin", "-p", "lab", "--yes"]);
    let last = ada.refused(1, &["member", "remove", "ada", "-p", "lab", "--yes"]);
    assert!(last.contains("error: "), "{last}");
}

#[test]
fn an_owner_makes_members_without_being_an_administrator() {
    let hub = Hub::start();
    let admin = hub.administrator();
    let ada = hub.member(&admin, "ada");
    admin.done(&["user", "create", "bob", "--no-password"]);
    admin.done(&["org", "create", "cs"]);
    admin.done(&["project", "create", "lab", "--org", "cs", "--owner", "ada"]);
    ada.done(&["member", "add", "bob", "-r", "member", "-p", "lab"]);
    let list = ada.done(&["member", "list", "-p", "lab"]);
    assert!(
        list.lines()
            .any(|line| line.starts_with("bob ") && line.contains("member")),
        "{list}"
    );
}

#[test]
fn a_user_is_made_with_a_password_that_is_shown_once() {
    let hub = Hub::start();
    let admin = hub.administrator();
    let said = admin.done(&[
        "user",
        "create",
        "ada",
        "--full-name",
        "Ada Lovelace",
        "--email",
        "ada@example.org",
    ]);
    let (_, password) = said.split_once("one-time password: ").expect("a password");
    let password = password.lines().next().expect("a line");
    let ada = hub.person();
    ada.done_with(
        &["login", "-u", "ada", "--password-stdin"],
        &format!("{password}\nanother long secret\n"),
    );
    for words in [
        &["user", "show", "ada"][..],
        &["user", "list"],
        &["audit", "list", "--json"],
    ] {
        assert!(!admin.done(words).contains(password), "{words:?}");
    }
    assert!(admin.done(&["user", "show", "ada"]).contains("Ada Lovelace"));
    let plan = admin.done(&["user", "create", "eve", "--plan"]);
    assert!(
        plan.contains("would create user `eve`") && !plan.contains("one-time"),
        "{plan}"
    );
}

#[test]
fn a_user_who_is_frozen_or_not_enabled_can_do_nothing() {
    let hub = Hub::start();
    let admin = hub.administrator();
    let ada = hub.member(&admin, "ada");
    admin.done(&["user", "freeze", "ada", "--reason", "lost laptop"]);
    assert_ne!(ada.run(&["project", "list"]).code(), Some(0));
    admin.done(&["user", "thaw", "ada"]);
    ada.done(&["project", "list"]);
    admin.done(&["user", "change", "ada", "--enabled", "false"]);
    ada.refused(3, &["project", "list"]);
    admin.done(&["user", "delete", "ada", "--yes"]);
    assert!(!admin.done(&["user", "list"]).contains("ada"));
}
