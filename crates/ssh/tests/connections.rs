//! Connections, channels and their ends, against a real sshd.

mod support;

use std::time::Duration;

use bytes::Bytes;
use renkei_ssh::{ChannelEnd, ConnectErrorKind, Destination, Dialer, Exit, Family, Logins, Options};
use renkei_testkit::{Sshd, wait};
use support::{Person, chain, connect, dialer, greet, options, options_with, speaks_sftp};

#[tokio::test]
async fn sftp_answers_on_a_new_connection() {
    let sshd = Sshd::builder().start().unwrap();
    let dialer = dialer(&options(&sshd), &Person::absent()).await.unwrap();
    assert_eq!(dialer.identity().host, "127.0.0.1");
    assert_eq!(dialer.identity().port, sshd.port());
    assert_eq!(dialer.identity().user, sshd.user());
    assert_eq!(dialer.logins(), Logins::Unknown);
    let connection = dialer.connect().await.unwrap();
    assert!(speaks_sftp(&connection).await);
    assert_eq!(dialer.logins(), Logins::Unattended);
    assert!(connection.rtt() > Duration::ZERO);
}

#[tokio::test]
async fn sftp_is_usable_within_the_round_trips_promised() {
    let sshd = Sshd::builder().start().unwrap();
    let connection = connect(&options(&sshd), &Person::absent()).await.unwrap();
    assert!(speaks_sftp(&connection).await);
    // The TCP handshake is one more.
    let trips = connection.round_trips() + 1;
    assert!(trips <= 12, "{trips} round trips");
}

#[tokio::test]
async fn many_connections_are_made_at_once_after_the_first() {
    let sshd = Sshd::builder().start().unwrap();
    let dialer = dialer(&options(&sshd), &Person::absent()).await.unwrap();
    let first = dialer.connect().await.unwrap();
    let others = (0..7).map(|_| {
        let dialer = dialer.clone();
        tokio::spawn(async move { dialer.connect().await })
    });
    let others: Vec<_> = others.collect();
    for other in others {
        assert!(speaks_sftp(&other.await.unwrap().unwrap()).await);
    }
    assert!(speaks_sftp(&first).await);
    assert_eq!(sshd.count_in_log("Failed"), 0, "{}", sshd.log_text());
}

