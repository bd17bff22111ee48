//! A host of its own for a test: folders, a network namespace, real guests made from the small template, and a client that reaches
//! them from inside their segment. What it has started ends with it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result};
use jiff::Timestamp;
use renkei_host::contract::Subject;
use renkei_host::images::Images;
use renkei_host::qemu::{Accel, Qemu, Settings};
use renkei_host::{Driver as _, network, small};
use renkei_testkit::keys::{KeyKind, KeyPair};
use renkei_testkit::visitor::qemu_of;
use renkei_testkit::{Namespace, Visitor, process, wait};
use renkei_types::agent::{DiskSource, SegmentIntent};
use renkei_types::host::Capacity;
use renkei_types::id::{ProjectId, SegmentId, VmId};
use renkei_types::network::Range;
use renkei_types::operation::Generation;
use rustix::process::Signal;
use tempfile::TempDir;
use uuid::Uuid;

/// Where a marker lies on a disk of 4 GiB, MiB: where a file system that is nearly empty has nothing.
const MARKER: u64 = 3900;
/// The segment of the contract's machine.
const SEGMENT: SegmentId = SegmentId(Uuid::from_u128(9));
/// The address of the contract's machine.
const GUEST: &str = "10.15.0.2";
/// The address of the client in its segment.
const VISITOR: &str = "10.15.7.9/21";

/// See the module.
pub struct Computer {
    folder: TempDir,
    switch: Namespace,
    /// Once there is a segment.
    visitor: Option<Visitor>,
    key: KeyPair,
}

impl Computer {
    pub fn new() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let key = KeyPair::generate(&folder.path().join("key"), KeyKind::Ed25519)?;
        bring_template(&folder.path().join("images"))?;
        Ok(Self {
            folder,
            switch: Namespace::reserve("switch"),
            visitor: None,
            key,
        })
    }

    fn settings(&self) -> Settings {
        Settings {
            folder: self.folder.path().join("qemu"),
            images: self.images(),
            network: network::Settings {
                namespace: self.switch.name().to_owned(),
                uplink: None,
            },
            capacity: Capacity {
                vcpus: 2,
                memory_mib: 4096,
                disk_gib: 100,
                gpus: 0,
            },
            // One canary for the whole computer is enough, and it has a test of its own.
            accel: Some(Accel::Tcg),
        }
    }

    fn images(&self) -> PathBuf {
        self.folder.path().join("images")
    }

    fn machine(&self, id: VmId) -> PathBuf {
        self.settings().folder.join("machines").join(id.to_string())
    }

    /// Runs a command in the guest, as soon as it can be reached.
    pub fn guest(&mut self, words: &str) -> Result<String> {
        let visitor = match self.visitor.take() {
            Some(visitor) => visitor,
            None => Visitor::join(&self.switch.path(), VISITOR)?,
        };
        let answered = visitor.ssh(self.key.private(), GUEST, words);
        self.visitor = Some(visitor);
        answered.with_context(|| self.consoles())
    }

    /// What guests have said, for people who read of a failure.
    fn consoles(&self) -> String {
        let machines = fs::read_dir(self.settings().folder.join("machines")).into_iter();
        let logs = machines.flatten().flatten();
        logs.map(|entry| fs::read(entry.path().join("console.log")).unwrap_or_default())
            .map(|log| String::from_utf8_lossy(&log).into_owned())
            .collect()
    }
}

impl Subject for Computer {
    type Driver = Qemu;

    fn open(&mut self) -> Qemu {
        let mut qemu = Qemu::open(self.settings()).expect("the driver opens");
        let segment = segment();
        qemu.networks(&BTreeMap::from([(segment.id, segment)]));
        qemu
    }

    fn wait(&mut self) -> Timestamp {
        std::thread::sleep(Duration::from_millis(10));
        Timestamp::now()
    }

    fn write(&mut self, machine: VmId, text: &str) {
        let path = self.folder.path().join("marker");
        fs::write(&path, format!("{text}\n")).unwrap();
        if qemu_of(&machine.to_string()).is_some() {
            let words = format!("echo {text} | dd of=/dev/vda bs=1M seek={MARKER} conv=notrunc,fsync");
            self.guest(&words).unwrap();
        } else {
            let write = format!("write -s {} {MARKER}M 512", path.display());
            let mut command = Command::new("qemu-io");
            command.args(["-c", &write, &whole(&self.machine(machine))]);
            process::run(&mut command).unwrap();
        }
    }

    fn read(&mut self, machine: VmId) -> Option<String> {
        let text = if qemu_of(&machine.to_string()).is_some() {
            let words = format!("dd if=/dev/vda bs=1M skip={MARKER} count=1 2>/dev/null | head -n 1 | tr -d '\\0'");
            self.guest(&words).unwrap()
        } else {
            let folder = self.machine(machine);
            if !folder.exists() {
                return None;
            }
            let out = self.folder.path().join("read");
            let mut command = Command::new("qemu-img");
            command
                .args(["dd", "-O", "raw", "bs=1M", "count=3901", "skip=3900"])
                .arg(format!("if={}", whole(&folder)))
                .arg(format!("of={}", out.display()));
            process::run(&mut command).unwrap();
            String::from_utf8_lossy(&fs::read(out).unwrap()).into_owned()
        };
        Some(
            text.lines()
                .next()
                .unwrap_or_default()
                .trim_end_matches('\0')
                .to_owned(),
        )
    }

    fn source(&self) -> DiskSource {
        DiskSource::Template {
            name: small::NAME.to_owned(),
            image: None,
        }
    }

    fn key(&self) -> String {
        self.key.public_line().unwrap()
    }
}

impl Drop for Computer {
    fn drop(&mut self) {
        let machines = fs::read_dir(self.settings().folder.join("machines"));
        let ids = machines.into_iter().flatten().flatten();
        for id in ids.filter_map(|entry| entry.file_name().into_string().ok()) {
            if let Some(pid) = qemu_of(&id) {
                process::signal(pid, Signal::KILL);
                let _ = wait::until("the guest has ended", || qemu_of(&id).is_none());
            }
        }
    }
}

/// The first disk, as those read it who do not care for what it is an overlay of.
fn whole(folder: &Path) -> String {
    let file = folder.join("disk1.qcow2");
    format!(
        "json:{{\"driver\":\"qcow2\",\"backing\":null,\"file\":{{\"driver\":\"file\",\"filename\":\"{}\"}}}}",
        file.display()
    )
}

fn segment() -> SegmentIntent {
    SegmentIntent {
        id: SEGMENT,
        generation: Generation(1),
        tombstone: false,
        project: ProjectId(Uuid::from_u128(7)),
        vni: 5000,
        v4: Range::new([10, 15, 0, 0].into(), 21).expect("it is a range"),
        v6: None,
        mtu: 1450,
        dns: Vec::new(),
        ntp: Vec::new(),
        strict: false,
        acls: BTreeMap::new(),
        dnats: BTreeMap::new(),
    }
}

/// Puts the small template into a folder of images. It is made once for all tests.
fn bring_template(folder: &Path) -> Result<()> {
    let (made, bundle) = small::cached(&Path::new(env!("CARGO_TARGET_TMPDIR")).join("small"))?;
    let images = Images::open(folder)?;
    for digest in bundle.files() {
        images.add(&made.path(&digest))?;
    }
    images.put_template(small::NAME, &bundle)?;
    Ok(())
}
