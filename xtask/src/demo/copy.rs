//! Copies, beside what everyone has: starts a private sshd, copies a tree and a large file there and back with
//! `renkei cp --verify`, compares every byte, lets scp do the same, and leaves nothing behind.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use renkei_testkit::Sshd;

use crate::timing::Minutes;
use crate::{content, tool};

/// What this needs of Debian.
pub const PACKAGES: &[&str] = &["openssh-server", "openssh-client", "openssh-sftp-server", "b3sum"];
const MB: u64 = 1_000_000;
const LARGEST: u64 = 1_000 * MB;
const SMALL_FILES: u64 = 3_000;

/// Shows it with this `renkei`.
pub fn run(renkei: &Path, minutes: &mut Minutes) -> Result<()> {
    let folder = tempfile::Builder::new().prefix("renkei-demo-").tempdir()?;
    let sshd = Sshd::stock()?;
    println!();
    let version = tool::output(Command::new(renkei).arg("--version"))?;
    println!("{}", version.lines().next().unwrap_or("renkei"));
    println!(
        "a private {} listens on 127.0.0.1 port {}",
        server_version(),
        sshd.port()
    );
    let things = minutes.part("data", || make(folder.path()))?;
    for thing in &things {
        println!("{:6} {}", thing.name, thing.what);
    }
    println!();
    println!("{:26} {:>22} {:>22}", "", "renkei cp --verify", "scp");
    let stage = Stage {
        renkei,
        config: sshd.ssh_config(),
        folder: folder.path(),
    };
    for thing in &things {
        stage.show(thing)?;
    }
    println!();
    println!("every copy was compared with its original, names and bytes: all equal");
    println!("this is loopback, where both ends share one machine; distance is where scp falls behind:");
    println!("`cargo xtask bench cp` measures that too");
    Ok(())
}

/// Something to copy.
struct Thing {
    name: &'static str,
    what: String,
    path: PathBuf,
    bytes: u64,
}

fn make(folder: &Path) -> Result<Vec<Thing>> {
    let tree = folder.join("tree");
    let bytes = make_tree(&tree)?;
    let what = format!(
        "{SMALL_FILES} small files, {:.0} MB, a link, an empty file, and names with spaces, quotes, newlines, 255 bytes, not UTF-8",
        bytes as f64 / 1e6
    );
    let tree = Thing {
        name: "tree",
        what,
        path: tree,
        bytes,
    };
    let size = LARGEST.min(free_bytes(folder)? / 8);
    let path = folder.join("large");
    content::write(&path, size, 1)?;
    let large = Thing {
        name: "large",
        what: format!("one file of {:.0} MB", size as f64 / 1e6),
        path,
        bytes: size,
    };
    Ok(vec![tree, large])
}

/// Returns the bytes in it.
fn make_tree(tree: &Path) -> Result<u64> {
    std::fs::create_dir(tree)?;
    let mut bytes = 0;
    for number in 0..SMALL_FILES {
        let directory = tree.join(format!("run-{:02}", number / 100));
        if number % 100 == 0 {
            std::fs::create_dir(&directory)?;
        }
        // From nothing to 40 kB, as source trees and results have it.
        let size = (number * 7919) % 40_000;
        content::write(&directory.join(format!("sample-{number:04}.dat")), size, number + 2)?;
        bytes += size;
    }
    let odd: [&[u8]; 7] = [
        b"with space and 'quote' and \"quotes\"",
        b"line one\nline two",
        b"not UTF-8 \xff\xfe",
        b"-r",
        b"$(touch broken); `ls` && *",
        &[b'x'; 255],
        b"empty",
    ];
    for name in odd {
        let text = if name == b"empty" { &[][..] } else { name };
        std::fs::write(tree.join(OsString::from_vec(name.to_vec())), text)?;
        bytes += text.len() as u64;
    }
    std::os::unix::fs::symlink("run-00/sample-0001.dat", tree.join("link"))?;
    Ok(bytes)
}

struct Stage<'a> {
    renkei: &'a Path,
    config: PathBuf,
    folder: &'a Path,
}

impl Stage<'_> {
    fn show(&self, thing: &Thing) -> Result<()> {
        let (there, back) = (self.folder.join("there"), self.folder.join("back"));
        let remote = |path: &Path| {
            let mut word = OsString::from("testhost:");
            word.push(path);
            word
        };
        let (to, from) = (remote(&there), remote(&there));
        let renkei = [
            self.renkei(thing.path.as_os_str(), &to)
                .with_context(|| format!("copying the {} there", thing.name))?,
            self.renkei(&from, back.as_os_str())
                .with_context(|| format!("copying the {} back", thing.name))?,
        ];
        content::compare(&thing.path, &there)?;
        content::compare(&thing.path, &back)?;
        content::remove(&there)?;
        content::remove(&back)?;
        let scp = [self.scp(thing.path.as_os_str(), &to), self.scp(&from, back.as_os_str())];
        content::remove(&there)?;
        content::remove(&back)?;
        for ((way, ours), theirs) in ["to the server", "from the server"].into_iter().zip(renkei).zip(scp) {
            let label = format!("{}, {way}", thing.name);
            let theirs = theirs.map_or_else(|_| "failed".to_owned(), |time| shown(time, thing.bytes));
            println!("{label:26} {:>22} {theirs:>22}", shown(ours, thing.bytes));
        }
        Ok(())
    }

    fn renkei(&self, source: &OsStr, target: &OsStr) -> Result<Duration> {
        let mut command = Command::new(self.renkei);
        command
            .args(["cp", "-q", "--verify", "-F"])
            .arg(&self.config)
            .arg(source)
            .arg(target);
        // The journal of a demo is not the user's.
        command.env("XDG_STATE_HOME", self.folder.join("state"));
        timed(&mut command)
    }

    fn scp(&self, source: &OsStr, target: &OsStr) -> Result<Duration> {
        timed(
            Command::new("scp")
                .args(["-r", "-q", "-F"])
                .arg(&self.config)
                .arg(source)
                .arg(target),
        )
    }
}

fn timed(command: &mut Command) -> Result<Duration> {
    let start = Instant::now();
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot start {command:?}"))?;
    if !output.status.success() {
        bail!("{}: {}", output.status, String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(start.elapsed())
}

fn shown(time: Duration, bytes: u64) -> String {
    let seconds = time.as_secs_f64();
    format!("{seconds:.2} s, {:.0} MB/s", bytes as f64 / 1e6 / seconds)
}

fn server_version() -> String {
    // `ssh -V`, because sshd of 9.2 has no option for it; both come from one source package.
    let text = tool::first_line("ssh", &["-V"], "OpenSSH");
    text.split(',').next().unwrap_or("OpenSSH").to_owned()
}

fn free_bytes(folder: &Path) -> Result<u64> {
    let text = tool::output(
        Command::new("df")
            .args(["--output=avail", "--block-size=1"])
            .arg(folder),
    )?;
    text.lines()
        .last()
        .and_then(|line| line.trim().parse().ok())
        .context("`df` says nothing about free space")
}
