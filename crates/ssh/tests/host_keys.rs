//! Host keys and certificates, against a real sshd.

mod support;

use renkei_ssh::ConnectErrorKind;
use renkei_testkit::Sshd;
use renkei_testkit::keys::{Certificate, KeyKind, KeyPair};
use support::{Person, chain, connect, dialer, options, options_with, speaks_sftp};

/// Replaces the keys in known_hosts by another one of the same kind.
fn forge_known_hosts(sshd: &Sshd) {
    let other = Sshd::builder().start().unwrap();
    let lines = std::fs::read_to_string(other.known_hosts()).unwrap();
    let port = |sshd: &Sshd| format!("]:{}", sshd.port());
    std::fs::write(sshd.known_hosts(), lines.replace(&port(&other), &port(sshd))).unwrap();
}

#[tokio::test]
async fn a_changed_host_key_is_refused_before_the_user_is_named() {
    let sshd = Sshd::builder().start().unwrap();
    forge_known_hosts(&sshd);
    let error = connect(&options(&sshd), &Person::absent()).await.unwrap_err();
    assert_eq!(error.kind(), ConnectErrorKind::HostKey, "{}", chain(&error));
    assert!(!error.is_transient());
    let place = format!("{}:1", sshd.known_hosts().display());
    assert!(error.to_string().contains(&place), "{error}");
    assert!(error.hint().unwrap().contains("ssh-keygen -R"), "{:?}", error.hint());
    for word in ["Accepted", "Failed", "authenticating user"] {
        assert_eq!(sshd.count_in_log(word), 0, "{}", sshd.log_text());
    }
}

#[tokio::test]
async fn a_host_known_by_rsa_only_is_not_changed_although_it_has_ed25519() {
    let sshd = Sshd::builder()
        .host_keys(&[KeyKind::Ed25519, KeyKind::Rsa])
        .known_host_keys(&[KeyKind::Rsa])
        .start()
        .unwrap();
    let connection = connect(&options(&sshd), &Person::absent()).await.unwrap();
    assert!(speaks_sftp(&connection).await);
}

#[tokio::test]
async fn a_host_known_only_by_a_type_that_it_no_longer_has_is_refused() {
    let sshd = Sshd::builder().host_keys(&[KeyKind::Ed25519]).start().unwrap();
    let old = Sshd::builder().host_keys(&[KeyKind::Ecdsa]).start().unwrap();
    let lines = std::fs::read_to_string(old.known_hosts()).unwrap();
    let lines = lines.replace(&format!("]:{}", old.port()), &format!("]:{}", sshd.port()));
    std::fs::write(sshd.known_hosts(), lines).unwrap();
    for strict in ["yes", "accept-new"] {
        let line = format!("StrictHostKeyChecking={strict}");
        let error = connect(&options_with(&sshd, &[&line]), &Person::absent())
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ConnectErrorKind::HostKey, "{strict}: {}", chain(&error));
    }
}

#[tokio::test]
async fn an_unknown_host_is_asked_about_once_and_remembered_if_the_answer_is_yes() {
    let sshd = Sshd::builder().start().unwrap();
    std::fs::write(sshd.known_hosts(), "").unwrap();
    let ask = options_with(&sshd, &["StrictHostKeyChecking=ask", "HashKnownHosts=yes"]);

    let no = Person::answering(&["what", "no"]);
    let error = connect(&ask, &no).await.unwrap_err();
    assert_eq!(error.kind(), ConnectErrorKind::HostKey);
    assert_eq!(std::fs::read_to_string(sshd.known_hosts()).unwrap(), "");

    let yes = Person::answering(&["yes"]);
    let dialer = dialer(&ask, &yes).await.unwrap();
    let (one, two) = tokio::join!(dialer.connect(), dialer.connect());
    one.unwrap();
    two.unwrap();
    let asked = yes.asked();
    assert_eq!(asked.len(), 1, "{asked:?}");
    assert!(asked[0].contains("SHA256:"), "{asked:?}");
    let written = std::fs::read_to_string(sshd.known_hosts()).unwrap();
    assert!(written.starts_with("|1|"), "{written}");

    connect(&options(&sshd), &Person::absent()).await.unwrap();
}

#[tokio::test]
async fn an_unknown_host_without_anyone_to_ask_is_refused_and_does_not_hang() {
    let sshd = Sshd::builder().start().unwrap();
    std::fs::write(sshd.known_hosts(), "").unwrap();
    for lines in [
        ["StrictHostKeyChecking=ask", "BatchMode=no"],
        ["StrictHostKeyChecking=ask", "BatchMode=yes"],
    ] {
        let error = connect(&options_with(&sshd, &lines), &Person::absent())
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ConnectErrorKind::HostKey, "{}", chain(&error));
        assert!(error.to_string().contains("SHA256:"), "{error}");
    }
}

