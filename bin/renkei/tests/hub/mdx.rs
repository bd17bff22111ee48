//! Scripts that were written for mdx, against `renkei up` and its agent: the client is that of the hub's own tests, which was written
//! from a description of mdx's API.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use renkei_testkit::renkei::Running;
use renkei_testkit::wait;
use serde_json::{Value, json};

use super::host::wait_for_agents;
use super::support::{Hub, PASSWORD};

/// The client.
const CLIENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../crates/hub/tests/api/mdx/client.py");
/// How long one scenario may take on a computer that does much else.
const PATIENCE: Duration = Duration::from_secs(300);

/// A hub with one host, and project `lab` of `ada`'s as such scripts expect it.
struct Stage {
    hub: Hub,
    rules: Vec<Value>,
}

/// What the pretended host has, the same whatever this computer has, and how it misbehaves.
fn script(rules: &[Value]) -> String {
    let capacity = json!({"vcpus": 16, "memory_mib": 65536, "disk_gib": 1000, "gpus": 0});
    json!({"capacity": capacity, "rules": rules}).to_string()
}

impl Stage {
    fn new() -> Self {
        let hub = Hub::start_on(&script(&[]));
        let admin = hub.administrator();
        hub.member(&admin, "ada");
        wait_for_agents(&hub.url, 1);
        for words in [
            "org create university",
            "project create lab --org university",
            "member add ada -r owner -p lab",
            "quota set local -p lab --vms 50 --vcpus 256 --memory 512G --disk 4T --segments 1 --global-ips 2",
            "segment create main -p lab --v6 2001:db8:1::/64",
            "global-ip add 203.0.113.10 --site local",
            "global-ip add 203.0.113.11 --site local",
        ] {
            admin.done(&words.split(' ').collect::<Vec<_>>());
        }
        Self { hub, rules: Vec::new() }
    }

    fn plays(mut self, scenario: &str) {
        let mut command = Command::new("python3");
        command.arg("-B").arg(CLIENT).arg(&self.hub.url);
        command.arg(format!("ada:{PASSWORD}")).arg(scenario);
        let mut client = Running::start(command).unwrap();
        let mut obeyed = 0;
        let ended = wait::until_some("the scenario to end", PATIENCE, || {
            let ended = client.has_ended();
            let told = client.stdout();
            let lines: Vec<&str> = told.split_inclusive('\n').filter(|line| line.ends_with('\n')).collect();
            for line in lines.iter().skip(obeyed) {
                self.obey(line.trim_end());
            }
            obeyed = lines.len();
            ended.then_some(())
        });
        assert!(ended.is_ok(), "{scenario}: {}", client.stderr());
        let outcome = client.finish().unwrap();
        assert!(outcome.status.success(), "{scenario}: {}", outcome.text());
        assert!(outcome.stdout.ends_with("done\n"), "{scenario}: {}", outcome.text());
    }

    fn obey(&mut self, line: &str) {
        let rule = match line.split(' ').collect::<Vec<_>>()[..] {
            ["fail", name] => {
                let trouble = json!({"message": "the disk cannot be made", "lasting": "permanent"});
                json!({"machine": name, "step": "create", "does": {"fails": trouble}})
            }
            ["address", name, address] => {
                json!({"machine": name, "does": {"uses": {"adapter": 1, "addresses": [address]}}})
            }
            _ => return assert_eq!(line, "done"),
        };
        self.rules.push(rule);
        let path: PathBuf = self.hub.data().join("site/fake/fake.json");
        // The agent reads it at any time.
        let beside = path.with_extension("new");
        std::fs::write(&beside, script(&self.rules)).unwrap();
        std::fs::rename(&beside, &path).unwrap();
    }
}

macro_rules! scenarios {
    ($($(#[$doc:meta])* $case:ident $scenario:literal;)*) => {$(
        $(#[$doc])*
        #[test]
        fn $case() {
            Stage::new().plays($scenario);
        }
    )*};
}

scenarios! {
    /// Deploy, reboot, off, on, destroy until 404; both histories.
    a_machine_lives_as_scripts_expect "life";
    /// Tasks in the order of the names, one look each; then addresses that all differ.
    a_range_is_deployed_by_one_request "ranges";
    /// Reset, reconfigure, and what is refused.
    calls_and_refusals_are_exact "wire";
    /// In the list before the 202; off when it is done.
    a_clone_is_listed_at_once "clones";
    /// By the machine's id and in both histories.
    a_deployment_that_fails_stays_readable "failing";
    /// A guest that takes another address.
    a_guest_is_shown_with_the_address_that_it_uses "moving";
    /// Rules and mappings, by way of the agent of the gateway.
    rules_and_mappings_are_made_and_taken_away "networks";
}
