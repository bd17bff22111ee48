//! Connections that are made beside the first: when they log in, and what they cost where it fails.

mod support;

use std::path::Path;

use renkei_ssh::{ConnectError, ConnectErrorKind, Connection, Dialer, Options};
use renkei_testkit::keys::KeyKind;
use renkei_testkit::{Sshd, wait};
use support::{Person, chain, dialer, options, speaks_sftp};
use tokio::task::JoinHandle;

/// A server that asks a script in `folder` for the keys it takes: each time that one is offered, and again when it has
/// signed. The second time, which is the first connection's signature, it waits for `go`.
fn dithering(folder: &Path) -> Sshd {
    let script = folder.join("script");
    let shown = folder.display();
    let words = format!(
        "echo asked >>{shown}/asked
        [ $(wc -l <{shown}/asked) != 2 ] || until [ -e {shown}/go ]; do sleep 0.02; done
        cat {shown}/keys"
    );
    std::fs::write(&script, words).unwrap();
    let sshd = Sshd::builder()
        .option("AuthorizedKeysFile none")
        .option(format!("AuthorizedKeysCommand /bin/sh {}", script.display()))
        .option("AuthorizedKeysCommandUser root")
        .start()
        .unwrap();
    std::fs::copy(sshd.authorized_keys(), folder.join("keys")).unwrap();
    sshd
}

/// How often the server of [`dithering`] was about to decide.
fn asked(folder: &Path) -> usize {
    std::fs::read_to_string(folder.join("asked")).map_or(0, |text| text.lines().count())
}

fn beside(dialer: &Dialer, count: usize) -> Vec<JoinHandle<Result<Connection, ConnectError>>> {
    let one = |_| {
        let dialer = dialer.clone();
        tokio::spawn(async move { dialer.connect_beside().await })
    };
    (0..count).map(one).collect()
}

#[tokio::test]
async fn the_others_log_in_when_the_server_has_said_that_it_takes_the_key() {
    let folder = tempfile::tempdir().unwrap();
    let sshd = dithering(folder.path());
    let dialer = dialer(&options(&sshd), &Person::absent()).await.unwrap();
    let first = {
        let dialer = dialer.clone();
        tokio::spawn(async move { dialer.connect().await })
    };
    let look = folder.path().to_owned();
    let signed = move || wait::until("the first signature", || asked(&look) == 2);
    let signed = tokio::task::spawn_blocking(signed).await.unwrap();
    assert!(
        signed.is_ok(),
        "asked {} times\n{}",
        asked(folder.path()),
        sshd.log_text()
    );
    let all = async {
        for other in beside(&dialer, 3) {
            assert!(speaks_sftp(&other.await.unwrap().unwrap()).await);
        }
        assert!(!first.is_finished());
        std::fs::write(folder.path().join("go"), b"").unwrap();
        assert!(speaks_sftp(&first.await.unwrap().unwrap()).await);
    };
    let ended = tokio::time::timeout(wait::PATIENCE, all).await;
    assert!(
        ended.is_ok(),
        "asked {} times\n{}",
        asked(folder.path()),
        sshd.log_text()
    );
    assert_eq!(sshd.count_in_log("Failed"), 0, "{}", sshd.log_text());
}

#[tokio::test]
async fn a_key_that_is_refused_is_offered_by_the_first_alone() {
    let sshd = Sshd::builder().start().unwrap();
    let stranger = Sshd::builder().user_key(KeyKind::Ed25519, "").start().unwrap();
    let options = Options {
        identities: vec![stranger.identity().to_owned(), sshd.identity().to_owned()],
        ..options(&sshd)
    };
    let dialer = dialer(&options, &Person::absent()).await.unwrap();
    let others = beside(&dialer, 4);
    let first = dialer.connect().await.unwrap();
    for other in others {
        assert!(speaks_sftp(&other.await.unwrap().unwrap()).await);
    }
    assert!(speaks_sftp(&first).await);
    wait::until("the refusal to be logged", || sshd.count_in_log("Failed") > 0).unwrap();
    assert_eq!(sshd.count_in_log("Failed"), 1, "{}", sshd.log_text());
}

#[tokio::test]
async fn a_wrong_password_after_the_key_costs_one_attempt_whoever_waits_beside() {
    for (typed, lets_in) in [("right", true), ("wrong", false)] {
        let sshd = Sshd::builder()
            .password_user("right")
            .option("AuthenticationMethods publickey,password")
            .start()
            .unwrap();
        let person = Person::answering(&[typed]);
        let dialer = dialer(&options(&sshd), &person).await.unwrap();
        let others = beside(&dialer, 3);
        let first = dialer.connect().await;
        assert_eq!(first.is_ok(), lets_in);
        for other in others {
            match other.await.unwrap() {
                Ok(connection) => assert!(lets_in && speaks_sftp(&connection).await),
                Err(error) => assert!(!lets_in && error.kind() == ConnectErrorKind::Auth, "{}", chain(&error)),
            }
        }
        assert_eq!(
            sshd.count_in_log("Failed password"),
            usize::from(!lets_in),
            "{}",
            sshd.log_text()
        );
    }
}
