//! How QEMU is called: a pure function of what a machine is. Sources: qemu(1) of 7.2, docs/system/i386/pc.rst.

use std::path::{Path, PathBuf};

use renkei_types::id::VmId;
use serde_json::{Value, json};

use super::accel::Accel;
use crate::machine::Form;

/// The socket of QEMU's monitor, in the machine's folder.
pub(super) const MONITOR: &str = "qmp.sock";
/// The socket of the serial console.
pub(super) const CONSOLE: &str = "console.sock";
/// What was said on the serial console.
pub(super) const CONSOLE_LOG: &str = "console.log";
/// The NoCloud seed.
pub(super) const SEED: &str = "seed.iso";
/// The snapshot in the first disk that holds a suspended machine.
pub(super) const ASLEEP: &str = "asleep";
/// The chipset. A machine that sleeps wakes up on the very version that it fell asleep on.
pub(super) const CHIPSET: &str = "q35";

/// Everything that a call of QEMU depends on.
#[derive(Clone, Debug)]
pub(super) struct Call<'a> {
    /// Which machine.
    pub id: VmId,
    /// What it is made of.
    pub form: &'a Form,
    /// Who QEMU is once it has opened everything; as it was started without.
    pub user: Option<u32>,
    /// What carries its processors out.
    pub accel: Accel,
    /// The chipset with its version.
    pub chipset: &'a str,
    /// What the first disk is an overlay of.
    pub base: Option<PathBuf>,
    /// What is booted in place of the disk.
    pub kernel: Option<Kernel<'a>>,
    /// The adapters' taps, in the order of the form's adapters.
    pub taps: &'a [String],
    /// Whether it wakes up from its snapshot.
    pub wakes: Wakes,
}

/// What is booted in place of the disk.
#[derive(Clone, Debug)]
pub(super) struct Kernel<'a> {
    pub kernel: PathBuf,
    pub initrd: Option<PathBuf>,
    pub command_line: &'a str,
}

/// How it starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wakes {
    /// From its snapshot.
    Up,
    /// Afresh.
    No,
}

/// The name of the file of a disk.
pub(super) fn disk_file(number: u8) -> String {
    format!("disk{number}.qcow2")
}

/// The word among QEMU's arguments by which a machine's process is known.
pub(super) fn mark(id: VmId) -> String {
    format!("guest={id}")
}

impl Call<'_> {
    /// QEMU's arguments. Paths are relative to the machine's folder, where it has to be started.
    pub fn arguments(&self) -> Vec<String> {
        let mut words = Words::default();
        words.add("-name", mark(self.id));
        words.add("-uuid", self.id.to_string());
        words.add("-machine", self.chipset);
        words.add("-accel", self.accel.option());
        words.add("-cpu", self.accel.processor());
        words.add("-m", format!("{}M", self.form.memory_mib));
        words.add("-smp", self.form.vcpus.to_string());
        words.flag("-nodefaults").flag("-no-user-config").flag("-no-shutdown");
        words.add("-display", "none");
        words.add("-vga", "none");
        // `spawn` and the like are for good; the user itself is changed by QEMU once it has opened what is root's.
        words.add("-sandbox", "on,obsolete=deny,spawn=deny,resourcecontrol=deny");
        if let Some(user) = self.user {
            words.add("-runas", format!("{user}:{user}"));
        }
        words.add("-chardev", format!("socket,id=qmp,path={MONITOR},server=on,wait=off"));
        words.add("-mon", "chardev=qmp,mode=control");
        let log = format!("logfile={CONSOLE_LOG},logappend=on");
        words.add(
            "-chardev",
            format!("socket,id=console,path={CONSOLE},server=on,wait=off,{log}"),
        );
        words.add("-serial", "chardev:console");
        words.add("-device", "virtio-rng-pci");
        self.disks(&mut words);
        self.adapters(&mut words);
        if let Some(kernel) = &self.kernel {
            words.add("-kernel", kernel.kernel.display().to_string());
            if let Some(initrd) = &kernel.initrd {
                words.add("-initrd", initrd.display().to_string());
            }
            words.add("-append", kernel.command_line);
        }
        if self.wakes == Wakes::Up {
            words.add("-loadvm", ASLEEP);
        }
        words.0
    }

    fn disks(&self, words: &mut Words) {
        for disk in &self.form.disks {
            let name = format!("disk{}", disk.number);
            let base = self.base.as_deref().filter(|_| disk.number == 1);
            let node = layered(&disk_file(disk.number), base);
            words.add("-blockdev", with_name(node, &name).to_string());
            words.add(
                "-device",
                format!("virtio-blk-pci,drive={name},bootindex={},serial={name}", disk.number),
            );
        }
        let seed = json!({"driver": "raw", "read-only": true, "file": {"driver": "file", "filename": SEED}});
        words.add("-blockdev", with_name(seed, "seed").to_string());
        words.add("-device", "virtio-blk-pci,drive=seed,serial=seed");
    }

    fn adapters(&self, words: &mut Words) {
        for (adapter, tap) in self.form.adapters.iter().zip(self.taps) {
            let name = format!("net{}", adapter.number);
            words.add("-netdev", format!("tap,id={name},ifname={tap},script=no,downscript=no"));
            // Without an option ROM: nobody boots over the network, and reading it costs time at each start.
            words.add(
                "-device",
                format!("virtio-net-pci,netdev={name},mac={},romfile=", adapter.mac),
            );
        }
    }
}

