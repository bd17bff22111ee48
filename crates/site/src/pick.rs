//! Which driver runs a host's machines, and why.

use std::path::Path;

use renkei_host::fake::{Fake, MACHINES};
use renkei_host::qemu::{self, Qemu};
use renkei_host::{Driver, DriverError, network};
use renkei_types::host::Capacity;
use renkei_types::tree_hash::hash_whole;
use serde::Deserialize;

use crate::identity::{DataFolder, FolderError};
use crate::uplink::{NotAnUplink, UplinkConfig};

/// The folder of the fake driver, in the agent's.
const FAKE: &str = "fake";
/// The folder of the machines that QEMU runs, in the agent's.
const QEMU: &str = "qemu";
/// The folder with what machines are made from, in the agent's.
pub const IMAGES: &str = "images";
/// The folder of the segments' name services, in the agent's.
const NETWORKS: &str = "networks";
/// What the driver `qemu` calls, with Debian's package for each.
const PROGRAMS: [(&str, &str); 11] = [
    ("qemu-system-x86_64", "qemu-system-x86"),
    ("qemu-img", "qemu-utils"),
    ("xorrisofs", "xorriso"),
    ("nft", "nftables"),
    ("dnsmasq", "dnsmasq-base"),
    ("conntrack", "conntrack"),
    ("ip", "iproute2"),
    ("nsenter", "util-linux"),
    ("setsid", "util-linux"),
    ("setpriv", "util-linux"),
    ("tee", "coreutils"),
];
/// Where root's programs are, whatever the environment says.
const ALSO: &str = "/usr/sbin:/sbin:/usr/bin:/bin";

/// Which driver is asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Pick {
    /// The best that this computer can have.
    #[default]
    Auto,
    /// The one that runs QEMU.
    Qemu,
    /// The one that only pretends.
    Fake,
}