#[tokio::test]
async fn no_more_logins_are_unfinished_at_once_than_set() {
    // Some more than are set, because sshd counts a login as unfinished for a moment after it has answered it.
    let sshd = Sshd::builder().option("MaxStartups 6:100:6").start().unwrap();
    let dialer = dialer(&options(&sshd), &Person::absent()).await.unwrap();
    dialer.set_startups(2);
    let all = (0..16).map(|_| {
        let dialer = dialer.clone();
        tokio::spawn(async move { dialer.connect().await })
    });
    let all: Vec<_> = all.collect();
    for one in all {
        one.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn a_command_gets_its_input_and_gives_output_errors_and_status() {
    let sshd = Sshd::builder().start().unwrap();
    let connection = connect(&options(&sshd), &Person::absent()).await.unwrap();
    let command = "cat; echo trouble >&2; exit 7";
    let (mut tx, mut rx) = connection.exec(command).await.unwrap().split();
    // More than a channel's window, so that both directions wait for one another.
    let block = Bytes::from(vec![b'x'; 1 << 20]);
    let sender = tokio::spawn(async move {
        for _ in 0..8 {
            tx.send(block.clone()).await.unwrap();
        }
        tx.finish().await.unwrap();
        tx
    });
    let mut count = 0;
    while let Some(data) = rx.recv().await {
        count += data.len();
    }
    assert_eq!(count, 8 << 20);
    assert_eq!(*rx.end(), ChannelEnd::Closed(Some(Exit::Code(7))));
    assert_eq!(rx.stderr(), "trouble");
    sender.await.unwrap();
}

#[tokio::test]
async fn a_refused_subsystem_is_an_error_of_the_channel_and_commands_still_run() {
    let sshd = Sshd::builder().no_sftp().start().unwrap();
    let connection = connect(&options(&sshd), &Person::absent()).await.unwrap();
    let error = connection.sftp_channel().await.unwrap_err();
    assert_eq!(error.kind(), ConnectErrorKind::Channel, "{}", chain(&error));
    let mut channel = connection.exec("echo fine").await.unwrap();
    assert_eq!(channel.recv().await.unwrap(), "fine\n");
}

#[tokio::test]
async fn channels_beyond_max_sessions_are_refused_and_the_others_go_on() {
    let sshd = Sshd::builder().option("MaxSessions 2").start().unwrap();
    let connection = connect(&options(&sshd), &Person::absent()).await.unwrap();
    let mut first = connection.sftp_channel().await.unwrap();
    let mut second = connection.sftp_channel().await.unwrap();
    let error = connection.sftp_channel().await.unwrap_err();
    assert_eq!(error.kind(), ConnectErrorKind::Channel, "{}", chain(&error));
    assert_eq!(greet(&mut first).await, Some(2));
    assert_eq!(greet(&mut second).await, Some(2));
    drop(second);
    let freed = async { while connection.sftp_channel().await.is_err() {} };
    tokio::time::timeout(wait::PATIENCE, freed).await.unwrap();
}

#[tokio::test]
async fn a_server_that_dies_ends_channel_and_connection() {
    let sshd = Sshd::builder().start().unwrap();
    let connection = connect(&options(&sshd), &Person::absent()).await.unwrap();
    let mut channel = connection.sftp_channel().await.unwrap();
    assert_eq!(greet(&mut channel).await, Some(2));
    sshd.kill();
    assert_eq!(channel.recv().await, None);
    let reason = connection.closed().await;
    assert_eq!(reason.kind(), ConnectErrorKind::Lost);
    assert!(reason.is_transient());
    assert!(connection.is_closed());
    // A sender that waits for a window must not wait for ever.
    while channel.send(Bytes::from(vec![0; 1 << 20])).await.is_ok() {}
}

#[tokio::test]
async fn a_silent_server_is_noticed() {
    let sshd = Sshd::builder().start().unwrap();
    let lines = ["ServerAliveInterval=1", "ServerAliveCountMax=1"];
    let connection = connect(&options_with(&sshd, &lines), &Person::absent()).await.unwrap();
    sshd.freeze();
    let reason = tokio::time::timeout(wait::PATIENCE, connection.closed()).await;
    sshd.thaw();
    assert_eq!(reason.unwrap().kind(), ConnectErrorKind::Lost);
}

#[tokio::test]
async fn a_server_that_falls_silent_in_the_middle_of_an_upload_is_noticed() {
    let sshd = Sshd::builder().start().unwrap();
    let lines = ["ServerAliveInterval=1", "ServerAliveCountMax=1"];
    let connection = connect(&options_with(&sshd, &lines), &Person::absent()).await.unwrap();
    let mut channel = connection.exec("cat >/dev/null").await.unwrap();
    channel.send(Bytes::from_static(b"begun")).await.unwrap();
    sshd.freeze();
    let upload = async { while channel.send(Bytes::from(vec![0; 1 << 20])).await.is_ok() {} };
    let noticed = tokio::time::timeout(wait::PATIENCE, upload).await;
    sshd.thaw();
    noticed.unwrap();
    assert_eq!(connection.closed().await.kind(), ConnectErrorKind::Lost);
}

#[tokio::test]
async fn nothing_listening_is_a_tcp_error_that_names_the_address() {
    let sshd = Sshd::builder().start().unwrap();
    sshd.kill();
    let error = connect(&options(&sshd), &Person::absent()).await.unwrap_err();
    assert_eq!(error.kind(), ConnectErrorKind::Tcp);
    assert!(error.is_transient());
    assert!(
        chain(&error).contains(&format!("127.0.0.1:{}", sshd.port())),
        "{}",
        chain(&error)
    );
}

#[tokio::test]
async fn a_name_without_address_is_told_from_a_dead_host() {
    let options = Options {
        config_file: Some("none".into()),
        ..Options::default()
    };
    let dest = Destination::host("no-such-host.invalid");
    let dialer = Dialer::resolve(&dest, &options, Person::absent()).await.unwrap();
    assert_eq!(dialer.connect().await.unwrap_err().kind(), ConnectErrorKind::Resolve);
}

#[tokio::test]
async fn a_host_of_the_other_family_has_no_address() {
    let sshd = Sshd::builder().start().unwrap();
    let options = Options {
        family: Family::V6,
        ..options(&sshd)
    };
    assert_eq!(
        connect(&options, &Person::absent()).await.unwrap_err().kind(),
        ConnectErrorKind::Resolve
    );
}

#[tokio::test]
async fn what_is_no_ssh_server_is_said_to_be_none() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = tokio::spawn(async move {
        use tokio::io::AsyncWriteExt;
        let (mut socket, _) = listener.accept().await.unwrap();
        socket
            .write_all(&b"HTTP/1.1 400 Bad Request\r\n".repeat(30))
            .await
            .unwrap();
        socket
    });
    let options = Options {
        config_file: Some("none".into()),
        port: Some(port),
        ..Options::default()
    };
    let dialer = Dialer::resolve(&Destination::host("127.0.0.1"), &options, Person::absent())
        .await
        .unwrap();
    let error = dialer.connect().await.unwrap_err();
    assert_eq!(error.kind(), ConnectErrorKind::Protocol, "{}", chain(&error));
    assert!(error.to_string().contains("HTTP/1.1 400"), "{error}");
    server.await.unwrap();
}

#[tokio::test]
async fn a_server_that_refuses_gives_its_reason() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = tokio::spawn(async move {
        use tokio::io::AsyncWriteExt;
        let (mut socket, _) = listener.accept().await.unwrap();
        socket.write_all(b"Not allowed at this time\r\n").await.unwrap();
    });
    let options = Options {
        config_file: Some("none".into()),
        port: Some(port),
        ..Options::default()
    };
    let dialer = Dialer::resolve(&Destination::host("127.0.0.1"), &options, Person::absent())
        .await
        .unwrap();
    let error = dialer.connect().await.unwrap_err();
    assert_eq!(error.kind(), ConnectErrorKind::Refused, "{}", chain(&error));
    assert!(chain(&error).contains("Not allowed at this time"), "{}", chain(&error));
    server.await.unwrap();
}