#[tokio::test]
async fn accept_new_takes_and_remembers_a_new_host_but_no_changed_one() {
    let sshd = Sshd::builder().start().unwrap();
    std::fs::write(sshd.known_hosts(), "").unwrap();
    let accept = options_with(&sshd, &["StrictHostKeyChecking=accept-new"]);
    connect(&accept, &Person::absent()).await.unwrap();
    let written = std::fs::read_to_string(sshd.known_hosts()).unwrap();
    assert!(
        written.starts_with(&format!("[127.0.0.1]:{} ssh-ed25519 ", sshd.port())),
        "{written}"
    );
    forge_known_hosts(&sshd);
    let error = connect(&accept, &Person::absent()).await.unwrap_err();
    assert_eq!(error.kind(), ConnectErrorKind::HostKey);
}

#[tokio::test]
async fn nothing_is_kept_or_complained_about_where_known_hosts_is_dev_null() {
    let sshd = Sshd::builder().start().unwrap();
    let person = Person::absent();
    let lines = ["StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null"];
    connect(&options_with(&sshd, &lines), &person).await.unwrap();
    assert_eq!(person.notes(), [""; 0]);
}

#[tokio::test]
async fn a_revoked_key_is_refused_although_it_is_known() {
    let sshd = Sshd::builder().start().unwrap();
    let known = std::fs::read_to_string(sshd.known_hosts()).unwrap();
    let key = known.split_once(' ').unwrap().1;
    std::fs::write(sshd.known_hosts(), format!("{known}@revoked * {key}")).unwrap();
    let error = connect(&options(&sshd), &Person::absent()).await.unwrap_err();
    assert_eq!(error.kind(), ConnectErrorKind::HostKey);
    assert!(error.to_string().contains("revoked"), "{error}");
}

#[tokio::test]
async fn a_key_in_the_revoked_keys_file_is_refused() {
    let sshd = Sshd::builder().start().unwrap();
    let known = std::fs::read_to_string(sshd.known_hosts()).unwrap();
    let file = sshd.folder().join("revoked");
    std::fs::write(&file, known.split_once(' ').unwrap().1).unwrap();
    let line = format!("RevokedHostKeys={}", file.display());
    let error = connect(&options_with(&sshd, &[&line]), &Person::absent())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ConnectErrorKind::HostKey);
}

#[tokio::test]
async fn later_connections_must_be_shown_the_same_key() {
    let sshd = Sshd::builder().start().unwrap();
    // Known just as well, so that only the connection before can speak against it.
    let other = KeyPair::generate(&sshd.folder().join("other"), KeyKind::Ed25519).unwrap();
    let known = std::fs::read_to_string(sshd.known_hosts()).unwrap();
    let line = format!("{} {}\n", sshd.known_host_names(), other.public_line().unwrap());
    std::fs::write(sshd.known_hosts(), known + &line).unwrap();
    let dialer = dialer(&options(&sshd), &Person::absent()).await.unwrap();
    dialer.connect().await.unwrap();
    sshd.kill();
    let own = sshd.folder().join("host_ed25519");
    std::fs::copy(other.private(), &own).unwrap();
    std::fs::copy(other.public(), own.with_extension("pub")).unwrap();
    sshd.restart().unwrap();
    connect(&options(&sshd), &Person::absent()).await.unwrap();
    let error = dialer.connect().await.unwrap_err();
    assert_eq!(error.kind(), ConnectErrorKind::HostKey, "{}", chain(&error));
    assert!(error.to_string().contains("another host key"), "{error}");
}

#[tokio::test]
async fn a_host_certificate_is_accepted_by_its_authority_alone() {
    let sshd = Sshd::builder().host_certificate(Certificate::Valid).start().unwrap();
    let dialer = dialer(&options(&sshd), &Person::absent()).await.unwrap();
    let (first, second) = (dialer.connect().await.unwrap(), dialer.connect().await.unwrap());
    assert!(speaks_sftp(&first).await && speaks_sftp(&second).await);
}

#[tokio::test]
async fn host_certificates_that_do_not_count_are_refused_with_the_reason() {
    let cases = [
        (Certificate::Expired, "expired"),
        (Certificate::OtherPrincipal, "somebody-else"),
        (Certificate::WrongType, "for a user"),
        (
            Certificate::CriticalOption("what@example.org".into()),
            "what@example.org",
        ),
    ];
    for (certificate, reason) in cases {
        let sshd = Sshd::builder().host_certificate(certificate.clone()).start().unwrap();
        let error = connect(&options(&sshd), &Person::absent()).await.unwrap_err();
        assert_eq!(
            error.kind(),
            ConnectErrorKind::HostKey,
            "{certificate:?}: {}",
            chain(&error)
        );
        let text = chain(&error);
        assert!(text.contains(reason), "{certificate:?}: {text}");
        assert_eq!(sshd.count_in_log("Accepted"), 0);
    }
}

#[tokio::test]
async fn no_checking_lets_a_changed_key_pass_but_sends_no_password() {
    let sshd = Sshd::builder().password_user("right").start().unwrap();
    forge_known_hosts(&sshd);
    let mut options = options_with(&sshd, &["StrictHostKeyChecking=no"]);
    options.password = Some("right".into());
    let error = connect(&options, &Person::absent()).await.unwrap_err();
    assert_eq!(error.kind(), ConnectErrorKind::Auth, "{}", chain(&error));
    assert_eq!(
        sshd.count_in_log("Failed password") + sshd.count_in_log("Accepted"),
        0,
        "{}",
        sshd.log_text()
    );
}