/// Why there is no driver.
#[derive(Debug, thiserror::Error)]
pub enum PickError {
    /// Its folder cannot be used.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// It does not start.
    #[error("the driver does not start")]
    Driver(#[from] DriverError),
    /// The uplink.
    #[error(transparent)]
    Uplink(#[from] NotAnUplink),
    /// QEMU is asked for, and something is missing.
    #[error("the driver `qemu` cannot run here: {0}")]
    Missing(String),
}

/// What is asked of a driver.
#[derive(Clone, Debug)]
pub struct Wish {
    /// Which.
    pub driver: Pick,
    /// How much memory is declared, per 100 of what there is.
    pub memory_percent: u32,
    /// Where the networks meet the outside, should this become the site's gateway.
    pub uplink: UplinkConfig,
}

/// Gives the driver, over the agent's folder.
///
/// # Errors
/// If its folder cannot be used, if QEMU is asked for and cannot be had, or if the uplink does not fit together.
pub fn pick(folder: &DataFolder, wish: &Wish) -> Result<Box<dyn Driver>, PickError> {
    let missing = missing();
    let reason = match (wish.driver, missing) {
        (Pick::Auto, None) if folder.path().join(FAKE).join(MACHINES).exists() => {
            "machines are only pretended: this host has had such ones before; `driver = \"qemu\"` runs real ones"
                .to_owned()
        }
        (Pick::Auto | Pick::Qemu, None) => return qemu(folder, wish),
        (Pick::Qemu, Some(missing)) => return Err(PickError::Missing(missing)),
        (Pick::Auto, Some(missing)) => format!("machines are only pretended: {missing}"),
        (Pick::Fake, _) => {
            "machines are only pretended: the configuration says so; `auto` takes the best there is".to_owned()
        }
    };
    let own = DataFolder::new(&folder.path().join(FAKE))?;
    let fake = Fake::in_folder(own.path())?;
    Ok(Box::new(
        fake.because(&reason)
            .having(capacity(folder.path(), wish.memory_percent)),
    ))
}

fn qemu(folder: &DataFolder, wish: &Wish) -> Result<Box<dyn Driver>, PickError> {
    let own = DataFolder::new(&folder.path().join(QEMU))?;
    let namespace = namespace(folder.path());
    // A link's name has 15 bytes at most.
    let link = namespace.replace("renkei", "rk");
    let uplink = wish.uplink.uplink(&link, &folder.path().join(NETWORKS))?;
    Ok(Box::new(Qemu::open(qemu::Settings {
        folder: own.path().to_owned(),
        images: folder.path().join(IMAGES),
        network: network::Settings {
            namespace,
            uplink: Some(uplink),
        },
        capacity: capacity(folder.path(), wish.memory_percent),
        accel: None,
    })?))
}

/// The network namespace of the machines of the agent with this folder: two agents on one computer have two.
pub fn namespace(folder: &Path) -> String {
    let whole = std::fs::canonicalize(folder).unwrap_or_else(|_| folder.to_owned());
    let drawn = hash_whole(whole.as_os_str().as_encoded_bytes()).to_string();
    format!("renkei-{}", drawn.get(..8).unwrap_or(&drawn))
}

/// What keeps QEMU from being run here, and what would change that.
fn missing() -> Option<String> {
    if !rustix::process::geteuid().is_root() {
        return Some("only root can make machines' networks: start it as root".to_owned());
    }
    let path = std::env::var("PATH").unwrap_or_default();
    let there = |program: &str| {
        let folders = path.split(':').chain(ALSO.split(':'));
        folders.map(Path::new).any(|folder| folder.join(program).is_file())
    };
    let mut packages: Vec<&str> = PROGRAMS
        .iter()
        .filter(|(program, _)| !there(program))
        .map(|(_, package)| *package)
        .collect();
    packages.dedup();
    (!packages.is_empty()).then(|| format!("programs are missing: `apt-get install {}`", packages.join(" ")))
}

/// What this computer has. What cannot be found out counts as nothing: nothing is placed on what may not be there.
fn capacity(folder: &Path, memory_percent: u32) -> Capacity {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let memory = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let disk = rustix::fs::statvfs(folder).map_or(0, |disk| disk.f_bavail.saturating_mul(disk.f_frsize));
    Capacity {
        vcpus: u32::try_from(threads).unwrap_or(u32::MAX),
        memory_mib: memory_mib(&memory).saturating_mul(u64::from(memory_percent)) / 100,
        disk_gib: disk >> 30,
        gpus: 0,
    }
}

/// `MemTotal` of /proc/meminfo (proc(5)), which counts in KiB.
fn memory_mib(meminfo: &str) -> u64 {
    let total = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let kib = total.and_then(|rest| rest.trim().trim_end_matches("kB").trim().parse::<u64>().ok());
    kib.unwrap_or(0) / 1024
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_read_as_the_kernel_writes_it() {
        assert_eq!(memory_mib("MemTotal:       16384000 kB\nMemFree: 1 kB\n"), 16000);
        assert_eq!(memory_mib(""), 0);
    }

    #[test]
    fn a_computer_has_something_and_declares_what_it_is_told_to() {
        let folder = tempfile::tempdir().unwrap();
        let once = capacity(folder.path(), 100);
        assert!(once.vcpus > 0 && once.memory_mib > 0);
        let twice = capacity(folder.path(), 200);
        assert!(twice.memory_mib.abs_diff(once.memory_mib * 2) <= 1);
    }

    #[test]
    fn the_driver_says_why_it_is_the_one() {
        let folder = tempfile::tempdir().unwrap();
        let data = DataFolder::new(&folder.path().join("site")).unwrap();
        let wish = Wish {
            driver: Pick::Fake,
            memory_percent: 100,
            uplink: UplinkConfig::default(),
        };
        let which = pick(&data, &wish).unwrap().which();
        assert!(
            which.name == "fake" && which.reason.contains("configuration"),
            "{which:?}"
        );
    }

    #[test]
    fn agents_with_folders_of_their_own_have_namespaces_of_their_own() {
        let folder = tempfile::tempdir().unwrap();
        let (one, other) = (namespace(&folder.path().join("a")), namespace(&folder.path().join("b")));
        assert_ne!(one, other);
        assert_eq!(one, namespace(&folder.path().join("a")));
    }
}
