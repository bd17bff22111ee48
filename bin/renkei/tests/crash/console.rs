//! Consoles across several hubs, of which one holds the agent, and what becomes of them when a process dies.

use std::fs::Permissions;
use std::io::{PipeWriter, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Stdio};

use rcgen::{CertifiedKey, generate_simple_self_signed};
use renkei_testkit::renkei::{Outcome, Running};
use renkei_testkit::{Postgres, wait};
use serde_json::json;

use crate::api::{PATIENCE, Question};
use crate::stand::Stand;

/// Somebody at the console of machine `a`, by way of one of the hubs.
struct Seat {
    running: Running,
    keyboard: PipeWriter,
}

impl Seat {
    fn by(stand: &Stand, hub: usize) -> Self {
        Self::with(console(stand, hub, &[]), &[])
    }

    fn with(mut command: Command, environment: &[(&str, &str)]) -> Self {
        command.envs(environment.iter().copied());
        let (reader, keyboard) = std::io::pipe().unwrap();
        command.stdin(Stdio::from(reader));
        let running = Running::start(command).unwrap();
        Self { running, keyboard }
    }

    fn type_in(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).unwrap();
    }

    fn sees(&self, words: &str) {
        let seen = || self.running.stdout().contains(words).then_some(());
        let waited = wait::until_some(words, PATIENCE, seen);
        waited.unwrap_or_else(|error| panic!("{error}: {}{}", self.running.stdout(), self.running.stderr()));
    }

    fn ends(self) -> Outcome {
        self.running.finish().unwrap()
    }
}

/// The command, which asks this hub.
fn console(stand: &Stand, hub: usize, words: &[&str]) -> Command {
    let mut command = stand.command(&["vm", "console", "a", "-p", "web"]);
    command.args(words);
    command.env("RENKEI_HUB", format!("http://{}", stand.api.hubs()[hub]));
    command
}

/// A machine that runs.
fn deploy(stand: &Stand) {
    let ids = &stand.ids;
    let new = json!({
        "project": ids.project, "name": "a", "template": ids.template, "adapters": [{"segment": ids.segment}],
    });
    let made = stand.api.done(&Question::post("vms", new));
    let path = format!("vms/{}", made["vms"][0]["id"].as_str().unwrap());
    stand.wait_for("the machine to run", &path, |vm| vm["seen"]["power"] == "on");
}

#[test]
fn either_of_two_hubs_shows_a_console_and_the_death_of_an_agent_ends_it() {
    let server = Postgres::start().unwrap();
    let stand = Stand::start(2, Some(&server.url(&server.create().unwrap())));
    deploy(&stand);
    let mut seats = [Seat::by(&stand, 0), Seat::by(&stand, 1)];
    for (number, seat) in seats.iter_mut().enumerate() {
        seat.sees("a has started");
        seat.type_in(&format!("hub {number}\r"));
        seat.sees(&format!("a: hub {number}\r\n"));
    }
    seats[0].sees("a: hub 1\r\n");
    for hub in 0..2 {
        let log = Running::start(console(&stand, hub, &["--log"]))
            .unwrap()
            .finish()
            .unwrap();
        assert!(log.stdout.starts_with("a has started\r\n"), "{}", log.text());
    }
    stand.agent.kill();
    for seat in seats {
        let outcome = seat.ends();
        assert_eq!(outcome.code(), Some(1), "{}", outcome.text());
        assert!(
            outcome.stderr.contains("the connection to the machine's host broke"),
            "{}",
            outcome.text()
        );
    }
    // Until somebody notices that the agent is gone, it is waited for in vain.
    let refused = Running::start(console(&stand, 0, &[])).unwrap().finish().unwrap();
    assert_eq!(refused.code(), Some(1), "{}", refused.text());
    assert!(refused.stderr.contains("host `node-1` "), "{}", refused.text());
    stand.agent.start();
    let seen = wait::until_some("the console to open again", PATIENCE, || {
        let log = Running::start(console(&stand, 1, &["--log"]))
            .unwrap()
            .finish()
            .unwrap();
        log.stdout.contains("a: hub 1\r\n").then_some(())
    });
    seen.unwrap();
}

