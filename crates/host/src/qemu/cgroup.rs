//! A control group for each machine, where the computer lets us have one (cgroups(7), version 2): a machine is then told apart in
//! accounts. They are below the agent's own group, which systemd leaves to a service that says `Delegate=yes`.

use std::fs;
use std::io;
use std::path::PathBuf;

use renkei_types::id::VmId;
use rustix::process::Pid;

/// The group that holds the machines' groups.
const OURS: &str = "renkei";

/// Puts a process into the machine's group.
pub(super) fn enter(id: VmId, pid: Pid) -> io::Result<()> {
    let folder = group(id)?;
    fs::create_dir_all(&folder)?;
    fs::write(folder.join("cgroup.procs"), pid.as_raw_nonzero().to_string())
}

/// Removes the machine's group. One that still has processes stays.
pub(super) fn remove(id: VmId) {
    if let Ok(folder) = group(id) {
        // It may never have been made.
        let _ = fs::remove_dir(folder);
    }
}

fn group(id: VmId) -> io::Result<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mountinfo")?;
    let root = mounted(&mounts).ok_or(io::ErrorKind::NotFound)?;
    let own = fs::read_to_string("/proc/self/cgroup")?;
    Ok(root.join(below(&own)).join(OURS).join(id.to_string()))
}

/// Where version 2 is mounted: the fifth word of a line, the type is the first one behind the dash (proc(5)).
fn mounted(mounts: &str) -> Option<PathBuf> {
    let line = mounts.lines().find(|line| {
        line.split_once(" - ")
            .is_some_and(|(_, rest)| rest.split(' ').next() == Some("cgroup2"))
    })?;
    line.split(' ').nth(4).map(PathBuf::from)
}

/// The path of our own group without its first slash: in the line of version 2, whose number is 0 (cgroups(7)).
fn below(groups: &str) -> &str {
    let own = groups.lines().find_map(|line| line.strip_prefix("0::"));
    own.unwrap_or_default().trim_start_matches('/')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn version_2_is_found_among_the_mounts() {
        let mounts = "24 30 0:22 / /proc rw - proc proc rw\n31 25 0:27 / /sys/fs/cgroup/unified rw,nosuid shared:9 - cgroup2 cgroup2 rw\n";
        assert_eq!(mounted(mounts), Some(PathBuf::from("/sys/fs/cgroup/unified")));
        assert_eq!(mounted("24 30 0:22 / /proc rw - proc proc rw\n"), None);
        assert_eq!(
            below("4:pids:/a\n0::/system.slice/renkei-site.service\n"),
            "system.slice/renkei-site.service"
        );
        assert_eq!(below("0::/\n"), "");
    }
}
