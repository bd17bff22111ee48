//! Disks, by qemu-img(1). A machine's first disk is an overlay that names its base by digest; where the base lies is told with
//! each call, so that the folders may move.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use renkei_types::vm::Disk;

use super::command::{ASLEEP, disk_file, layered};
use super::kept::failed;
use crate::driver::DriverError;
use crate::images::Digest;

/// What qemu-img says goes here, in the machine's folder.
const SAID: &str = "qemu-img.log";
/// Between two looks at a call that is under way.
const LOOK: Duration = Duration::from_millis(5);

/// What a step looks at to know that it was given up.
pub(super) type Stop = AtomicBool;

/// The disks of a machine.
#[derive(Clone, Copy, Debug)]
pub(super) struct Disks<'a> {
    /// The machine's folder.
    pub folder: &'a Path,
    /// Where the first disk's base lies, if it has one.
    pub base: Option<&'a Path>,
    /// Set once the step is given up: calls are ended then.
    pub stop: &'a Stop,
}

impl Disks<'_> {
    /// Makes a disk that has nothing of its own yet over a base.
    pub fn overlay(&self, disk: Disk, base: &Digest) -> Result<(), DriverError> {
        let (base, size) = (base.to_string(), size(disk));
        // `-u`: the base is not looked for, for what is written down is not a path.
        let words = [
            "create",
            "-q",
            "-u",
            "-f",
            "qcow2",
            "-F",
            "qcow2",
            "-b",
            &base,
            &disk_file(disk.number),
            &size,
        ];
        self.call(&words)
    }

    /// Makes an empty disk.
    pub fn empty(&self, disk: Disk) -> Result<(), DriverError> {
        self.call(&["create", "-q", "-f", "qcow2", &disk_file(disk.number), &size(disk)])
    }

    /// Makes a disk larger. One that is so large is left alone.
    pub fn grow(&self, disk: Disk) -> Result<(), DriverError> {
        self.call(&["resize", "-q", &self.name(disk.number), &size(disk)])
    }

    /// Copies another machine's disk over the same base.
    pub fn copy(&self, from: &Path, base: Option<&Digest>, disk: Disk) -> Result<(), DriverError> {
        let source = json_name(from, self.base);
        let name = disk_file(disk.number);
        let mut words = vec!["convert", "-q", "-O", "qcow2"];
        let path = self.base.map(|path| path.display().to_string());
        if let Some(path) = &path {
            words.extend(["-F", "qcow2", "-B", path]);
        }
        words.extend([source.as_str(), name.as_str()]);
        self.call(&words)?;
        if let Some(digest) = base {
            let digest = digest.to_string();
            self.call(&["rebase", "-q", "-u", "-f", "qcow2", "-F", "qcow2", "-b", &digest, &name])?;
        }
        self.grow(disk)
    }

    /// Writes all of the first disk, its base included, into one file.
    pub fn flatten(&self, to: &str) -> Result<(), DriverError> {
        self.call(&["convert", "-q", "-O", "qcow2", &self.name(1), to])
    }

    /// Forgets what a suspended machine remembered.
    pub fn forget(&self) -> Result<(), DriverError> {
        self.call(&["snapshot", "-q", "-d", ASLEEP, &self.name(1)])
    }

    /// A disk that is there, with its base.
    fn name(&self, number: u8) -> String {
        let base = self.base.filter(|_| number == 1);
        json_name(Path::new(&disk_file(number)), base)
    }

    /// Calls qemu-img in the machine's folder. It ends when the agent does, or when the step is given up.
    fn call(&self, words: &[&str]) -> Result<(), DriverError> {
        let path = self.folder.join(SAID);
        let said = File::create(&path).map_err(failed("write", &path))?;
        let mut child = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "qemu-img"])
            .args(words)
            .current_dir(self.folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(said)
            .spawn()
            .map_err(|error| DriverError::permanent(format!("cannot start qemu-img: {error}")))?;
        let waiting = |error| DriverError::transient(format!("cannot wait for qemu-img: {error}"));
        loop {
            if let Some(status) = child.try_wait().map_err(waiting)? {
                if status.success() {
                    return Ok(());
                }
                let mut text = String::new();
                let _ = File::open(&path).and_then(|mut said| said.read_to_string(&mut text));
                let (what, text) = (words.first().copied().unwrap_or_default(), text.trim());
                return Err(DriverError::transient(format!("qemu-img {what}: {text} ({status})")));
            }
            if self.stop.load(Ordering::Relaxed) {
                let _ = child.kill();
                child.wait().map_err(waiting)?;
                return Err(DriverError::transient("it was given up"));
            }
            std::thread::sleep(LOOK);
        }
    }
}

fn size(disk: Disk) -> String {
    format!("{}G", disk.gib)
}

/// A disk with its base, in one word (qemu-img(1), "json:").
fn json_name(file: &Path, base: Option<&Path>) -> String {
    format!("json:{}", layered(&file.display().to_string(), base))
}
