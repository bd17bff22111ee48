//! Signing in and out, and what is remembered of it.

use std::os::unix::fs::PermissionsExt as _;

use serde_json::Value;

use super::support::{Hub, PASSWORD};

#[test]
fn a_first_sign_in_chooses_a_password_and_a_second_does_not() {
    let hub = Hub::start();
    let admin = hub.administrator();
    let who = admin.done(&["whoami"]);
    assert!(who.contains("admin") && who.contains(&hub.url), "{who}");
    let again = hub.person();
    again.done_with(&["login", "-u", "admin", "--password-stdin"], &format!("{PASSWORD}\n"));
    assert_eq!(again.json(&["whoami"])["must_change_password"], Value::Bool(false));
}

#[test]
fn a_one_time_password_without_a_new_one_signs_nobody_in() {
    let hub = Hub::start();
    let person = hub.person();
    let outcome = person.run_with(&["login", "-u", "admin", "--password-stdin"], &hub.one_time_password);
    assert_eq!(outcome.code(), Some(1), "{}", outcome.text());
    assert!(outcome.stderr.contains("no new password"), "{}", outcome.text());
    assert!(!person.profile().exists());
}

#[test]
fn the_session_is_the_owners_secret_and_ends_with_logout() {
    let hub = Hub::start();
    let admin = hub.administrator();
    let mode = std::fs::metadata(admin.profile())
        .expect("a profile")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    let remembered = std::fs::read_to_string(admin.profile()).expect("a profile");
    admin.done(&["logout"]);
    assert!(admin.refused(3, &["whoami"]).contains("hint: `renkei login`"));
    // Also at the hub: the token that was remembered works no more.
    std::fs::write(admin.profile(), remembered).expect("written");
    assert!(admin.refused(3, &["whoami"]).contains("hint: "));
    assert!(admin.done(&["logout"]).contains("signed out"));
}

#[test]
fn a_wrong_password_is_not_repeated_anywhere() {
    let hub = Hub::start();
    let person = hub.person();
    let outcome = person.run_with(&["login", "-u", "admin", "--password-stdin"], "a wrong password\n");
    assert_eq!(outcome.code(), Some(3), "{}", outcome.text());
    assert!(!outcome.text().contains("a wrong password"));
    assert!(!person.profile().exists());
}

#[test]
fn a_token_is_shown_to_no_other_hub() {
    let hub = Hub::start();
    let mut admin = hub.administrator();
    let other = Hub::start();
    admin.url.clone_from(&other.url);
    assert!(
        admin
            .refused(3, &["whoami"])
            .contains(&format!("not signed in at {}", other.url))
    );
}

#[test]
fn a_hub_that_is_gone_is_told_with_what_to_do() {
    let mut hub = Hub::start();
    let admin = hub.administrator();
    hub.stop();
    let told = admin.refused(3, &["org", "list"]);
    assert!(told.contains("cannot be reached") && told.contains("hint: "), "{told}");
    let outcome = admin.run(&["org", "list", "--json"]);
    let value: Value = serde_json::from_str(&outcome.stdout).expect("one value");
    assert_eq!(value["type"], "unreachable");
    assert_eq!(outcome.code(), Some(3));
}

#[test]
fn a_password_can_be_set_again_and_ends_the_session() {
    let hub = Hub::start();
    let admin = hub.administrator();
    let new = "another horse battery";
    let words = ["user", "password", "--password-stdin"];
    let wrong = admin.run_with(&words, &format!("not the right one\n{new}\n"));
    assert_ne!(wrong.code(), Some(0), "{}", wrong.text());
    admin.done_with(&words, &format!("{PASSWORD}\n{new}\n"));
    admin.refused(3, &["whoami"]);
    admin.done_with(&["login", "-u", "admin", "--password-stdin"], new);
    admin.done(&["whoami"]);
}
