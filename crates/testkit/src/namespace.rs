//! Named network namespaces of this process: each test has its own, and nothing outside them changes.

use std::ffi::OsStr;
use std::net::Ipv4Addr;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result, anyhow};
use rustix::process::Signal;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::process::{is_alive, run, signal};
use crate::wan::check_congestion;

/// Where iproute2 keeps them (ip-netns(8)).
const FOLDER: &str = "/run/netns";
const PREFIX: &str = "renkei-";

/// A network namespace; removed when dropped, with the processes left in it.
#[derive(Debug)]
pub struct Namespace {
    name: String,
}

impl Namespace {
    /// Makes one whose name contains this process's number, so that it can be told from others' and from leftovers.
    pub fn create(role: &str) -> Result<Self> {
        let namespace = Self::reserve(role);
        ip(&["netns", "add", &namespace.name])?;
        namespace.ip(&["link", "set", "lo", "up"])?;
        Ok(namespace)
    }

    /// Only the name, for what makes the namespace by itself; it is removed all the same.
    pub fn reserve(role: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("{PREFIX}{}-{count}-{role}", std::process::id());
        Self { name }
    }

    /// One that something else has made or will make; it is removed when this is dropped.
    pub fn of(name: String) -> Self {
        Self { name }
    }

    /// As `ip netns` shows it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The file that leads into it.
    pub fn path(&self) -> PathBuf {
        Path::new(FOLDER).join(&self.name)
    }

    /// Words that start a program in it. `nsenter` and not `ip netns exec`: the latter also mounts another /sys.
    pub fn launcher(&self) -> Vec<String> {
        vec![
            "nsenter".to_owned(),
            format!("--net={}", self.path().display()),
            "--".to_owned(),
        ]
    }

    /// A program that will run in it.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new("nsenter");
        command
            .arg(format!("--net={}", self.path().display()))
            .arg("--")
            .arg(program);
        command
    }

    /// Runs `ip` on it.
    pub fn ip(&self, words: &[&str]) -> Result<()> {
        let mut all = vec!["-n", &self.name];
        all.extend(words);
        ip(&all)
    }

    /// Calls `work` on a thread of its own that is in the namespace; descriptors made there stay bound to it.
    pub fn inside<T: Send + 'static>(&self, work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
        let file = std::fs::File::open(self.path()).with_context(|| format!("no namespace `{}`", self.name))?;
        let thread = std::thread::spawn(move || {
            move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network))?;
            work()
        });
        thread
            .join()
            .map_err(|_| anyhow!("the work in namespace `{}` panicked", self.name))?
    }

    pub(crate) fn set_congestion(&self, name: &str) -> Result<()> {
        check_congestion(name)?;
        let value = name.to_owned();
        self.inside(move || Ok(std::fs::write("/proc/sys/net/ipv4/tcp_congestion_control", value)?))
            .with_context(|| format!("cannot set congestion control `{name}`"))
    }

    /// Joins two namespaces by a pair of virtual Ethernet devices, as fast as the machine.
    pub(crate) fn join_directly(&self, own: Ipv4Addr, other: &Namespace, its: Ipv4Addr) -> Result<()> {
        ip(&[
            "link",
            "add",
            "leg",
            "netns",
            &self.name,
            "type",
            "veth",
            "peer",
            "name",
            "leg",
            "netns",
            &other.name,
        ])?;
        for (namespace, address) in [(self, own), (other, its)] {
            namespace.ip(&["addr", "add", &format!("{address}/24"), "dev", "leg"])?;
            namespace.ip(&["link", "set", "leg", "up"])?;
        }
        Ok(())
    }

    fn processes(&self) -> Vec<u32> {
        let listed = Command::new("ip").args(["netns", "pids", &self.name]).output();
        let text = listed
            .map(|output| String::from_utf8_lossy(&output.stdout).into_owned())
            .unwrap_or_default();
        text.split_whitespace().filter_map(|id| id.parse().ok()).collect()
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        // Nobody but us knows this namespace, so whatever is in it was started through us.
        self.processes().into_iter().for_each(|id| signal(id, Signal::KILL));
        // A failure leaves a name behind, which the next `build` removes.
        let _ = ip(&["netns", "del", &self.name]);
    }
}

/// Removes namespaces of test processes that were killed.
pub fn remove_left_behind() {
    let Ok(entries) = std::fs::read_dir(FOLDER) else { return };
    for name in entries
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok())
    {
        let owner = name
            .strip_prefix(PREFIX)
            .and_then(|rest| rest.split('-').next()?.parse().ok());
        if owner.is_some_and(|id: u32| !is_alive(id)) {
            // Another process may be removing it at the same moment.
            let _ = ip(&["netns", "del", &name]);
        }
    }
}

/// Runs `ip` in our own namespace.
pub fn ip(words: &[&str]) -> Result<()> {
    run(Command::new("ip").args(words)).map(drop)
}
