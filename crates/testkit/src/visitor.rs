//! A client inside a segment, and the processes of guests.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::process::run;
use crate::{Namespace, wait};

/// How long a guest may take to answer, on a machine that has other things to do.
const PATIENCE: Duration = Duration::from_secs(90);

/// A client in a namespace of its own, with a link into the bridge of a host that has one segment.
#[derive(Debug)]
pub struct Visitor {
    namespace: Namespace,
}

impl Visitor {
    /// Joins the only segment's bridge in the network namespace of this file, with an address such as `10.15.7.9/21`.
    ///
    /// # Errors
    /// If there is no bridge, or this is not root.
    pub fn join(switch: &Path, address: &str) -> Result<Self> {
        let namespace = Namespace::create("visitor")?;
        let inside = |words: &[&str]| {
            let mut command = Command::new("nsenter");
            command.arg(format!("--net={}", switch.display())).arg("ip").args(words);
            run(&mut command)
        };
        let shown = inside(&["-o", "link", "show", "type", "bridge"])?;
        let text = String::from_utf8(shown.stdout)?;
        // The other one leads outside.
        let mut names = text.lines().filter_map(|line| line.split(": ").nth(1));
        let bridge = names.find(|name| *name != "uplink");
        let bridge = bridge.context("the segment has a bridge")?;
        let path = namespace.path();
        let path = path.to_str().context("a path of ours is text")?;
        let end = format!("v{}", std::process::id());
        inside(&[
            "link", "add", &end, "type", "veth", "peer", "name", "eth0", "netns", path,
        ])?;
        inside(&["link", "set", &end, "master", bridge, "up"])?;
        namespace.ip(&["address", "add", address, "dev", "eth0"])?;
        namespace.ip(&["link", "set", "eth0", "up"])?;
        Ok(Self { namespace })
    }

    /// Runs a command as root in the guest at this address, as soon as it can be reached.
    ///
    /// # Errors
    /// If it cannot be reached for a long time, or the command fails all that time; says which, and what was said last.
    pub fn ssh(&self, key: &Path, address: &str, words: &str) -> Result<String> {
        let mut said = String::new();
        let answered = wait::until_some("the guest can be reached by ssh", PATIENCE, || {
            let output = self.try_ssh(key, address, words).ok()?;
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            said = format!("{text}{}", String::from_utf8_lossy(&output.stderr));
            output.status.success().then_some(text)
        });
        answered.with_context(|| format!("`{words}`: {said}"))
    }

    /// Runs a command as root in the guest at this address, now.
    ///
    /// # Errors
    /// If ssh cannot be started.
    pub fn try_ssh(&self, key: &Path, address: &str, words: &str) -> Result<Output> {
        let mut command = self.namespace.command("ssh");
        command
            .arg("-i")
            .arg(key)
            .args(["-F", "none", "-o", "BatchMode=yes", "-o", "ConnectTimeout=2"])
            .args(["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"])
            .args(["-l", "root", address, words]);
        command.output().context("ssh can be started")
    }
}

/// The QEMU of the machine with this id, if it runs.
pub fn qemu_of(id: &str) -> Option<u32> {
    let mark = format!("guest={id}");
    let pids = fs::read_dir("/proc").ok()?.flatten();
    pids.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .find(|pid: &u32| {
            let words = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            words.split(|byte| *byte == 0).any(|word| word == mark.as_bytes())
        })
}
