//! Ways to a host other than a plain socket: jump hosts, ProxyCommand, the system's ssh.

mod support;

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use renkei_ssh::{ConnectErrorKind, Logins, Options};
use renkei_testkit::sshd::{Account, Login};
use renkei_testkit::{Sshd, wait};
use support::{Person, chain, connect, dialer, options, options_with, speaks_sftp};

/// A configuration with both servers, the second of them behind the first.
fn chained(first: &Sshd, last: &Sshd) -> PathBuf {
    let path = last.folder().join("chained");
    let config = |sshd: &Sshd, name: &str, more: &str| {
        format!(
            "Host {name}\n  HostName 127.0.0.1\n  Port {}\n  User {}\n  IdentityFile {}\n  IdentitiesOnly yes\n  \
             IdentityAgent none\n  UserKnownHostsFile {}\n  GlobalKnownHostsFile none\n  StrictHostKeyChecking yes\n{more}\n",
            sshd.port(),
            sshd.user(),
            sshd.identity().display(),
            sshd.known_hosts().display(),
        )
    };
    let text = config(first, "gate", "") + &config(last, "testhost", "  ProxyJump gate\n");
    std::fs::write(&path, text).unwrap();
    path
}

fn with_config(file: &Path) -> Options {
    Options {
        config_file: Some(file.into()),
        ..Options::default()
    }
}

#[tokio::test]
async fn each_connection_goes_through_the_jump_host_by_itself() {
    let (gate, last) = (Sshd::builder().start().unwrap(), Sshd::builder().start().unwrap());
    let dialer = dialer(&with_config(&chained(&gate, &last)), &Person::absent())
        .await
        .unwrap();
    let mut connections = Vec::new();
    for _ in 0..3 {
        connections.push(dialer.connect().await.unwrap());
    }
    for connection in &connections {
        assert!(speaks_sftp(connection).await);
    }
    assert_eq!(gate.count_in_log("Accepted publickey"), 3, "{}", gate.log_text());
    assert_eq!(last.count_in_log("Accepted publickey"), 3);
    assert_eq!(dialer.logins(), Logins::Unattended);
}

#[tokio::test]
async fn bulk_data_goes_through_a_jump_host() {
    let (gate, last) = (Sshd::builder().start().unwrap(), Sshd::builder().start().unwrap());
    let connection = connect(&with_config(&chained(&gate, &last)), &Person::absent())
        .await
        .unwrap();
    let (mut tx, mut rx) = connection.exec("cat").await.unwrap().split();
    let sender = tokio::spawn(async move {
        for _ in 0..64 {
            tx.send(Bytes::from(vec![b'x'; 256 * 1024])).await.unwrap();
        }
        tx.finish().await.unwrap();
        tx
    });
    let mut count = 0;
    while let Some(data) = rx.recv().await {
        count += data.len();
    }
    assert_eq!(count, 16 << 20);
    sender.await.unwrap();
}

#[tokio::test]
async fn a_jump_host_that_dies_ends_the_connection_inside() {
    let (gate, last) = (Sshd::builder().start().unwrap(), Sshd::builder().start().unwrap());
    let connection = connect(&with_config(&chained(&gate, &last)), &Person::absent())
        .await
        .unwrap();
    let mut channel = connection.exec("cat >/dev/null; sleep 1000").await.unwrap();
    gate.kill();
    while channel.send(Bytes::from(vec![0; 1 << 20])).await.is_ok() {}
    assert_eq!(connection.closed().await.kind(), ConnectErrorKind::Lost);
}

#[tokio::test]
async fn a_server_that_falls_silent_behind_a_jump_host_is_noticed() {
    let (gate, last) = (Sshd::builder().start().unwrap(), Sshd::builder().start().unwrap());
    let options = Options {
        options: vec!["ServerAliveInterval=1".into(), "ServerAliveCountMax=1".into()],
        ..with_config(&chained(&gate, &last))
    };
    let connection = connect(&options, &Person::absent()).await.unwrap();
    let mut channel = connection.exec("cat >/dev/null").await.unwrap();
    last.freeze();
    let upload = async { while channel.send(Bytes::from(vec![0; 1 << 20])).await.is_ok() {} };
    let noticed = tokio::time::timeout(wait::PATIENCE, upload).await;
    last.thaw();
    noticed.unwrap();
    assert_eq!(connection.closed().await.kind(), ConnectErrorKind::Lost);
}

#[tokio::test]
async fn errors_at_a_jump_host_name_it() {
    let (gate, last) = (Sshd::builder().start().unwrap(), Sshd::builder().start().unwrap());
    std::fs::write(gate.known_hosts(), "").unwrap();
    let config = chained(&gate, &last);
    let error = connect(&with_config(&config), &Person::absent()).await.unwrap_err();
    assert_eq!(error.kind(), ConnectErrorKind::HostKey);
    assert!(error.host().contains(&gate.port().to_string()), "{error}");
    assert_eq!(last.count_in_log("Connection from"), 0);
}

#[tokio::test]
async fn a_jump_host_that_forwards_nothing_is_told_from_a_dead_target() {
    let gate = Sshd::builder().option("AllowTcpForwarding no").start().unwrap();
    let last = Sshd::builder().start().unwrap();
    let error = connect(&with_config(&chained(&gate, &last)), &Person::absent())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ConnectErrorKind::Proxy, "{}", chain(&error));
    assert!(error.hint().unwrap().contains("AllowTcpForwarding"));
}

