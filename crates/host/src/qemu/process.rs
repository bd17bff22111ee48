//! QEMU's processes. They are in a session of their own and outlive the agent; a new agent finds them again by the machine's id among
//! their arguments, so that no file can be out of date.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use renkei_types::id::VmId;
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use super::command::mark;

/// QEMU.
pub(super) const QEMU: &str = "qemu-system-x86_64";
/// What QEMU says before its guest runs.
pub(super) const SAID: &str = "qemu.log";

/// See the module.
#[derive(Clone, Copy, Debug)]
pub(super) struct Process {
    pid: Pid,
    /// When it was started, in ticks since the computer was: with the number it is this process and never another (proc(5)).
    since: u64,
}

/// Between the fork and QEMU itself a process has no arguments at moments: it is looked for so long before it counts as ended.
const APPEARS: Duration = Duration::from_secs(2);

impl Process {
    /// Starts QEMU in a machine's folder and in the network namespace that has its taps. It is nobody's child: nothing that ends the
    /// agent with its family ends it. Nothing, if it has ended already.
    pub fn start(id: VmId, folder: &Path, namespace: &Path, arguments: &[String]) -> io::Result<Option<Self>> {
        let said = File::create(folder.join(SAID))?;
        let mut net = OsString::from("--net=");
        net.push(namespace);
        let forked = Command::new("setsid")
            .args(["--fork", "nsenter"])
            .arg(net)
            .arg(QEMU)
            .args(arguments)
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(said.try_clone()?)
            .stderr(said)
            .status()?;
        if !forked.success() {
            return Ok(None);
        }
        let asked = Instant::now();
        loop {
            // What has something to say and is not there has ended.
            let complains = fs::metadata(folder.join(SAID)).is_ok_and(|said| said.len() > 0);
            let found = Self::find([id].into_iter())?.remove(&id);
            if found.is_some() || complains || asked.elapsed() >= APPEARS {
                return Ok(found);
            }
            std::thread::sleep(Duration::from_millis(1));
        }
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
            let id = words(pid).iter().find_map(|word| marks.get(word)).copied();
            if let (Some(id), Some(since)) = (id, since(pid)) {
                found.insert(id, Self { pid, since });
            }
        }
        Ok(found)
    }

    /// Its number.
    pub fn pid(&self) -> Pid {
        self.pid
    }

    /// Whether it is there. Its number may be another process's by now.
    pub fn lives(&self) -> bool {
        since(self.pid) == Some(self.since)
    }

    /// Ends it at once.
    pub fn kill(&self) -> io::Result<()> {
        // Held before it is looked at: what is looked at is what is ended.
        let held: OwnedFd = match pidfd_open(self.pid, PidfdFlags::empty()) {
            Ok(held) => held,
            Err(Errno::SRCH) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        match self.lives() {
            true => Ok(pidfd_send_signal(&held, Signal::KILL)?),
            false => Ok(()),
        }
    }
}

/// A process's arguments (proc(5)); none of one that is gone, or that only waits to be taken note of.
fn words(pid: Pid) -> Vec<String> {
    let text = fs::read(format!("/proc/{}/cmdline", pid.as_raw_nonzero())).unwrap_or_default();
    let words = text.split(|byte| *byte == 0);
    words.map(|word| String::from_utf8_lossy(word).into_owned()).collect()
}

/// When a process was started; none of one that is gone, or that only waits to be taken note of. State and start are the third and the
/// twenty-second word; the second is a name in brackets with anything in it (proc(5)).
fn since(pid: Pid) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).ok()?;
    let (_, rest) = text.rsplit_once(") ")?;
    let mut words = rest.split(' ');
    match words.next()? {
        "Z" | "X" => None,
        _ => words.nth(18)?.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use std::process::Child;

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
        let process = found.remove(&id).unwrap();
        assert_eq!(process.pid().as_raw_nonzero().get() as u32, child.id());
        assert!(process.lives());
        let mistaken = Process {
            since: process.since + 1,
            ..process
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
