//! Ways to log in, against a real sshd.

mod support;

use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use renkei_ssh::{ConnectErrorKind, Logins, Options};
use renkei_testkit::Sshd;
use renkei_testkit::keys::{Certificate, KeyKind, KeyPair};
use renkei_testkit::sshd::{Account, Login};
use renkei_testkit::wait;
use support::{Person, chain, connect, dialer, options, options_with, speaks_sftp};

/// A private ssh-agent with one key.
struct Agent {
    child: Child,
    socket: PathBuf,
}

impl Agent {
    fn holding(key: &Path, folder: &Path) -> Self {
        Self::start(key, folder, &[], None)
    }

    /// Asks by a program before each signature.
    fn confirming(key: &Path, folder: &Path, askpass: &Path) -> Self {
        Self::start(key, folder, &["-c"], Some(askpass))
    }

    fn start(key: &Path, folder: &Path, options: &[&str], askpass: Option<&Path>) -> Self {
        let socket = folder.join("agent");
        let mut command = Command::new("ssh-agent");
        command
            .arg("-D")
            .arg("-a")
            .arg(&socket)
            .stdout(Stdio::null())
            .process_group(0);
        if let Some(askpass) = askpass {
            command.env("SSH_ASKPASS", askpass).env("SSH_ASKPASS_REQUIRE", "force");
        }
        let child = command.spawn().unwrap();
        let agent = Self { child, socket };
        // The socket is there as soon as it is bound, a moment before it listens.
        wait::until("the agent to listen", || UnixStream::connect(&agent.socket).is_ok()).unwrap();
        let mut add = Command::new("ssh-add");
        add.arg("-q").args(options).arg(key).env("SSH_AUTH_SOCK", &agent.socket);
        assert!(add.status().unwrap().success());
        agent
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test]
async fn each_kind_of_key_file_logs_in() {
    for kind in [KeyKind::Ed25519, KeyKind::Rsa, KeyKind::Ecdsa] {
        let sshd = Sshd::builder().user_key(kind, "").start().unwrap();
        let connection = connect(&options(&sshd), &Person::absent()).await.unwrap();
        assert!(speaks_sftp(&connection).await, "{kind:?}");
    }
}

#[tokio::test]
async fn key_files_of_the_older_forms_log_in() {
    for (kind, form, passphrase) in [
        (KeyKind::Rsa, "PEM", ""),
        (KeyKind::Rsa, "PEM", "open sesame"),
        (KeyKind::Ecdsa, "PEM", ""),
        (KeyKind::Ecdsa, "PKCS8", ""),
        (KeyKind::Rsa, "PKCS8", "open sesame"),
    ] {
        let sshd = Sshd::builder().user_key(kind, "").start().unwrap();
        let mut convert = Command::new("ssh-keygen");
        convert
            .args(["-q", "-p", "-P", "", "-N", passphrase, "-m", form, "-f"])
            .arg(sshd.identity());
        assert!(convert.stdout(Stdio::null()).status().unwrap().success());
        let person = Person::answering(&[passphrase]);
        let connection = connect(&options(&sshd), &person).await;
        assert!(
            connection.is_ok(),
            "{kind:?} {form}: {}",
            chain(&connection.unwrap_err())
        );
        assert_eq!(person.asked().len(), usize::from(!passphrase.is_empty()));
    }
}

#[tokio::test]
async fn a_form_that_is_not_read_is_named_with_what_to_do_before_anyone_is_asked() {
    let sshd = Sshd::builder().user_key(KeyKind::Ecdsa, "").start().unwrap();
    let mut convert = Command::new("ssh-keygen");
    convert
        .args(["-q", "-p", "-P", "", "-N", "open sesame", "-m", "PEM", "-f"])
        .arg(sshd.identity());
    assert!(convert.stdout(Stdio::null()).status().unwrap().success());
    let person = Person::answering(&["open sesame"]);
    let error = connect(&options(&sshd), &person).await.unwrap_err();
    assert_eq!(error.kind(), ConnectErrorKind::Auth);
    assert!(chain(&error).contains("ssh-keygen -p"), "{}", chain(&error));
    assert_eq!(person.asked(), [""; 0]);
}

#[tokio::test]
async fn a_passphrase_is_asked_for_once_for_all_connections() {
    let sshd = Sshd::builder()
        .user_key(KeyKind::Ed25519, "open sesame")
        .start()
        .unwrap();
    let person = Person::answering(&["wrong", "open sesame"]);
    let dialer = dialer(&options(&sshd), &person).await.unwrap();
    let (one, two, three) = tokio::join!(dialer.connect(), dialer.connect(), dialer.connect());
    one.unwrap();
    two.unwrap();
    three.unwrap();
    assert_eq!(person.asked().len(), 2);
    assert_eq!(dialer.logins(), Logins::Unattended);
}

#[tokio::test]
async fn a_given_passphrase_is_used_in_place_of_a_question() {
    let sshd = Sshd::builder()
        .user_key(KeyKind::Ed25519, "open sesame")
        .start()
        .unwrap();
    let with = |passphrase: &str| Options {
        passphrase: Some(passphrase.into()),
        ..options(&sshd)
    };
    connect(&with("open sesame"), &Person::absent()).await.unwrap();
    assert!(connect(&with("wrong"), &Person::absent()).await.is_err());
}

#[tokio::test]
async fn no_passphrase_is_asked_for_when_the_server_would_not_take_the_key() {
    let sshd = Sshd::builder()
        .user_key(KeyKind::Ed25519, "open sesame")
        .start()
        .unwrap();
    std::fs::write(sshd.authorized_keys(), "").unwrap();
    let person = Person::answering(&["open sesame"]);
    let error = connect(&options(&sshd), &person).await.unwrap_err();
    assert_eq!(error.kind(), ConnectErrorKind::Auth, "{}", chain(&error));
    assert_eq!(person.asked(), [""; 0]);
}

#[tokio::test]
async fn a_key_that_only_the_agent_has_logs_in() {
    for kind in [KeyKind::Ed25519, KeyKind::Rsa] {
        let sshd = Sshd::builder().user_key(kind, "").start().unwrap();
        let agent = Agent::holding(sshd.identity(), sshd.folder());
        std::fs::remove_file(sshd.identity()).unwrap();
        let line = format!("IdentityAgent={}", agent.socket.display());
        let dialer = dialer(&options_with(&sshd, &[&line]), &Person::absent()).await.unwrap();
        let (one, two) = tokio::join!(dialer.connect(), dialer.connect());
        assert!(
            speaks_sftp(&one.unwrap()).await && speaks_sftp(&two.unwrap()).await,
            "{kind:?}"
        );
        assert_eq!(dialer.logins(), Logins::Unattended);
    }
}

#[tokio::test]
async fn a_key_that_the_agent_confirms_with_a_person_is_known_to_need_one() {
    let sshd = Sshd::builder().start().unwrap();
    // A person who looks at the question for a while: how long the agent takes is all that tells.
    let askpass = sshd.folder().join("askpass");
    std::fs::write(&askpass, "#!/bin/sh\nsleep 2\n").unwrap();
    std::fs::set_permissions(&askpass, std::fs::Permissions::from_mode(0o700)).unwrap();
    let agent = Agent::confirming(sshd.identity(), sshd.folder(), &askpass);
    std::fs::remove_file(sshd.identity()).unwrap();
    let line = format!("IdentityAgent={}", agent.socket.display());
    let dialer = dialer(&options_with(&sshd, &[&line]), &Person::absent()).await.unwrap();
    dialer.connect().await.unwrap();
    assert_eq!(dialer.logins(), Logins::NeedsPerson);
}

#[tokio::test]
async fn an_agent_full_of_other_keys_does_not_use_up_the_attempts() {
    let sshd = Sshd::builder().option("MaxAuthTries 3").start().unwrap();
    let agent = Agent::holding(sshd.identity(), sshd.folder());
    for number in 0..6 {
        let key = KeyPair::generate(&sshd.folder().join(format!("other{number}")), KeyKind::Ed25519).unwrap();
        let add = Command::new("ssh-add")
            .arg("-q")
            .arg(key.private())
            .env("SSH_AUTH_SOCK", &agent.socket)
            .status();
        assert!(add.unwrap().success());
    }
    let line = format!("IdentityAgent={}", agent.socket.display());
    let lines = [line.as_str(), "IdentitiesOnly=no"];
    let dialer = dialer(&options_with(&sshd, &lines), &Person::absent()).await.unwrap();
    dialer.connect().await.unwrap();
    dialer.connect().await.unwrap();
    // Without the hint of a key file the six others come first, and the error says what to do.
    let nameless = ["IdentityFile=none", "IdentitiesOnly=no", line.as_str()];
    std::fs::write(sshd.authorized_keys(), "").unwrap();
    let error = connect(&options_with(&sshd, &nameless), &Person::absent())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ConnectErrorKind::Auth, "{}", chain(&error));
    assert!(
        error.hint().unwrap().contains("IdentitiesOnly"),
        "{:?} {}",
        error.hint(),
        chain(&error)
    );
}

