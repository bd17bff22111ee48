//! Templates, presets, images and hosts, by name and by id.

use serde_json::json;

use super::support::{Hub, Person};

/// An organization with a project, and a site.
fn lab(admin: &Person) {
    admin.done(&["org", "create", "cs"]);
    admin.done(&["project", "create", "lab", "--org", "cs"]);
    admin.done(&["site", "create", "hakusan"]);
}

#[test]
fn a_hub_begins_with_a_catalog() {
    let hub = Hub::start();
    let admin = hub.administrator();
    let list = admin.done(&["template", "list"]);
    assert!(
        list.contains("UT-20220412-2043-ubuntu-2004-server") && list.contains("(public)"),
        "{list}"
    );
    let shown = admin.json(&["template", "show", "ut-20250205-1029-UBUNTU-2204-server"]);
    assert_eq!(shown["id"], "32da6d82-bdca-405e-9209-62044bd92923");
    assert_eq!(shown["login_username"], "mdxuser");
    let list = admin.done(&["preset", "list"]);
    assert!(list.contains("small") && list.contains("2 GiB"), "{list}");
}

#[test]
fn a_template_lives_is_published_and_dies() {
    let hub = Hub::start();
    let admin = hub.administrator();
    lab(&admin);
    let ada = hub.member(&admin, "ada");
    let made = admin.done(&[
        "template",
        "create",
        "ours-1",
        "-p",
        "lab",
        "--name",
        "Ours (lab)",
        "--min-disk",
        "10G",
        "--os-name",
        "Debian",
    ]);
    assert!(made.starts_with("created template `ours-1`, id "), "{made}");
    assert!(
        ada.refused(1, &["template", "show", "ours-1"])
            .contains("there is no template `ours-1`")
    );
    admin.done(&["template", "change", "ours-1", "--os-version", "12"]);
    let shown = admin.json(&["template", "show", "ours-1"]);
    assert_eq!(
        (&shown["os_name"], &shown["os_version"], &shown["min_disk_gib"]),
        (&json!("Debian"), &json!("12"), &json!(10)),
        "what was not named stays"
    );
    let plan = admin.done(&["template", "publish", "ours-1", "--plan"]);
    assert!(plan.contains("would change template `ours-1`"), "{plan}");
    admin.done(&["template", "publish", "ours-1"]);
    assert!(ada.done(&["template", "show", "ours-1"]).contains("Debian"));
    assert!(
        admin
            .refused(1, &["template", "unpublish", "ours-1"])
            .contains("no image")
    );
    admin.done(&["template", "delete", "ours-1", "--yes"]);
    assert!(!admin.done(&["template", "list"]).contains("ours-1"));
}

#[test]
fn a_preset_lives_and_dies() {
    let hub = Hub::start();
    let admin = hub.administrator();
    admin.done(&["preset", "create", "tiny", "--vcpus", "1", "--memory", "512M"]);
    admin.done(&["preset", "change", "TINY", "--memory", "1G"]);
    let shown = admin.json(&["preset", "show", "tiny"]);
    assert_eq!((&shown["vcpus"], &shown["memory_mib"]), (&json!(1), &json!(1024)));
    assert!(admin.refused(1, &["preset", "delete", "tiny"]).contains("hint: "));
    admin.done(&["preset", "delete", "tiny", "--yes"]);
    assert!(
        admin
            .refused(1, &["preset", "show", "tiny"])
            .contains("there is no preset `tiny`")
    );
}

#[test]
fn what_is_not_there_is_named() {
    let hub = Hub::start();
    let admin = hub.administrator();
    lab(&admin);
    assert_eq!(admin.json(&["image", "list"]), json!([]));
    assert_eq!(admin.json(&["host", "list", "--site", "hakusan"]), json!([]));
    for (words, named) in [
        (&["image", "delete", "nope", "--yes"][..], "image `nope`"),
        (&["host", "show", "nope"], "host `nope`"),
        (&["host", "fenced", "nope", "--yes"], "host `nope`"),
        (&["host", "unknown", "nope"], "host `nope`"),
        (&["template", "create", "x", "-p", "nope"], "project `nope`"),
    ] {
        let told = admin.refused(1, words);
        assert!(told.contains(&format!("there is no {named}")), "{words:?}: {told}");
    }
}
