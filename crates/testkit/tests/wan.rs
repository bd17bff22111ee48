//! The long way, by the system's own clients.

use std::time::{Duration, Instant};

use renkei_testkit::Wan;
use renkei_testkit::wan::{Direction, congestion_controls};

fn ssh(wan: &Wan, words: &[&str]) -> String {
    let mut command = wan.client_command("ssh");
    command
        .arg("-F")
        .arg(wan.ssh_config())
        .args(["-o", "BatchMode=yes"])
        .args(words);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{output:?} {}", wan.sshd().log_text());
    String::from_utf8(output.stdout).unwrap()
}

/// Whether the server's sshd answers the client directly, within a second.
fn answers(wan: &Wan) -> bool {
    let address = wan.server_address().to_string();
    let output = wan
        .client_command("ssh-keyscan")
        .args(["-T", "1", "-t", "ed25519", &address])
        .output();
    !output.unwrap().stdout.is_empty()
}

#[test]
fn a_login_takes_its_round_trips() {
    let rtt = Duration::from_millis(20);
    let wan = Wan::builder().rtt(rtt).build().unwrap();
    let start = Instant::now();
    assert_eq!(ssh(&wan, &["testhost", "echo here"]), "here\n");
    assert!(start.elapsed() >= rtt * 8, "{:?}", start.elapsed());
    assert!(wan.counters().up.packets > 8);
}

#[test]
fn several_exist_at_once_and_leave_nothing() {
    let names = || {
        let prefix = format!("renkei-{}-", std::process::id());
        let entries = std::fs::read_dir("/run/netns").unwrap();
        entries
            .flatten()
            .filter(|entry| entry.file_name().to_string_lossy().starts_with(&prefix))
            .count()
    };
    let ways: Vec<Wan> = (0..2).map(|_| Wan::builder().build().unwrap()).collect();
    assert_eq!(names(), 4);
    ways.iter()
        .for_each(|wan| assert_eq!(ssh(wan, &["testhost", "echo here"]), "here\n"));
    drop(ways);
    assert_eq!(names(), 0);
}

#[test]
fn data_crosses_whole_in_spite_of_loss_and_a_short_queue() {
    let wan = Wan::builder()
        .rtt(Duration::from_millis(2))
        .rate(300_000_000)
        .loss(0.01)
        .queue(200_000)
        .build()
        .unwrap();
    let text = "dd if=/dev/zero bs=1M count=8 2>/dev/null | tr '\\0' x | sha256sum; dd if=/dev/zero bs=1M count=8 2>/dev/null | tr '\\0' x";
    let got = ssh(&wan, &["testhost", text]);
    assert_eq!(got.bytes().filter(|byte| *byte == b'x').count(), 8 << 20);
    let counters = wan.counters();
    assert!(counters.down.lost > 0 && counters.down.bytes > 8 << 20, "{counters:?}");
}

#[test]
fn the_server_behind_a_jump_host_is_reached_only_through_it() {
    let wan = Wan::builder().through_jump_host().build().unwrap();
    assert_eq!(ssh(&wan, &["testhost", "echo here"]), "here\n");
    assert_eq!(wan.jump_host().unwrap().count_in_log("Accepted publickey"), 1);
    assert!(!answers(&wan));
}

#[test]
fn the_congestion_control_is_the_one_asked_for() {
    for name in congestion_controls() {
        let wan = Wan::builder().congestion(&name).build().unwrap();
        assert_eq!(
            ssh(&wan, &["testhost", "cat /proc/sys/net/ipv4/tcp_congestion_control"]).trim(),
            name
        );
    }
    assert!(Wan::builder().congestion("none-such").build().is_err());
}

#[test]
fn iperf_sees_the_rate() {
    let wan = Wan::builder()
        .rate(50_000_000)
        .rtt(Duration::from_millis(1))
        .build()
        .unwrap();
    for direction in [Direction::Up, Direction::Down] {
        let rate = wan.iperf(direction, 2, 1).unwrap();
        assert!(rate < 51_000_000.0, "{rate}");
    }
}

#[test]
fn a_cut_link_carries_nothing_until_mended() {
    let wan = Wan::builder().build().unwrap();
    wan.cut();
    assert!(!answers(&wan));
    wan.mend();
    assert!(answers(&wan));
}