#[tokio::test]
async fn hosts_that_jump_through_one_another_are_an_error() {
    let sshd = Sshd::builder().start().unwrap();
    let path = sshd.folder().join("loop");
    std::fs::write(
        &path,
        "Host testhost\n  ProxyJump gate\nHost gate\n  ProxyJump testhost\n",
    )
    .unwrap();
    let error = dialer(&with_config(&path), &Person::absent()).await.unwrap_err();
    assert_eq!(error.kind(), ConnectErrorKind::Config);
    assert!(error.to_string().contains("ProxyJump"), "{error}");
}

#[tokio::test]
async fn a_list_of_jump_hosts_is_gone_through_in_order() {
    let (gate, last) = (Sshd::builder().start().unwrap(), Sshd::builder().start().unwrap());
    let options = Options {
        jump: Some("gate,gate".into()),
        ..with_config(&chained(&gate, &last))
    };
    let connection = connect(&options, &Person::absent()).await.unwrap();
    assert!(speaks_sftp(&connection).await);
    assert_eq!(gate.count_in_log("Accepted publickey"), 2, "{}", gate.log_text());
}

#[tokio::test]
async fn a_proxy_command_is_run_with_its_tokens_replaced() {
    let (gate, last) = (Sshd::builder().start().unwrap(), Sshd::builder().start().unwrap());
    let proxy = format!("ProxyCommand=ssh -F {} -W %h:%p testhost", gate.ssh_config().display());
    let connection = connect(&options_with(&last, &[&proxy]), &Person::absent())
        .await
        .unwrap();
    assert!(speaks_sftp(&connection).await);
    assert!(!connection.rtt().is_zero());
    assert_eq!(gate.count_in_log("Accepted publickey"), 1);
}

#[tokio::test]
async fn a_proxy_command_that_fails_is_no_hang() {
    let sshd = Sshd::builder().start().unwrap();
    let error = connect(&options_with(&sshd, &["ProxyCommand=exit 3"]), &Person::absent())
        .await
        .unwrap_err();
    assert!(error.is_transient(), "{}", chain(&error));
}

#[tokio::test]
async fn the_systems_ssh_serves_as_transport() {
    let sshd = Sshd::builder().start().unwrap();
    let options = Options {
        ssh_command: Some("ssh".into()),
        ..options(&sshd)
    };
    let dialer = dialer(&options, &Person::absent()).await.unwrap();
    let connection = dialer.connect().await.unwrap();
    assert!(speaks_sftp(&connection).await);
    assert_eq!(dialer.logins(), Logins::Unattended);
    let mut channel = connection.exec("echo $((6 * 7))").await.unwrap();
    assert_eq!(channel.recv().await.unwrap(), "42\n");
}

#[tokio::test]
async fn the_systems_ssh_may_have_algorithms_that_are_not_built_in() {
    let kex = "sntrup761x25519-sha512@openssh.com";
    let sshd = Sshd::builder().option(format!("KexAlgorithms {kex}")).start().unwrap();
    let options = Options {
        ssh_command: Some("ssh".into()),
        ..options_with(&sshd, &[&format!("KexAlgorithms={kex}")])
    };
    let connection = connect(&options, &Person::absent()).await.unwrap();
    assert!(speaks_sftp(&connection).await);
}

#[tokio::test]
async fn the_systems_ssh_that_cannot_connect_gives_its_reason() {
    let sshd = Sshd::builder().start().unwrap();
    sshd.kill();
    let options = Options {
        ssh_command: Some("ssh".into()),
        ..options(&sshd)
    };
    let error = connect(&options, &Person::absent()).await.unwrap_err();
    assert_eq!(error.kind(), ConnectErrorKind::Proxy);
    assert!(error.to_string().contains("Connection refused"), "{error}");
}

#[tokio::test]
async fn one_connection_of_the_systems_ssh_is_shared_when_a_person_logs_in() {
    let account = Account::new().password("right");
    let sshd = Sshd::builder().account(account).login(Login::Password).start().unwrap();
    // ssh itself asks, through the program named in its environment.
    let askpass = sshd.folder().join("askpass");
    let count = sshd.folder().join("count");
    let script = format!("#!/bin/sh\necho asked >>'{}'\necho right\n", count.display());
    std::fs::write(&askpass, script).unwrap();
    std::fs::set_permissions(&askpass, Permissions::from_mode(0o700)).unwrap();
    let command = format!("env SSH_ASKPASS={} SSH_ASKPASS_REQUIRE=force ssh", askpass.display());
    let options = Options {
        ssh_command: Some(command.into()),
        ..options(&sshd)
    };
    let dialer = dialer(&options, &Person::absent()).await.unwrap();
    let connection = dialer.connect().await;
    assert!(connection.is_ok(), "{}", chain(&connection.unwrap_err()));
    let connection = connection.unwrap();
    assert_eq!(dialer.logins(), Logins::NeedsPerson);
    for _ in 0..3 {
        assert!(speaks_sftp(&connection).await, "{}", sshd.log_text());
    }
    assert_eq!(std::fs::read_to_string(&count).unwrap().lines().count(), 1);
    drop(connection);
    drop(dialer);
}