#[tokio::test]
async fn a_user_certificate_logs_in_where_no_key_is_authorised() {
    for kind in [KeyKind::Ed25519, KeyKind::Rsa] {
        let sshd = Sshd::builder()
            .user_key(kind, "")
            .user_certificate(Certificate::Valid)
            .start()
            .unwrap();
        let dialer = dialer(&options(&sshd), &Person::absent()).await.unwrap();
        let connection = dialer.connect().await;
        assert!(connection.is_ok(), "{kind:?}: {}", chain(&connection.unwrap_err()));
        assert!(dialer.connect().await.is_ok(), "{kind:?}");
        assert!(
            sshd.count_in_log("Accepted publickey") == 2 && sshd.log_text().contains("-CERT"),
            "{}",
            sshd.log_text()
        );
    }
}

#[tokio::test]
async fn a_certificate_goes_with_a_key_that_the_agent_has() {
    let sshd = Sshd::builder().user_certificate(Certificate::Valid).start().unwrap();
    let agent = Agent::holding(sshd.identity(), sshd.folder());
    std::fs::remove_file(sshd.identity()).unwrap();
    let line = format!("IdentityAgent={}", agent.socket.display());
    connect(&options_with(&sshd, &[&line]), &Person::absent())
        .await
        .unwrap();
}

