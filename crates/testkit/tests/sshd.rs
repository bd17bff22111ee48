//! The private sshd, by the system's own clients.

use std::io::{ErrorKind, Read};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use renkei_testkit::keys::{Certificate, KeyKind, KeyPair};
use renkei_testkit::seed::Rng;
use renkei_testkit::sshd::{Account, Login};
use renkei_testkit::{Sshd, TcpProxy, wait};

/// Runs `ssh` with these words, answering any prompt by a program that prints `answer`.
fn ssh(sshd: &Sshd, answer: Option<&str>, words: &[&str]) -> Output {
    let mut command = Command::new("ssh");
    command
        .arg("-F")
        .arg(sshd.ssh_config())
        .args(["-o", "NumberOfPasswordPrompts=1"]);
    command
        .env_remove("SSH_AUTH_SOCK")
        .env_remove("DISPLAY")
        .stdin(Stdio::null());
    match answer {
        Some(answer) => {
            let script = sshd.folder().join("askpass");
            std::fs::write(&script, format!("#!/bin/sh\necho '{answer}'\n")).unwrap();
            std::fs::set_permissions(&script, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
            command.env("SSH_ASKPASS", script).env("SSH_ASKPASS_REQUIRE", "force");
        }
        None => {
            command.args(["-o", "BatchMode=yes"]);
        }
    }
    command.args(words).output().unwrap()
}

fn says(output: &Output, text: &str) -> bool {
    String::from_utf8_lossy(&output.stdout).contains(text) || String::from_utf8_lossy(&output.stderr).contains(text)
}

fn sftp(sshd: &Sshd, commands: &str) -> Output {
    let batch = sshd.folder().join("batch");
    std::fs::write(&batch, commands).unwrap();
    let mut command = Command::new("sftp");
    command
        .arg("-F")
        .arg(sshd.ssh_config())
        .arg("-b")
        .arg(batch)
        .arg("testhost")
        .stdin(Stdio::null());
    command.output().unwrap()
}

#[test]
fn a_key_logs_in_by_alias_and_by_address() {
    let sshd = Sshd::stock().unwrap();
    for host in ["testhost", "127.0.0.1"] {
        let output = ssh(&sshd, None, &[host, "echo", "here"]);
        assert!(says(&output, "here"), "{output:?} {}", sshd.log_text());
    }
    assert_eq!(sshd.count_in_log("Accepted publickey"), 2);
}

#[test]
fn it_comes_back_on_its_port_after_a_kill() {
    let sshd = Sshd::stock().unwrap();
    let mut client = Command::new("ssh")
        .arg("-F")
        .arg(sshd.ssh_config())
        .args(["testhost", "sleep 600"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    wait::until("a login", || sshd.count_in_log("Starting session") == 1).unwrap();
    sshd.kill();
    assert!(!client.wait().unwrap().success());
    sshd.restart().unwrap();
    assert!(says(&ssh(&sshd, None, &["testhost", "echo here"]), "here"));
}

#[test]
fn a_dropped_connection_ends_its_client_only() {
    let sshd = Sshd::stock().unwrap();
    let mut client = Command::new("ssh")
        .arg("-F")
        .arg(sshd.ssh_config())
        .args(["testhost", "sleep 600"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    wait::until("a login", || sshd.count_in_log("Starting session") == 1).unwrap();
    assert_eq!(sshd.drop_connections(&mut Rng::for_purpose("drop")), 1);
    assert!(!client.wait().unwrap().success());
    assert!(says(&ssh(&sshd, None, &["testhost", "echo here"]), "here"));
}

#[test]
fn options_count_before_the_defaults() {
    let sshd = Sshd::builder().option("PubkeyAuthentication no").start().unwrap();
    assert!(says(&ssh(&sshd, None, &["testhost", "true"]), "Permission denied"));
}

#[test]
fn a_host_key_of_another_kind_only_is_not_known() {
    let builder = Sshd::builder().host_keys(&[KeyKind::Ed25519, KeyKind::Rsa, KeyKind::Ecdsa]);
    let sshd = builder.known_host_keys(&[KeyKind::Rsa]).start().unwrap();
    assert!(says(&ssh(&sshd, None, &["testhost", "echo here"]), "here"));
    let words = ["-o", "HostKeyAlgorithms=ssh-ed25519", "testhost", "true"];
    assert!(says(&ssh(&sshd, None, &words), "verification failed"));
}

#[test]
fn only_a_good_host_certificate_is_taken() {
    for (certificate, good) in [
        (Certificate::Valid, true),
        (Certificate::Expired, false),
        (Certificate::OtherPrincipal, false),
        (Certificate::WrongType, false),
        (Certificate::CriticalOption("unknown@example.org".to_owned()), false),
    ] {
        let sshd = Sshd::builder().host_certificate(certificate.clone()).start().unwrap();
        let output = ssh(&sshd, None, &["testhost", "echo here"]);
        assert_eq!(says(&output, "here"), good, "{certificate:?} {output:?}");
    }
}

#[test]
fn only_a_good_user_certificate_logs_in() {
    for (certificate, good) in [
        (Certificate::Valid, true),
        (Certificate::Expired, false),
        (Certificate::OtherPrincipal, false),
    ] {
        let sshd = Sshd::builder().user_certificate(certificate.clone()).start().unwrap();
        let output = ssh(&sshd, None, &["testhost", "echo here"]);
        assert_eq!(says(&output, "here"), good, "{certificate:?} {output:?}");
    }
}

#[test]
fn a_password_is_checked_and_a_wrong_one_logged_once() {
    let sshd = Sshd::builder().password_user("open sesame").start().unwrap();
    assert!(
        says(
            &ssh(&sshd, Some("open sesame"), &["testhost", "id -un; echo $HOME"]),
            "tester"
        ),
        "{}",
        sshd.log_text()
    );
    assert!(says(
        &ssh(&sshd, Some("wrong"), &["testhost", "true"]),
        "Permission denied"
    ));
    assert_eq!(sshd.count_in_log("Failed password"), 1);
    assert!(!std::fs::read_to_string("/etc/passwd").unwrap().contains("tester"));
}

#[test]
fn a_password_is_asked_for_interactively() {
    let account = Account::new().password("open sesame");
    let sshd = Sshd::builder()
        .account(account)
        .login(Login::KeyboardInteractive)
        .start()
        .unwrap();
    assert!(
        says(&ssh(&sshd, Some("open sesame"), &["testhost", "id -un"]), "tester"),
        "{}",
        sshd.log_text()
    );
}

#[test]
fn a_one_time_code_is_good_once() {
    let account = Account::new().one_time_codes(&["111111", "222222"]);
    let sshd = Sshd::builder()
        .account(account)
        .login(Login::KeyThenCode)
        .start()
        .unwrap();
    assert!(
        says(&ssh(&sshd, Some("111111"), &["testhost", "id -un"]), "tester"),
        "{}",
        sshd.log_text()
    );
    assert!(says(
        &ssh(&sshd, Some("111111"), &["testhost", "id -un"]),
        "Permission denied"
    ));
    assert!(
        says(&ssh(&sshd, Some("222222"), &["testhost", "id -un"]), "tester"),
        "{}",
        sshd.log_text()
    );
}

#[test]
fn the_account_has_its_own_home_and_shell() {
    let account = Account::new().home_file(".bashrc", "echo noise\n").shell("/bin/bash");
    let sshd = Sshd::builder().account(account).start().unwrap();
    let output = ssh(&sshd, None, &["testhost", "pwd; echo $SHELL"]);
    let expected = format!("noise\n{}\n/bin/bash\n", sshd.home().display());
    assert_eq!(String::from_utf8_lossy(&output.stdout), expected, "{output:?}");
}

#[test]
fn sftp_is_served_as_asked() {
    let sshd = Sshd::stock().unwrap();
    let file = sshd.folder().join("file");
    std::fs::write(&file, "content").unwrap();
    let copy = sshd.folder().join("copy");
    let output = sftp(&sshd, &format!("get {} {}\n", file.display(), copy.display()));
    assert!(output.status.success(), "{output:?}");
    assert_eq!(std::fs::read(&copy).unwrap(), b"content");

    let refusing = Sshd::builder().no_sftp().start().unwrap();
    assert!(!sftp(&refusing, "ls /\n").status.success());
}

#[test]
fn a_chroot_shows_nothing_else() {
    let sshd = Sshd::builder().chroot().start().unwrap();
    let output = sftp(&sshd, "ls -1 /\n");
    assert!(says(&output, "/data"), "{output:?} {}", sshd.log_text());
    assert!(!says(&output, "/etc"), "{output:?}");
    assert!(sshd.chroot_dir().is_some_and(Path::exists));
}

#[test]
fn csh_is_a_shell_as_well() {
    let sshd = Sshd::builder()
        .account(Account::new().shell("/bin/csh"))
        .start()
        .unwrap();
    assert!(
        says(&ssh(&sshd, None, &["testhost", "echo $version"]), "tcsh"),
        "{}",
        sshd.log_text()
    );
}

#[test]
fn a_frozen_server_is_silent_and_goes_on_when_thawed() {
    let sshd = Sshd::stock().unwrap();
    sshd.freeze();
    let mut stream = TcpStream::connect(sshd.address()).unwrap();
    stream.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    assert_eq!(stream.read(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
    sshd.thaw();
    stream.set_read_timeout(Some(wait::PATIENCE)).unwrap();
    let mut banner = [0; 4];
    stream.read_exact(&mut banner).unwrap();
    assert_eq!(&banner, b"SSH-");
}

#[test]
fn a_key_that_is_not_the_known_one_is_refused() {
    let sshd = Sshd::stock().unwrap();
    let other = KeyPair::generate(&sshd.folder().join("other"), KeyKind::Ed25519).unwrap();
    let line = format!("{} {}\n", sshd.known_host_names(), other.public_line().unwrap());
    std::fs::write(sshd.known_hosts(), line).unwrap();
    assert!(says(
        &ssh(&sshd, None, &["testhost", "true"]),
        "IDENTIFICATION HAS CHANGED"
    ));
}

#[test]
fn it_is_reached_through_a_proxy() {
    let sshd = Sshd::stock().unwrap();
    let proxy = TcpProxy::start(sshd.address()).unwrap();
    let config = sshd.ssh_config_via(proxy.port()).unwrap();
    let output = Command::new("ssh")
        .arg("-F")
        .arg(config)
        .args(["testhost", "echo here"])
        .output()
        .unwrap();
    assert!(says(&output, "here"), "{output:?}");
    assert!(proxy.turns() > 5);
}

#[test]
fn it_listens_on_both_families_if_asked() {
    let sshd = Sshd::builder().option("ListenAddress ::1").start().unwrap();
    assert!(
        says(&ssh(&sshd, None, &["::1", "echo here"]), "here"),
        "{}",
        sshd.log_text()
    );
    assert!(says(&ssh(&sshd, None, &["127.0.0.1", "echo here"]), "here"));
}

#[test]
fn the_time_that_its_sessions_used_is_counted() {
    let sshd = Sshd::stock().unwrap();
    let before = sshd.cpu_time();
    assert!(
        ssh(
            &sshd,
            None,
            &["testhost", "i=0; while [ $i -lt 200000 ]; do i=$((i + 1)); done"]
        )
        .status
        .success()
    );
    wait::until("the session to be gone", || sshd.connections() == 0).unwrap();
    assert!(sshd.cpu_time() >= before + Duration::from_millis(50));
}
