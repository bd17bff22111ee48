//! The fleet against a hub, in small: that its commands work, not how fast anything is.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use renkei_testkit::Renkei;
use renkei_testkit::renkei::Running;
use renkei_testkit::wait;
use serde_json::Value;

/// A hub with its administrator signed in.
struct Hub {
    _running: Running,
    // Removed after the hub has ended.
    _home: Renkei,
    api: String,
    tokens: Value,
}

impl Hub {
    fn start(data: &Path) -> Self {
        let home = Renkei::built().unwrap();
        let mut command = home.command();
        command.args(["serve", "--listen", "127.0.0.1:0", "--agents", "127.0.0.1:0"]);
        command.args(["--database", &url(data)]);
        let running = Running::start(command).unwrap();
        let told = wait::until_some("the hub to listen", wait::PATIENCE, || {
            let told = running.stdout();
            (told.contains("one-time password: ") && told.ends_with('\n')).then_some(told)
        });
        let told = told.unwrap();
        let after = |words: &str| told.split_once(words).unwrap().1.lines().next().unwrap().to_owned();
        let api = after("listening on http://");
        let told = fleet(&["sign-in", "--hub", &api], &[], &after("one-time password: "));
        Self {
            _running: running,
            _home: home,
            api,
            tokens: told[0].clone(),
        }
    }

    fn ask(&self, words: &[&str]) -> Value {
        let token = |name: &str| self.tokens[name].as_str().unwrap();
        let tokens = [
            ("RENKEI_TOKEN", token("token")),
            ("RENKEI_MDX_TOKEN", token("mdx_token")),
        ];
        let told = fleet(&[words, &["--hub", &self.api, "--rounds", "1"]].concat(), &tokens, "");
        assert_eq!(told.len(), 1, "{told:?}");
        told[0].clone()
    }
}

fn url(data: &Path) -> String {
    format!("sqlite:{}", data.join("hub.sqlite").display())
}

fn fleet(words: &[&str], environment: &[(&str, &str)], input: &str) -> Vec<Value> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_renkei-fleet"));
    command.args(words).envs(environment.iter().copied());
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(
        output.status.success(),
        "{words:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_hub_is_filled_and_looked_at() {
    let data = tempfile::tempdir().unwrap();
    let words = ["fill", "--projects", "10", "--machines", "130", "--database"];
    fleet(&[&words[..], &[&url(data.path())]].concat(), &[], "");
    let hub = Hub::start(data.path());
    let told = hub.ask(&["read", "--rate", "20", "--seconds", "1"]);
    assert_eq!(told["machines"], 130);
    for kind in ["list", "show", "refresh"] {
        let of = &told[kind];
        assert_eq!((&of["requests"], &of["refused"]), (&20.into(), &0.into()), "{kind}");
    }
}

#[test]
fn machines_are_deployed_on_hosts_and_changed() {
    for (what, machines) in [("deploy", "5"), ("change", "2")] {
        let (data, agents) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let hub = Hub::start(data.path());
        let folder = agents.path().to_str().unwrap();
        let told = hub.ask(&[what, "--folder", folder, "--hosts", "2", "--machines", machines]);
        assert_eq!(told["failed"], 0, "{what}");
    }
}