#[tokio::test]
async fn an_expired_user_certificate_is_refused() {
    let sshd = Sshd::builder().user_certificate(Certificate::Expired).start().unwrap();
    let error = connect(&options(&sshd), &Person::absent()).await.unwrap_err();
    assert_eq!(error.kind(), ConnectErrorKind::Auth, "{}", chain(&error));
}

#[tokio::test]
async fn a_password_is_asked_for_once_and_used_for_all() {
    for login in [Login::Password, Login::KeyboardInteractive] {
        let sshd = Sshd::builder()
            .account(Account::new().password("right"))
            .login(login)
            .start()
            .unwrap();
        let person = Person::answering(&["wrong", "right"]);
        let dialer = dialer(&options(&sshd), &person).await.unwrap();
        let (one, two, three) = tokio::join!(dialer.connect(), dialer.connect(), dialer.connect());
        for one in [one, two, three] {
            assert!(one.is_ok(), "{login:?}: {}", chain(&one.unwrap_err()));
        }
        assert_eq!(person.asked().len(), 2, "{login:?}: {:?}", person.asked());
        assert_eq!(dialer.logins(), Logins::Unattended, "{login:?}");
        assert_eq!(sshd.count_in_log("Failed"), 1, "{}", sshd.log_text());
    }
}

#[tokio::test]
async fn a_wrong_given_password_is_one_failure_at_the_server() {
    for login in [Login::Password, Login::KeyboardInteractive] {
        let sshd = Sshd::builder()
            .account(Account::new().password("right"))
            .login(login)
            .start()
            .unwrap();
        let options = Options {
            password: Some("wrong".into()),
            ..options(&sshd)
        };
        let dialer = dialer(&options, &Person::absent()).await.unwrap();
        let error = dialer.connect().await.unwrap_err();
        assert_eq!(error.kind(), ConnectErrorKind::Auth, "{login:?}: {}", chain(&error));
        assert!(error.to_string().contains("password"), "{error}");
        // The part of sshd that talks to us writes its log through the other part, a moment later.
        wait::until("the failure to be logged", || sshd.count_in_log("Failed") > 0).unwrap();
        assert_eq!(sshd.count_in_log("Failed"), 1, "{login:?}: {}", sshd.log_text());
    }
}

#[tokio::test]
async fn a_password_login_without_anyone_to_ask_ends_at_once() {
    for login in [Login::Password, Login::KeyboardInteractive] {
        let sshd = Sshd::builder()
            .account(Account::new().password("right"))
            .login(login)
            .start()
            .unwrap();
        for lines in [["BatchMode=yes"], ["BatchMode=no"]] {
            let error = connect(&options_with(&sshd, &lines), &Person::absent())
                .await
                .unwrap_err();
            assert_eq!(error.kind(), ConnectErrorKind::Prompt, "{login:?}: {}", chain(&error));
            assert!(!error.is_transient());
        }
        assert_eq!(sshd.count_in_log("Failed password"), 0, "{}", sshd.log_text());
    }
}