/// A disk as QEMU and qemu-img are told of it. The file itself names its base by digest only; where that lies is told here.
pub(super) fn layered(file: &str, base: Option<&Path>) -> Value {
    let mut node = json!({
        "driver": "qcow2",
        "discard": "unmap",
        "file": {"driver": "file", "filename": file, "discard": "unmap"},
    });
    let backing = |base: &Path| {
        json!({
            "driver": "qcow2",
            "read-only": true,
            "file": {"driver": "file", "filename": base.display().to_string()},
        })
    };
    // Without the word QEMU follows what the file names.
    if let Some(map) = node.as_object_mut() {
        map.insert("backing".to_owned(), base.map_or(Value::Null, backing));
    }
    node
}

fn with_name(mut node: Value, name: &str) -> Value {
    if let Some(map) = node.as_object_mut() {
        map.insert("node-name".to_owned(), name.into());
    }
    node
}

#[derive(Debug, Default)]
struct Words(Vec<String>);

impl Words {
    fn add(&mut self, option: &str, value: impl Into<String>) {
        self.0.extend([option.to_owned(), value.into()]);
    }

    fn flag(&mut self, option: &str) -> &mut Self {
        self.0.push(option.to_owned());
        self
    }
}

#[cfg(test)]
mod tests {
    use renkei_types::agent::DiskSource;
    use uuid::Uuid;

    use super::*;

    fn call(wakes: Wakes) -> Vec<String> {
        let source = DiskSource::Template {
            name: "t".to_owned(),
            image: None,
        };
        let id = VmId(Uuid::from_u128(1));
        let form = Form::of(&crate::contract::intent(id, source));
        let call = Call {
            id,
            form: &form,
            user: Some(2_000_000_000),
            accel: Accel::Tcg,
            chipset: CHIPSET,
            base: Some(PathBuf::from("/images/a,b")),
            kernel: Some(Kernel {
                kernel: PathBuf::from("/images/k"),
                initrd: None,
                command_line: "console=ttyS0",
            }),
            taps: &["tap0".to_owned()],
            wakes,
        };
        call.arguments()
    }

    fn after<'a>(words: &'a [String], option: &str) -> Option<&'a str> {
        let at = words.iter().position(|word| word == option)?;
        words.get(at + 1).map(String::as_str)
    }

    #[test]
    fn a_machine_is_called_with_what_it_is_made_of() {
        let words = call(Wakes::No);
        assert!(words.contains(&"guest=00000000-0000-0000-0000-000000000001".to_owned()));
        assert_eq!(after(&words, "-m"), Some("512M"));
        assert_eq!(after(&words, "-runas"), Some("2000000000:2000000000"));
        assert_eq!(after(&words, "-append"), Some("console=ttyS0"));
        assert_eq!(after(&words, "-loadvm"), None);
        assert_eq!(after(&call(Wakes::Up), "-loadvm"), Some(ASLEEP));
        let net = words
            .iter()
            .any(|word| word == "tap,id=net1,ifname=tap0,script=no,downscript=no");
        assert!(net, "{words:?}");
    }

    #[test]
    fn only_the_first_disk_has_a_base_and_no_path_is_taken_for_an_option() {
        let words = call(Wakes::No);
        let disk: Value = serde_json::from_str(after(&words, "-blockdev").unwrap()).unwrap();
        assert_eq!(disk["backing"]["file"]["filename"], "/images/a,b");
        assert_eq!(disk["backing"]["read-only"], true);
        let alone = layered("disk2.qcow2", None);
        assert!(alone["backing"].is_null() && alone.get("backing").is_some());
    }
}
