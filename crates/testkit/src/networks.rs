//! What an agent leaves on a computer when it ends: machines and their networks go on, and a test is not to leave any.

use std::path::Path;
use std::process::Command;

use rustix::process::Signal;

use crate::namespace::ip;
use crate::process::{run, signal};

/// Where named network namespaces are (ip-netns(8)).
const FOLDER: &str = "/run/netns";

/// Removes the networks of the agent whose namespace has this name: its gateways' namespaces too, with all processes in them, and what is
/// in our own namespace of it. What is not there is not missed.
pub fn remove(name: &str) {
    let names = std::fs::read_dir(FOLDER).into_iter().flatten().flatten();
    for found in names.filter_map(|entry| entry.file_name().into_string().ok()) {
        if found.starts_with(name) {
            processes(&found).into_iter().for_each(|id| signal(id, Signal::KILL));
            let _ = ip(&["netns", "delete", &found]);
        }
    }
    let link = name.replace("renkei", "rk");
    if Path::new("/sys/class/net").join(&link).exists() {
        let _ = ip(&["link", "delete", &link]);
    }
    let _ = run(Command::new("nft").args(["delete", "table", "inet", &link]));
}

fn processes(namespace: &str) -> Vec<u32> {
    let listed = Command::new("ip").args(["netns", "pids", namespace]).output();
    let text = listed.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    let text = text.unwrap_or_default();
    text.split_whitespace().filter_map(|id| id.parse().ok()).collect()
}
