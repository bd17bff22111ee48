//! Which driver runs a host's machines, and why.

use std::path::Path;

use renkei_host::fake::Fake;
use renkei_host::{Driver, DriverError};
use renkei_types::host::Capacity;
use serde::Deserialize;

use crate::identity::{DataFolder, FolderError};

/// The folder of the fake driver, in the agent's.
const FAKE: &str = "fake";

/// Which driver is asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Pick {
    /// The best that this computer and this version can have.
    #[default]
    Auto,
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
}

/// Gives the driver, over the agent's folder. `memory_percent` is how much memory is declared of what there is.
///
/// # Errors
/// If its folder cannot be used.
pub fn pick(folder: &DataFolder, pick: Pick, memory_percent: u32) -> Result<Box<dyn Driver>, PickError> {
    let reason = match pick {
        Pick::Auto => {
            "machines are only pretended: this version of renkei has no other driver. The one that runs QEMU will be taken by \
             itself where root and /dev/kvm are"
        }
        Pick::Fake => {
            "machines are only pretended: the configuration says `driver = \"fake\"`; `auto` takes the best there is"
        }
    };
    let own = DataFolder::new(&folder.path().join(FAKE))?;
    let fake = Fake::in_folder(own.path())?;
    Ok(Box::new(
        fake.because(reason).having(capacity(folder.path(), memory_percent)),
    ))
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
        for asked in [Pick::Auto, Pick::Fake] {
            let which = pick(&data, asked, 100).unwrap().which();
            assert!(
                which.name == "fake" && which.reason.contains("only pretended"),
                "{which:?}"
            );
        }
    }
}
