//! QEMU's processes. They are in a session of their own and outlive the agent; a new agent finds them again by the machine's id among
//! their arguments, so that no file can be out of date.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use renkei_types::id::VmId;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use super::command::mark;

/// QEMU.
pub(super) const QEMU: &str = "qemu-system-x86_64";
/// What QEMU says before its guest runs.
pub(super) const SAID: &str = "qemu.log";

/// See the module.
#[derive(Debug)]
pub(super) enum Process {
    /// Started by this agent, which has to take note of its end.
    Ours(Child),
    /// Started by another.
    Found { id: VmId, pid: Pid },
}

impl Process {
    /// Starts QEMU in a machine's folder and in the network namespace that has its taps.
    pub fn start(folder: &Path, namespace: &Path, arguments: &[String]) -> io::Result<Self> {
        let said = File::create(folder.join(SAID))?;
        let mut net = std::ffi::OsString::from("--net=");
        net.push(namespace);
        let child = Command::new("setsid")
            .arg("nsenter")
            .arg(net)
            .arg(QEMU)
            .args(arguments)
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(said.try_clone()?)
            .stderr(said)
            .spawn()?;
        Ok(Self::Ours(child))
    }

    /// All machines' processes that there are.
    pub fn find(ids: impl Iterator<Item = VmId>) -> io::Result<BTreeMap<VmId, Self>> {
        let marks: BTreeMap<String, VmId> = ids.map(|id| (mark(id), id)).collect();
        let mut found = BTreeMap::new();
        for entry in fs::read_dir("/proc")? {
            let name = entry?.file_name();
            let Some(pid) = name.to_str().and_then(|name| name.parse().ok()).and_then(Pid::from_raw) else {
                continue;
            };
            if let Some(id) = words(pid).iter().find_map(|word| marks.get(word)) {
                found.insert(*id, Self::Found { id: *id, pid });
            }
        }
        Ok(found)
    }

    /// Its number.
    pub fn pid(&self) -> Option<Pid> {
        match self {
            Self::Ours(child) => i32::try_from(child.id()).ok().and_then(Pid::from_raw),
            Self::Found { pid, .. } => Some(*pid),
        }
    }

    /// Whether it is there.
    pub fn lives(&mut self) -> bool {
        match self {
            Self::Ours(child) => matches!(child.try_wait(), Ok(None)),
            // A number may be another process's by now.
            Self::Found { id, pid } => words(*pid).contains(&mark(*id)),
        }
    }

    /// Ends it at once.
    pub fn kill(&mut self) -> io::Result<()> {
        match self {
            Self::Ours(child) => child.kill(),
            Self::Found { id, pid } => {
                // Held before it is looked at: what is looked at is what is ended.
                let held: OwnedFd = match pidfd_open(*pid, PidfdFlags::empty()) {
                    Ok(held) => held,
                    Err(rustix::io::Errno::SRCH) => return Ok(()),
                    Err(error) => return Err(error.into()),
                };
                match words(*pid).contains(&mark(*id)) {
                    true => Ok(pidfd_send_signal(&held, Signal::KILL)?),
                    false => Ok(()),
                }
            }
        }
    }
}

/// A process's arguments (proc(5)); none of one that is gone, or that only waits to be taken note of.
fn words(pid: Pid) -> Vec<String> {
    let text = fs::read(format!("/proc/{}/cmdline", pid.as_raw_nonzero())).unwrap_or_default();
    let words = text.split(|byte| *byte == 0);
    words.map(|word| String::from_utf8_lossy(word).into_owned()).collect()
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    /// A process with a machine's mark among its arguments, in place of QEMU.
    fn pretend(id: VmId) -> Child {
        let mut command = Command::new("sh");
        command
            .args(["-c", "read line", "-name", &mark(id)])
            .stdin(Stdio::piped());
        command.spawn().unwrap()
    }

    #[test]
    fn a_machines_process_is_found_by_its_mark_and_ended_only_then() {
        let (id, other) = (VmId(Uuid::now_v7()), VmId(Uuid::now_v7()));
        let mut child = pretend(id);
        let mut found = Process::find([id, other].into_iter()).unwrap();
        assert!(!found.contains_key(&other));
        let mut process = found.remove(&id).unwrap();
        assert_eq!(process.pid().unwrap().as_raw_nonzero().get() as u32, child.id());
        assert!(process.lives());
        let mut mistaken = Process::Found {
            id: other,
            pid: process.pid().unwrap(),
        };
        assert!(!mistaken.lives());
        mistaken.kill().unwrap();
        assert!(process.lives(), "the process of another machine is left alone");
        process.kill().unwrap();
        child.wait().unwrap();
        assert!(!process.lives());
        process.kill().unwrap();
    }
}
