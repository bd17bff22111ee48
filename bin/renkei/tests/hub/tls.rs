//! A hub with a certificate.

use std::net::Ipv4Addr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use rcgen::{CertifiedKey, generate_simple_self_signed};
use renkei_testkit::renkei::{Renkei, Running};
use renkei_testkit::wait;
use tempfile::TempDir;

/// Certificate, key and configuration in a folder.
fn configured(listen: &str, tls: &str) -> (TempDir, Renkei) {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    std::fs::write(at("hub.pem"), cert.pem()).unwrap();
    write_secret(&at("hub.key"), &signing_key.serialize_pem(), 0o600);
    let path = folder.path().display();
    let config = format!(
        "[hub]\nlisten = \"{listen}\"\ndatabase = \"sqlite:{path}/hub.sqlite\"\n{}",
        tls.replace("DIR", &path.to_string())
    );
    std::fs::write(at("renkei.toml"), config).unwrap();
    (folder, Renkei::built().unwrap())
}

const TLS: &str = "[hub.tls]\ncertificate = \"DIR/hub.pem\"\nkey = \"DIR/hub.key\"\n";

fn write_secret(path: &Path, text: &str, mode: u32) {
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

fn serve(renkei: &Renkei, folder: &Path) -> Running {
    let mut command = renkei.command();
    command.arg("serve").arg("--config").arg(folder.join("renkei.toml"));
    Running::start(command).unwrap()
}

#[test]
fn a_trusted_certificate_lets_people_in_and_another_does_not() {
    let (folder, renkei) = configured(&format!("{}:0", Ipv4Addr::LOCALHOST), TLS);
    let hub = serve(&renkei, folder.path());
    let told = wait::until_some("the hub to listen", wait::PATIENCE, || {
        let told = hub.stdout();
        (told.contains("one-time password: ") && told.ends_with('\n')).then_some(told)
    })
    .unwrap();
    let port = told
        .lines()
        .find_map(|line| line.strip_prefix("listening on https://127.0.0.1:"))
        .unwrap();
    let url = format!("https://localhost:{port}");
    let whoami = |trusted: &Path| {
        let mut command = renkei.command();
        command
            .args(["whoami", "--hub", &url])
            .env("RENKEI_TOKEN", "made up")
            .env("SSL_CERT_FILE", trusted);
        Running::start(command).unwrap().finish().unwrap().text()
    };
    let known = whoami(&folder.path().join("hub.pem"));
    assert!(known.contains("a token begins with `renkei_`"), "{known}");
    let (other, _) = configured("127.0.0.1:0", TLS);
    let unknown = whoami(&other.path().join("hub.pem"));
    assert!(unknown.contains("certificate"), "{unknown}");
    hub.interrupt();
    assert!(hub.finish().unwrap().status.success());
}

#[test]
fn without_tls_it_listens_on_this_machine_only() {
    let (folder, renkei) = configured("0.0.0.0:0", "");
    let outcome = serve(&renkei, folder.path()).finish().unwrap();
    assert_eq!(outcome.status.code(), Some(1));
    assert!(
        outcome.text().contains("will not listen on 0.0.0.0:0 without TLS"),
        "{}",
        outcome.text()
    );
}

#[test]
fn a_key_that_others_can_read_is_refused() {
    let (folder, renkei) = configured("127.0.0.1:0", TLS);
    let key = folder.path().join("hub.key");
    let text = std::fs::read_to_string(&key).unwrap();
    write_secret(&key, &text, 0o644);
    let outcome = serve(&renkei, folder.path()).finish().unwrap();
    assert_eq!(outcome.status.code(), Some(1));
    assert!(
        outcome.text().contains("can be read by others (mode 644)"),
        "{}",
        outcome.text()
    );
}

#[test]
fn a_new_certificate_is_shown_without_a_new_start() {
    let (folder, renkei) = configured("127.0.0.1:0", TLS);
    let hub = serve(&renkei, folder.path());
    let told = wait::until_some("the hub to listen", wait::PATIENCE, || {
        let told = hub.stdout();
        (told.contains("one-time password: ") && told.ends_with('\n')).then_some(told)
    })
    .unwrap();
    let port = told
        .lines()
        .find_map(|line| line.strip_prefix("listening on https://127.0.0.1:"));
    let url = format!("https://localhost:{}", port.unwrap());
    let is_trusted = |certificate: &Path| {
        let mut command = renkei.command();
        command
            .args(["whoami", "--hub", &url])
            .env("RENKEI_TOKEN", "made up")
            .env("SSL_CERT_FILE", certificate);
        let told = Running::start(command).unwrap().finish().unwrap().text();
        told.contains("a token begins with `renkei_`")
    };
    let (old, shown) = (folder.path().join("old.pem"), folder.path().join("hub.pem"));
    std::fs::copy(&shown, &old).unwrap();
    // The certificate alone does not go with the key: the old one stays.
    let (new, _other) = configured("127.0.0.1:0", TLS);
    std::fs::copy(new.path().join("hub.pem"), &shown).unwrap();
    wait::until("the hub to complain", || {
        hub.stderr().contains("the old one is still shown")
    })
    .unwrap();
    assert!(is_trusted(&old) && !is_trusted(&shown));
    let key = std::fs::read_to_string(new.path().join("hub.key")).unwrap();
    write_secret(&folder.path().join("hub.key"), &key, 0o600);
    wait::until("the new one to be shown", || is_trusted(&shown)).unwrap();
    assert!(!is_trusted(&old));
    hub.interrupt();
    assert!(hub.finish().unwrap().status.success());
}

#[test]
fn an_authority_that_was_named_once_is_remembered_for_its_hub() {
    let (folder, renkei) = configured("127.0.0.1:0", TLS);
    let hub = serve(&renkei, folder.path());
    let told = wait::until_some("the hub to listen", wait::PATIENCE, || {
        let told = hub.stdout();
        (told.contains("one-time password: ") && told.ends_with('\n')).then_some(told)
    })
    .unwrap();
    let after = |words: &str| told.split_once(words).unwrap().1.lines().next().unwrap().to_owned();
    let url = format!("https://localhost:{}", after("listening on https://127.0.0.1:"));
    let password = after("one-time password: ");
    let run = |words: &[&str]| {
        let mut command = renkei.command();
        let input = folder.path().join("passwords");
        std::fs::write(&input, format!("{password}\ncorrect horse battery\n")).unwrap();
        command.args(words).env("RENKEI_HUB", &url).env_remove("RENKEI_TOKEN");
        // What this machine trusts has nothing to do with it.
        command.env("SSL_CERT_FILE", folder.path().join("hub.key"));
        command.stdin(std::fs::File::open(&input).unwrap());
        Running::start(command).unwrap().finish().unwrap()
    };
    let ca = folder.path().join("hub.pem");
    let login = ["login", "--user", "admin", "--password-stdin", "--ca"];
    let (other, _) = configured("127.0.0.1:0", TLS);
    let stranger = run(&[&login[..], &[other.path().join("hub.pem").to_str().unwrap()]].concat());
    assert_eq!(stranger.code(), Some(3), "{}", stranger.text());
    let nothing = run(&[&login[..], &[folder.path().join("hub.key").to_str().unwrap()]].concat());
    assert!(
        nothing.code() != Some(0) && nothing.text().contains("cannot use the authorities in"),
        "{}",
        nothing.text()
    );
    let signed_in = run(&[&login[..], &[ca.to_str().unwrap()]].concat());
    assert_eq!(signed_in.code(), Some(0), "{}", signed_in.text());
    let who = run(&["whoami"]);
    assert_eq!(who.code(), Some(0), "{}", who.text());
    hub.interrupt();
    assert!(hub.finish().unwrap().status.success());
}
