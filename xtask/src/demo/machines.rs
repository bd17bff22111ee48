//! Machines: brings a hub up with one host, this computer, deploys two machines, logs in to one through an outside address that a rule
//! opens, and by nothing else.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use renkei_testkit::keys::{KeyKind, KeyPair};
use renkei_testkit::renkei::Running;

use super::After;
use super::prompt::{Prompt, line, say};
use super::range::Range;
use super::stage::{Brought, DATA, Stage};
use crate::timing::Minutes;
use crate::{apt, tool};

/// What this needs of Debian.
const PACKAGES: &[&str] = &[
    "iproute2",
    "nftables",
    "conntrack",
    "dnsmasq-base",
    "qemu-system-x86",
    "qemu-utils",
    "xorriso",
    "util-linux",
];
/// The longest that an open session may last when nothing lets it in any more.
const SILENCE: Duration = Duration::from_secs(30);
/// What a small guest says at its console when it takes logins.
const READY: &str = "renkei small: up";
/// The options of ssh by which neither the user's own keys nor their known hosts play a part.
const OWN: &[&str] = &[
    "-i",
    "key",
    "-o",
    "IdentitiesOnly=yes",
    "-o",
    "UserKnownHostsFile=known_hosts",
    "-o",
    "StrictHostKeyChecking=accept-new",
    "-o",
    "ConnectTimeout=3",
];

/// What keeps machines from being run here, after installing what could be.
pub fn missing(minutes: &mut Minutes) -> Option<String> {
    if std::env::consts::ARCH != "x86_64" {
        return Some("the small template is for x86-64 only".to_owned());
    }
    let root = tool::output(std::process::Command::new("id").arg("-u"));
    if !root.is_ok_and(|id| id.trim() == "0") {
        return Some("only root can make machines' networks: run `cargo xtask demo` as root for it".to_owned());
    }
    if let Err(error) = apt::install(PACKAGES, minutes) {
        return Some(format!("{error:#}"));
    }
    if !tool::works("unshare", &["--net", "true"]) {
        return Some("no network namespace can be made here, as in a container with few rights".to_owned());
    }
    None
}

/// Shows them with this `renkei`.
pub fn run(renkei: &Path, after: After, minutes: &mut Minutes) -> Result<()> {
    say("and now real machines: a hub, and this computer as its one host");
    say("");
    let range = Range::free()?;
    let mut stage = match minutes.part("up", || Stage::bring_up(renkei, range))? {
        Brought::Up(stage) => *stage,
        Brought::Pretending(why) => {
            say(&format!("no real machine can run here: {why}"));
            return Ok(());
        }
    };
    let mut show = || -> Result<()> {
        minutes.part("template", || build(&stage.prompt))?;
        let machines = minutes.part("machines", || deploy(&mut stage.prompt, range))?;
        minutes.part("networks", || networks(&stage.prompt, &machines))?;
        if after == After::GoOn {
            farewell(&stage.prompt, &machines);
            stage.go_on()?;
        }
        Ok(())
    };
    if let Err(error) = show() {
        return Err(stage.failed(error));
    }
    say("");
    minutes.part("end", || stage.end())
}

fn build(prompt: &Prompt) -> Result<()> {
    say("");
    say("a template of Debian's packages, for machines that boot in seconds:");
    prompt.run(&["renkei", "template", "build", "small", "--data", DATA])?;
    Ok(())
}

/// Two machines that have booted.
struct Machines {
    /// The inside address of each.
    inside: [String; 2],
    /// The outside address that leads to the first of them.
    outside: String,
    /// This computer's address on the way there.
    own: String,
}

fn deploy(prompt: &mut Prompt, range: Range) -> Result<Machines> {
    say("");
    say("an organization, a project with a quota, a network, and two machines in it:");
    prompt.run(&["renkei", "org", "create", "cs"])?;
    let about = ["--contact", "ada@example.org", "--expires", "7d"];
    prompt.run(&[&["renkei", "project", "create", "lab", "--org", "cs"], &about[..]].concat())?;
    prompt.export("RENKEI_PROJECT", "lab");
    let quota = ["--vms", "4", "--vcpus", "4", "--memory", "4G", "--disk", "40G"];
    let networks = ["--segments", "1", "--global-ips", "1"];
    prompt.run(&[&["renkei", "quota", "set", "local"], &quota[..], &networks[..]].concat())?;
    prompt.run(&["renkei", "segment", "create", "net"])?;
    KeyPair::generate(&prompt.folder().join("key"), KeyKind::Ed25519)?;
    let how = ["--template", "renkei-small", "--key", "key.pub", "--wait"];
    let start = Instant::now();
    prompt.run(&[&["renkei", "vm", "deploy", "demo[1-2]"], &how[..]].concat())?;
    for name in ["demo1", "demo2"] {
        let words = ["renkei", "vm", "console", name, "--log"];
        prompt.asking_until(&format!("vm `{name}` to take logins"), || {
            prompt.quietly(&words).ok().filter(|log| log.contains(READY))
        })?;
    }
    say(&format!(
        "# both take logins {:.1} s after the deploy began",
        start.elapsed().as_secs_f64()
    ));
    prompt.run(&["renkei", "vm", "console", "demo1", "--log"])?;
    Ok(Machines {
        inside: [inside(prompt, "demo1")?, inside(prompt, "demo2")?],
        outside: range.outside().to_string(),
        own: range.own().to_string(),
    })
}

