//! Servers that penalise an address: OpenSSH since 9.8 turns its connections away for a while before they can log in.

use renkei_testkit::TcpProxy;
use renkei_testkit::renkei::Running;

use crate::resume::number;
use crate::support::{ALL, Lab, WAYS, Way, ends_with, summary, well};

/// The server behind a proxy that can turn clients away.
fn guarded() -> (Lab, TcpProxy) {
    let lab = Lab::new();
    let proxy = TcpProxy::start(lab.sshd().address()).unwrap();
    let mut tree = lab.tree("tree");
    tree.small_files(200, 10_000).unwrap();
    tree.file("large", 16 << 20).unwrap();
    (lab, proxy)
}

fn start(lab: &Lab, proxy: &TcpProxy, (way, options): (Way, &[&str])) -> Running {
    let mut command = lab.renkei().command();
    command
        .args(["cp", "-F"])
        .arg(lab.sshd().ssh_config_via(proxy.port()).unwrap())
        .args(lab.words(way, options, &["tree", &format!("{way:?}")]));
    Running::start(command).unwrap()
}

#[test]
fn a_server_that_turns_most_connections_away_is_copied_to_over_the_others_and_left_alone() {
    let (lab, proxy) = guarded();
    for way in WAYS {
        let (before, away) = (proxy.accepted(), proxy.turned_away());
        proxy.penalise(before + 3..u64::MAX);
        let options = ["--json", "--limit", "16M", "--connections", "8"];
        let last = summary(&well(start(&lab, &proxy, (way, &options)).finish().unwrap()));
        lab.assert_same("tree", &format!("{way:?}"), ALL);
        // Whoever asks again at once prolongs the penalty: not many more were tried than the eight of the beginning.
        let away = proxy.turned_away() - away;
        assert!((1..=24).contains(&away), "{away} were turned away: {last}");
    }
}

#[test]
fn a_server_that_turns_everyone_away_ends_it_with_3_and_its_words() {
    let (lab, proxy) = guarded();
    proxy.penalise(1..u64::MAX);
    for way in WAYS {
        let outcome = start(&lab, &proxy, (way, &[])).finish().unwrap();
        ends_with(&outcome, 3);
        assert!(
            outcome.stderr.contains("Not allowed at this time"),
            "{}",
            outcome.text()
        );
        assert!(outcome.stderr.contains("hint: "), "{}", outcome.text());
        assert!(!lab.exists(format!("{way:?}")));
    }
}

#[test]
fn a_server_that_penalises_lost_connections_is_asked_again_until_it_lets_in() {
    let (lab, proxy) = guarded();
    for way in WAYS {
        let mut running = start(&lab, &proxy, (way, &["--json", "--limit", "16M"]));
        running.wait_for_bytes(2 << 20).unwrap();
        let (before, away) = (proxy.accepted(), proxy.turned_away());
        proxy.penalise(before + 1..before + 4);
        assert!(proxy.reset_all() > 0);
        let last = summary(&well(running.finish().unwrap()));
        assert_eq!(proxy.turned_away() - away, 3, "{last}");
        assert!(number(&last, "retries") > 0, "{last}");
        lab.assert_same("tree", &format!("{way:?}"), ALL);
    }
}