#[test]
fn who_stops_in_order_says_so() {
    let stand = Stand::start(1, None);
    deploy(&stand);
    let seat = Seat::by(&stand, 0);
    seat.sees("a has started");
    stand.agent.stop();
    let outcome = seat.ends();
    assert!(
        outcome.stderr.contains("the agent of the machine's host stops"),
        "{}",
        outcome.text()
    );
    stand.agent.start();
    let came_back = wait::until_some("the agent", PATIENCE, || {
        let log = Running::start(console(&stand, 0, &["--log"]))
            .unwrap()
            .finish()
            .unwrap();
        (log.code() == Some(0)).then_some(())
    });
    came_back.unwrap();
    let seat = Seat::by(&stand, 0);
    seat.sees("a has started");
    stand.hubs[0].stop();
    let outcome = seat.ends();
    assert!(outcome.stderr.contains("this hub stops"), "{}", outcome.text());
}

/// Two more hubs over the same database: the agent is connected to neither.
#[test]
fn a_hub_with_a_certificate_shows_a_console_and_one_that_takes_no_agents_says_why() {
    let server = Postgres::start().unwrap();
    let stand = Stand::start(1, Some(&server.url(&server.create().unwrap())));
    deploy(&stand);
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).display().to_string();
    let config = std::fs::read_to_string(stand.config()).unwrap();
    let (hub, _) = config.split_once("[hub.agents]").unwrap();
    let own = format!("listen = \"{}\"", stand.api.hub());
    let hub = hub.replace(&own, "listen = \"127.0.0.1:0\"");
    let serve = |name: &str, more: &str| {
        std::fs::write(at(name), format!("{hub}{more}")).unwrap();
        let running = Running::start(stand.command(&["serve", "--config", &at(name)])).unwrap();
        let port = wait::until_some("the hub to listen", PATIENCE, || {
            let told = running.stdout();
            let (_, rest) = told.split_once("://127.0.0.1:")?;
            Some(rest.split_once('\n')?.0.to_owned())
        });
        (running, port.unwrap())
    };
    let log = |url: String, trusted: &str| {
        let mut command = console(&stand, 0, &["--log"]);
        command.env("RENKEI_HUB", url).env("SSL_CERT_FILE", trusted);
        Running::start(command).unwrap().finish().unwrap()
    };

    let (_alone, port) = serve("alone.toml", "");
    let refused = log(format!("http://127.0.0.1:{port}"), "");
    assert_eq!(refused.code(), Some(1), "{}", refused.text());
    assert!(
        refused.stderr.contains("this hub takes no agents"),
        "{}",
        refused.text()
    );

    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    std::fs::write(at("hub.pem"), cert.pem()).unwrap();
    std::fs::write(at("hub.key"), signing_key.serialize_pem()).unwrap();
    std::fs::set_permissions(at("hub.key"), Permissions::from_mode(0o600)).unwrap();
    let (certificate, key) = (at("hub.pem"), at("hub.key"));
    let tls = format!("[hub.tls]\ncertificate = \"{certificate}\"\nkey = \"{key}\"\n");
    let (_closed, port) = serve("closed.toml", &format!("{tls}[hub.agents]\nlisten = \"127.0.0.1:0\"\n"));
    let url = format!("https://localhost:{port}");
    let told = log(url.clone(), &certificate);
    assert_eq!(told.stdout, "a has started\r\n", "{}", told.text());
    let mut seat = Seat::with(
        console(&stand, 0, &[]),
        &[("RENKEI_HUB", &url), ("SSL_CERT_FILE", &certificate)],
    );
    seat.type_in("sealed\r");
    seat.sees("a: sealed\r\n");
}
