//! Computers that become hosts: by `renkei up`, and by `renkei join`.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use renkei_testkit::renkei::{Renkei, Running};
use renkei_testkit::wait;

use crate::support::Hub;

/// How many agents a hub says that it has.
fn agents(url: &str) -> Option<u32> {
    let mut stream = TcpStream::connect(url.strip_prefix("http://")?).ok()?;
    let request = b"GET /metrics HTTP/1.1\r\nHost: hub\r\nConnection: close\r\n\r\n";
    stream.write_all(request).ok()?;
    let mut told = String::new();
    stream.read_to_string(&mut told).ok()?;
    let line = told.lines().find_map(|line| line.strip_prefix("renkei_agents "));
    line?.trim().parse().ok()
}

/// Waits until so many hosts' agents are connected.
pub fn wait_for_agents(url: &str, count: u32) {
    let connected = || agents(url) == Some(count);
    wait::until("the agents to be connected", connected).unwrap();
}

#[test]
fn up_makes_this_computer_a_host_that_comes_back() {
    let hub = Hub::start();
    let administrator = hub.administrator();
    wait_for_agents(&hub.url, 1);
    let site = administrator.json(&["site", "show", "local"]);
    assert!(site["gateway"].is_string(), "{site}");
    let before = std::fs::read_to_string(hub.data().join("site/host.json")).unwrap();
    // Another port, the same host.
    let again = Hub::over(hub.into_data());
    wait_for_agents(&again.url, 1);
    assert_eq!(
        std::fs::read_to_string(again.data().join("site/host.json")).unwrap(),
        before
    );
}

#[test]
fn a_computer_joins_once_with_a_token_of_this_hub() {
    let hub = Hub::start();
    let administrator = hub.administrator();
    wait_for_agents(&hub.url, 1);
    administrator.done(&["site", "create", "osaka"]);
    let invited = administrator.json(&["site", "invite", "osaka"]);
    let (url, token) = (invited["url"].as_str().unwrap(), invited["token"].as_str().unwrap());
    let (secret, hash) = token.split_once('.').unwrap();

    let host = Renkei::built().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("site");
    let join = |token: &str| {
        let mut command = host.command();
        command
            .args(["join", url, token, "--name", "node-1", "--data"])
            .arg(&data);
        Running::start(command).unwrap().finish().unwrap()
    };
    // Somebody who stands in between cannot show the authority that the token names, and is told nothing.
    let other: String = hash.chars().map(|digit| if digit == '0' { '1' } else { '0' }).collect();
    let refused = join(&format!("{secret}.{other}"));
    assert_eq!(refused.code(), Some(1), "{}", refused.text());
    assert!(
        refused.stderr.contains("authority that the token names"),
        "{}",
        refused.text()
    );
    assert!(!data.join("host.json").exists());

    let joined = join(token);
    assert_eq!(joined.code(), Some(0), "{}", joined.text());
    assert!(joined.stdout.contains("joined as host node-1"), "{}", joined.text());
    let again = join(token);
    assert!(again.stderr.contains("already the host `node-1`"), "{}", again.text());

    let config = folder.path().join("site.toml");
    std::fs::write(
        &config,
        format!("[site]\ndata = \"{}\"\ndriver = \"fake\"\n", data.display()),
    )
    .unwrap();
    let mut command = host.command();
    command.arg("serve").arg("--config").arg(&config);
    let agent = Running::start(command).unwrap();
    wait_for_agents(&hub.url, 2);
    assert!(
        agent.stdout().contains("driver fake: machines are only pretended"),
        "{}",
        agent.stdout()
    );
    agent.interrupt();
    let outcome = agent.finish().unwrap();
    assert!(outcome.status.success(), "{}", outcome.text());
    wait_for_agents(&hub.url, 1);
}