#[tokio::test]
async fn a_key_followed_by_a_code_logs_in_and_is_known_to_need_a_person() {
    let account = Account::new().one_time_codes(&["111111", "222222"]);
    let sshd = Sshd::builder()
        .account(account)
        .login(Login::KeyThenCode)
        .start()
        .unwrap();
    let person = Person::answering(&["111111", "222222"]);
    // PAM calls the code a "Password:", but after a key it can only be a second factor.
    let dialer = dialer(&options(&sshd), &person).await.unwrap();
    let first = dialer.connect().await;
    assert!(first.is_ok(), "{}\n{}", chain(&first.unwrap_err()), sshd.log_text());
    let first = first.unwrap();
    assert!(speaks_sftp(&first).await);
    assert_eq!(person.asked().len(), 1);
    assert_eq!(dialer.logins(), Logins::NeedsPerson);
    let second = dialer.connect().await;
    assert!(second.is_ok(), "{}\n{}", chain(&second.unwrap_err()), sshd.log_text());
    assert_eq!(person.asked().len(), 2);
}

#[tokio::test]
async fn a_key_followed_by_a_password_needs_no_person_for_more_connections() {
    let sshd = Sshd::builder()
        .password_user("right")
        .option("AuthenticationMethods publickey,password")
        .start()
        .unwrap();
    let person = Person::answering(&["right"]);
    let dialer = dialer(&options(&sshd), &person).await.unwrap();
    dialer.connect().await.unwrap();
    dialer.connect().await.unwrap();
    assert_eq!(person.asked().len(), 1, "{:?}", person.asked());
    assert_eq!(dialer.logins(), Logins::Unattended);
}

#[tokio::test]
async fn the_servers_banner_is_shown_once_and_cannot_steer_the_terminal() {
    let folder = tempfile::tempdir().unwrap();
    let banner = folder.path().join("banner");
    std::fs::write(&banner, "Welcome \x1b[2J\nto the centre\n").unwrap();
    let sshd = Sshd::builder()
        .option(format!("Banner {}", banner.display()))
        .start()
        .unwrap();
    let person = Person::absent();
    let dialer = dialer(&options(&sshd), &person).await.unwrap();
    dialer.connect().await.unwrap();
    dialer.connect().await.unwrap();
    assert_eq!(person.notes(), ["Welcome ?[2J\nto the centre"]);
}

#[tokio::test]
async fn an_answer_that_works_only_once_is_found_out_at_the_second_connection() {
    let account = Account::new().one_time_codes(&["111111", "222222"]);
    let only = "AuthenticationMethods keyboard-interactive";
    let no_key = ["PubkeyAuthentication=no"];
    let sshd = Sshd::builder()
        .account(account)
        .login(Login::KeyThenCode)
        .option(only)
        .start()
        .unwrap();
    let person = Person::answering(&["111111", "222222"]);
    let dialer = dialer(&options_with(&sshd, &no_key), &person).await.unwrap();
    let _first = dialer.connect().await.unwrap();
    let error = dialer.connect().await.unwrap_err();
    assert_eq!(error.kind(), ConnectErrorKind::Auth, "{}", chain(&error));
    assert_eq!(dialer.logins(), Logins::NeedsPerson);
    assert_eq!(person.asked().len(), 1);
    dialer.connect().await.unwrap();
    assert_eq!(person.asked().len(), 2);
}

#[tokio::test]
async fn methods_are_limited_by_preferred_authentications() {
    let sshd = Sshd::builder().start().unwrap();
    let lines = ["PreferredAuthentications=password"];
    let error = connect(&options_with(&sshd, &lines), &Person::absent())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ConnectErrorKind::Auth, "{}", chain(&error));
    assert_eq!(sshd.count_in_log("Accepted"), 0);
}

#[tokio::test]
async fn public_key_signatures_can_be_limited() {
    let sshd = Sshd::builder().user_key(KeyKind::Rsa, "").start().unwrap();
    for allowed in ["rsa-sha2-256", "ssh-ed25519,rsa-sha2-512"] {
        let line = format!("PubkeyAcceptedAlgorithms={allowed}");
        connect(&options_with(&sshd, &[&line]), &Person::absent())
            .await
            .unwrap();
    }
    let lines = ["PubkeyAcceptedAlgorithms=ssh-ed25519"];
    let error = connect(&options_with(&sshd, &lines), &Person::absent())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ConnectErrorKind::Auth, "{}", chain(&error));
}