#[tokio::test]
async fn an_option_that_ssh_does_not_know_is_an_error_with_its_words() {
    let sshd = Sshd::builder().start().unwrap();
    let error = dialer(&options_with(&sshd, &["NoSuchOption=1"]), &Person::absent())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ConnectErrorKind::Config);
    assert!(chain(&error).contains("nosuchoption"), "{}", chain(&error));
}

#[tokio::test]
async fn algorithms_of_which_none_is_built_in_are_an_error_that_names_the_way_out() {
    let sshd = Sshd::builder().start().unwrap();
    let lines = ["KexAlgorithms=sntrup761x25519-sha512@openssh.com"];
    let error = dialer(&options_with(&sshd, &lines), &Person::absent())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ConnectErrorKind::NoAlgorithm);
    assert!(error.hint().unwrap().contains("--ssh-command"));
}

#[tokio::test]
async fn a_server_with_no_common_cipher_is_an_error_that_names_the_way_out() {
    let sshd = Sshd::builder().option("Ciphers aes256-ctr").start().unwrap();
    let error = connect(&options_with(&sshd, &["Ciphers=aes128-ctr"]), &Person::absent())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ConnectErrorKind::NoAlgorithm, "{}", chain(&error));
    assert!(chain(&error).contains("aes256-ctr") && error.hint().unwrap().contains("--ssh-command"));
}

