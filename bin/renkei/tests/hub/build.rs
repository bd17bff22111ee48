//! Building templates: for the host of this computer, with and without a hub that is told of it.

use serde_json::json;

use super::support::Hub;

#[test]
fn a_built_template_is_where_the_host_finds_it_and_in_the_catalog() {
    let hub = Hub::start();
    let admin = hub.administrator();
    let data = hub.data().to_str().unwrap();
    let words = ["template", "build", "small", "--data", data];
    let built = admin.run(&words);
    assert_eq!(built.code(), Some(0), "{}", built.text());
    let images = hub.data().join("site/images");
    assert!(
        built
            .stdout
            .contains(&format!("built template `renkei-small` into `{}`", images.display())),
        "{}",
        built.text()
    );
    assert!(built.stderr.contains("fetching") && built.stderr.contains("hint: `renkei vm deploy"));
    let bundle = std::fs::read_to_string(images.join("templates/renkei-small.json")).unwrap();
    let template = admin.json(&["template", "show", "renkei-small"]);
    assert_eq!(
        (&template["login_username"], &template["min_disk_gib"]),
        (&json!("root"), &json!(1))
    );

    // Built again it is the same, and what is known of it is made right.
    admin.done(&["template", "change", "renkei-small", "--login-username", "somebody"]);
    let again = admin.json(&words);
    assert_eq!(again["registered"]["id"], template["id"]);
    assert_eq!(again["registered"]["login_username"], "root");
    assert_eq!(
        std::fs::read_to_string(images.join("templates/renkei-small.json")).unwrap(),
        bundle
    );
}

#[test]
fn without_a_session_it_is_built_and_told_how_the_hub_comes_to_know_it() {
    let hub = Hub::start();
    let folder = tempfile::tempdir().unwrap();
    let nobody = hub.person();
    let images = folder.path().to_str().unwrap();
    let built = nobody.run(&["template", "build", "small", "--images", images]);
    assert_eq!(built.code(), Some(0), "{}", built.text());
    let command = built
        .stderr
        .lines()
        .find(|line| line.starts_with("renkei template create renkei-small"));
    let command = command.unwrap_or_else(|| panic!("{}", built.text()));

    let admin = hub.administrator();
    let mut shell = admin.command("sh");
    shell
        .arg("-c")
        .arg(command.replacen("renkei", admin.program().to_str().unwrap(), 1));
    assert!(shell.status().unwrap().success(), "{command}");
    assert_eq!(
        admin.json(&["template", "show", "renkei-small"])["os_name"],
        "Renkei small"
    );
}

#[test]
fn without_a_host_nothing_is_built() {
    let hub = Hub::start();
    let nobody = hub.person();
    let folder = tempfile::tempdir().unwrap();
    let told = nobody.refused(
        1,
        &["template", "build", "small", "--data", folder.path().to_str().unwrap()],
    );
    assert!(
        told.contains("is not there") && told.contains("hint: `renkei up`"),
        "{told}"
    );
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}