/// The address that a machine was given.
fn inside(prompt: &Prompt, name: &str) -> Result<String> {
    let vm = prompt.ask(&["vm", "show", name])?;
    let address = vm["meant"]["adapters"][0]["addresses"][0].as_str();
    address
        .map(str::to_owned)
        .with_context(|| format!("vm `{name}` has no address"))
}

fn networks(prompt: &Prompt, machines: &Machines) -> Result<()> {
    let Machines {
        inside: [first, second],
        outside,
        own,
    } = machines;
    say("");
    say(
        "nothing leads to them from outside. An outside address gets a way to the first, and still nothing lets anybody in:",
    );
    prompt.run(&["renkei", "global-ip", "add", outside, "--site", "local"])?;
    prompt.run(&["renkei", "dnat", "create", outside, first, "--segment", "net", "--wait"])?;
    prompt.refused(&[&["renkei", "vm", "ssh", "demo1"], OWN].concat())?;
    let user = format!("root@{outside}");
    let plain = [&["ssh", "-n"], OWN, &[&user, "hostname"]].concat();
    prompt.refused(&plain)?;

    say("");
    say(&format!(
        "a rule opens the port of ssh for {own}, which this computer is there:"
    ));
    prompt.run(&rule(machines))?;
    let script = format!("hostname; uname -sr; ip -4 address show ens160; df -h /; ping -c 2 {second}");
    prompt.run(&[&["renkei", "vm", "ssh", "demo1"], OWN, &["--", &script]].concat())?;
    // An address is shown as soon as it was seen in a packet, and an agent looks every few seconds.
    prompt.asking_until("the addresses to be seen", || {
        let all = prompt.ask(&["vm", "list"]).ok()?;
        let all = all.as_array()?;
        let is_seen = |vm: &serde_json::Value| vm["seen"]["addresses"]["1"][0].is_string();
        all.iter().all(is_seen).then_some(())
    })?;
    prompt.run(&["renkei", "vm", "list"])?;

    say("");
    say("without the rule it is closed again, and who was in is out:");
    let session = Session::open(prompt)?;
    let rules = prompt.ask(&["acl", "list"])?;
    let id = rules[0]["id"].as_str().context("a rule has no id")?;
    prompt.run(&["renkei", "acl", "delete", id, "--yes", "--wait"])?;
    session.falls_silent(prompt)?;
    prompt.refused(&plain)?;
    Ok(())
}

/// The command that lets this computer in.
fn rule(machines: &Machines) -> Vec<&str> {
    let to = ["--to", &machines.inside[0], "--ports", "22", "--wait"];
    [&["renkei", "acl", "create", "net", "--from", &machines.own], &to[..]].concat()
}

/// Somebody who is logged in, and prints the time again and again.
struct Session {
    running: Running,
}

impl Session {
    fn open(prompt: &Prompt) -> Result<Self> {
        // Ssh itself would wait for hours for a server that says nothing more.
        let patience = ["-o", "ServerAliveInterval=1", "-o", "ServerAliveCountMax=2"];
        let script = ["--", "while sleep 0.1; do date; done"];
        let words = [&["renkei", "vm", "ssh", "demo1"], OWN, &patience[..], &script[..]].concat();
        say(&format!("$ {} &", line(&words)));
        let mut running = Running::start(prompt.command(&words))?;
        prompt.until("the session to say something", SILENCE, || {
            (!running.stdout().is_empty() || running.has_ended()).then_some(())
        })?;
        if running.has_ended() {
            bail!("the session has ended: {}", running.stderr().trim());
        }
        say(running.stdout().trim_end());
        Ok(Self { running })
    }

    /// To be called when the rule is gone.
    fn falls_silent(mut self, prompt: &Prompt) -> Result<()> {
        let start = Instant::now();
        let mut heard = (self.running.stdout().len(), None);
        prompt.until("the open session to end", SILENCE, || {
            let length = self.running.stdout().len();
            if length > heard.0 {
                heard = (length, Some(start.elapsed()));
            }
            self.running.has_ended().then_some(())
        })?;
        let end = start.elapsed().as_secs_f64();
        let last = match heard.1 {
            Some(last) => format!("its last word came {:.1} s after the rule was gone", last.as_secs_f64()),
            None => "not a word came after the rule was gone".to_owned(),
        };
        let outcome = self.running.finish()?;
        let why = outcome.stderr.lines().last().unwrap_or_default().trim();
        say(&format!(
            "the open session: {last}; its ssh gave up at {end:.1} s: {why}"
        ));
        Ok(())
    }
}

/// What can be tried now.
fn farewell(prompt: &Prompt, machines: &Machines) {
    let ssh = [&["renkei", "vm", "ssh", "demo1"], OWN].concat();
    say("");
    say("everything runs on. To try it yourself, in another terminal:");
    say(&format!("  cd {}", prompt.folder().display()));
    prompt
        .settings()
        .iter()
        .for_each(|setting| say(&format!("  {setting}")));
    for words in [
        &["renkei", "vm", "list"][..],
        // It shows a prompt, and no password opens it.
        &["renkei", "vm", "console", "demo2"],
        &rule(machines),
        &ssh,
        &["renkei", "vm", "shutdown", "demo2", "--wait"],
        &["renkei", "vm", "destroy", "demo2", "--wait"],
    ] {
        say(&format!("  {}", line(words)));
    }
    say("Ctrl-C here destroys the machines, stops `renkei up` and removes the folder");
}