#[tokio::test]
async fn each_cipher_and_compression_carries_data() {
    let sshd = Sshd::builder().start().unwrap();
    let ciphers = ["aes128-gcm@openssh.com", "chacha20-poly1305@openssh.com", "aes256-ctr"];
    for (cipher, compression) in ciphers.into_iter().zip([None, Some("yes"), Some("no")]) {
        let options = Options {
            cipher: Some(cipher.into()),
            compression: compression.map(str::to_owned),
            ..options(&sshd)
        };
        let connection = connect(&options, &Person::absent()).await.unwrap();
        assert!(speaks_sftp(&connection).await, "{cipher} {compression:?}");
    }
}

#[tokio::test]
async fn keys_are_exchanged_again_in_the_middle_of_data() {
    let sshd = Sshd::builder().start().unwrap();
    let connection = connect(&options_with(&sshd, &["RekeyLimit=1M"]), &Person::absent())
        .await
        .unwrap();
    let (mut tx, mut rx) = connection.exec("cat").await.unwrap().split();
    let sender = tokio::spawn(async move {
        for _ in 0..80 {
            tx.send(Bytes::from(vec![b'x'; 100_000])).await.unwrap();
        }
        tx.finish().await.unwrap();
        tx
    });
    let mut count = 0;
    while let Some(data) = rx.recv().await {
        count += data.len();
    }
    assert_eq!(count, 8_000_000);
    sender.await.unwrap();
}

#[tokio::test]
async fn congestion_control_is_set_or_the_error_names_what_there_is() {
    let sshd = Sshd::builder().start().unwrap();
    let with = |name: &str| Options {
        congestion: Some(name.into()),
        ..options(&sshd)
    };
    assert!(connect(&with("reno"), &Person::absent()).await.is_ok());
    let error = connect(&with("no-such-control"), &Person::absent()).await.unwrap_err();
    assert_eq!(error.kind(), ConnectErrorKind::Config, "{}", chain(&error));
    assert!(chain(&error).contains("reno"), "{}", chain(&error));
}

#[tokio::test]
async fn connections_beside_the_first_log_in_after_it_whatever_the_limit_on_logins() {
    for startups in [1, 8] {
        let sshd = Sshd::builder().start().unwrap();
        let dialer = dialer(&options(&sshd), &Person::absent()).await.unwrap();
        dialer.set_startups(startups);
        let beside: Vec<_> = (0..5)
            .map(|_| {
                let dialer = dialer.clone();
                tokio::spawn(async move { dialer.connect_beside().await })
            })
            .collect();
        tokio::task::yield_now().await;
        let all = async {
            assert!(speaks_sftp(&dialer.connect().await.unwrap()).await);
            for one in beside {
                assert!(speaks_sftp(&one.await.unwrap().unwrap()).await);
            }
        };
        tokio::time::timeout(wait::PATIENCE, all).await.unwrap();
    }
}

#[tokio::test]
async fn connections_beside_a_first_that_fails_cost_no_attempt_at_the_server() {
    let sshd = Sshd::builder().password_user("right").start().unwrap();
    let options = Options {
        password: Some("wrong".into()),
        ..options(&sshd)
    };
    let dialer = dialer(&options, &Person::absent()).await.unwrap();
    let (first, one, two) = tokio::join!(dialer.connect(), dialer.connect_beside(), dialer.connect_beside());
    for failed in [first, one, two] {
        assert_eq!(failed.unwrap_err().kind(), ConnectErrorKind::Auth);
    }
    wait::until("the failure to be logged", || sshd.count_in_log("Failed") > 0).unwrap();
    assert_eq!(sshd.count_in_log("Failed"), 1, "{}", sshd.log_text());
}
