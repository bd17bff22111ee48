//! What carries a guest's instructions out: KVM where a guest really boots under it, QEMU's own translator otherwise.
//!
//! That /dev/kvm is there proves nothing: in some containers and virtual machines guests hang under it. So a small guest, the canary,
//! is booted once in each start of the computer, and what became of it is written down where a new start forgets it.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::command::Kernel;
use crate::small;

/// The word on the kernel's command line at which the small guest only says that it is alive.
const CANARY: &str = small::CANARY;
/// What it says.
const ALIVE: &[u8] = small::CANARY_ALIVE.as_bytes();
/// How long it may take: with KVM it is a second or two.
const PATIENCE: Duration = Duration::from_secs(15);
/// The device.
const KVM: &str = "/dev/kvm";

/// What carries a guest's instructions out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Accel {
    /// The processor itself.
    Kvm,
    /// QEMU's translator: works everywhere, ten times as slow.
    Tcg,
}

/// What was found out, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Found {
    pub accel: Accel,
    /// For people.
    pub reason: String,
}

impl Accel {
    /// QEMU's `-accel`.
    pub(super) fn option(self) -> &'static str {
        match self {
            Self::Kvm => "kvm",
            Self::Tcg => "tcg,thread=multi",
        }
    }

    /// QEMU's `-cpu`.
    pub(super) fn processor(self) -> &'static str {
        match self {
            Self::Kvm => "host",
            Self::Tcg => "max",
        }
    }
}

/// Finds it out, by a boot if there is anything to find out, at most 15 seconds.
pub(super) fn find(canary: &Kernel<'_>, log: &Path) -> Found {
    let tcg = |reason: String| Found {
        accel: Accel::Tcg,
        reason,
    };
    if let Err(error) = OpenOptions::new().read(true).write(true).open(KVM) {
        return tcg(format!("without KVM: {KVM} cannot be opened: {error}"));
    }
    match boots(Accel::Kvm, canary, log) {
        Ok(Canary::Alive) => Found {
            accel: Accel::Kvm,
            reason: "with KVM: a guest was seen to boot under it".to_owned(),
        },
        Ok(Canary::Silent) => tcg(format!(
            "without KVM: {KVM} is there, and a guest did not boot under it within {} s",
            PATIENCE.as_secs()
        )),
        Ok(Canary::Ended(why)) => tcg(format!("without KVM: {KVM} is there, and QEMU cannot use it: {why}")),
        Err(error) => tcg(format!("without KVM: whether it works cannot be tried: {error}")),
    }
}

/// What became of a canary.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Canary {
    Alive,
    Silent,
    /// QEMU has ended without a word of the guest, and why, in its own words.
    Ended(String),
}

/// Boots a canary, with a log for what is said.
fn boots(accel: Accel, canary: &Kernel<'_>, log: &Path) -> io::Result<Canary> {
    let file = File::create(log)?;
    let mut command = Command::new("qemu-system-x86_64");
    command
        .args(["-machine", "q35", "-m", "256M"])
        .args(["-accel", accel.option(), "-cpu", accel.processor()])
        .args(["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"])
        .args(["-serial", "stdio", "-kernel"])
        .arg(&canary.kernel)
        .args(["-append", &format!("{} {CANARY}", canary.command_line)]);
    if let Some(initrd) = &canary.initrd {
        command.arg("-initrd").arg(initrd);
    }
    let mut child = command
        .stdin(Stdio::null())
        .stdout(file.try_clone()?)
        .stderr(file)
        .spawn()?;
    let until = Instant::now() + PATIENCE;
    let mut ended = false;
    let mut said = Vec::new();
    while !ended && !is_alive(&said) && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(50));
        // Ended before it is looked at: what it said counts all the same.
        ended = child.try_wait()?.is_some();
        said = fs::read(log)?;
    }
    // It is gone, or hangs.
    let _ = child.kill();
    child.wait()?;
    Ok(match ended {
        _ if is_alive(&said) => Canary::Alive,
        true => Canary::Ended(first_line(&said)),
        false => Canary::Silent,
    })
}

fn is_alive(said: &[u8]) -> bool {
    said.windows(ALIVE.len()).any(|window| window == ALIVE)
}

fn first_line(said: &[u8]) -> String {
    let text = String::from_utf8_lossy(said);
    let line = text.lines().map(str::trim).find(|line| !line.is_empty());
    line.unwrap_or("it said nothing").to_owned()
}

/// Where it is written down: gone with the next start of the computer. What it was found out with is in its name.
pub(super) fn note(kernel: &str) -> PathBuf {
    Path::new("/run").join(format!("renkei-accel-{}.json", kernel.get(..16).unwrap_or(kernel)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A real boot, by the translator, which works everywhere: whether KVM does is what nobody knows before.
    #[test]
    fn a_canary_is_heard_and_a_guest_that_says_nothing_is_not() {
        let made = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/tmp/small");
        let (images, bundle) = small::cached(&made).unwrap();
        let boot = bundle.boot.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("canary.log");
        let canary = |command_line| Kernel {
            kernel: images.path(&boot.kernel),
            initrd: boot.initrd.as_ref().map(|digest| images.path(digest)),
            command_line,
        };
        assert_eq!(
            boots(Accel::Tcg, &canary(&boot.command_line), &log).unwrap(),
            Canary::Alive
        );
        // It ends at once and has nothing to start.
        let dumb = canary("console=ttyS0 rdinit=/nothing root=/dev/nothing panic=-1");
        let ended = boots(Accel::Tcg, &dumb, &log).unwrap();
        assert!(matches!(ended, Canary::Ended(ref why) if !why.is_empty()), "{ended:?}");
    }
}
