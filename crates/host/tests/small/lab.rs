//! A network namespace with a tap, and guests on it.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use renkei_host::images::{Bundle, Images};
use renkei_host::small;
use renkei_testkit::keys::{KeyKind, KeyPair};
use renkei_testkit::process::{run, spawn_tied};
use renkei_testkit::wait;
use tempfile::TempDir;

/// How long a guest may take, without KVM on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(120);
/// The guest's adapter.
pub const MAC: &str = "52:54:00:12:34:56";

/// The small guest, built once for all tests of this machine.
pub fn template() -> (Images, Bundle) {
    small::cached(&Path::new(env!("CARGO_TARGET_TMPDIR")).join("small")).unwrap()
}

/// A namespace with a tap in it, a disk, and a key. Everything goes when it is dropped.
pub struct Lab {
    pub folder: TempDir,
    pub key: KeyPair,
    namespace: String,
    images: Images,
    bundle: Bundle,
}

impl Lab {
    pub fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let (images, bundle) = template();
        let folder = tempfile::tempdir().unwrap();
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let lab = Self {
            key: KeyPair::generate(&folder.path().join("key"), KeyKind::Ed25519).unwrap(),
            folder,
            namespace: format!("small-{}-{count}", std::process::id()),
            images,
            bundle,
        };
        ip(&["netns", "add", &lab.namespace]);
        for words in [
            "tuntap add dev tap0 mode tap",
            "addr add 10.77.0.1/24 dev tap0",
            "-6 addr add fd00:77::1/64 dev tap0 nodad",
            "link set tap0 up",
            "link set lo up",
        ] {
            let mut all = vec!["-n", &lab.namespace];
            all.extend(words.split(' '));
            ip(&all);
        }
        let disk = lab.images.path(&lab.bundle.disk);
        let words = ["create", "-q", "-f", "qcow2", "-F", "qcow2", "-b"];
        run(Command::new("qemu-img").args(words).arg(disk).arg(lab.disk())).unwrap();
        lab
    }

    fn disk(&self) -> PathBuf {
        self.folder.path().join("disk.qcow2")
    }

    pub fn grow(&self, size: &str) {
        run(Command::new("qemu-img")
            .args(["resize", "-q"])
            .arg(self.disk())
            .arg(size))
        .unwrap();
    }

    /// Puts something onto the disk that is no file system.
    pub fn scribble(&self, text: &str) {
        let raw = self.folder.path().join("raw");
        fs::write(&raw, text).unwrap();
        run(Command::new("qemu-img")
            .args(["resize", "-q", "-f", "raw"])
            .arg(&raw)
            .arg("1G"))
        .unwrap();
        run(Command::new("qemu-img")
            .args(["convert", "-O", "qcow2"])
            .arg(&raw)
            .arg(self.disk()))
        .unwrap();
    }

    /// A DHCP server that has one address to give.
    pub fn dhcp(&self, address: &str) -> Child {
        let mut command = self.command("dnsmasq");
        let leases = format!("--dhcp-leasefile={}", self.folder.path().join("leases").display());
        let range = format!("--dhcp-range={address},{address},1h");
        let words = [
            "--no-daemon",
            "--conf-file=/dev/null",
            "--port=0",
            "--interface=tap0",
            "--bind-dynamic",
        ];
        command.args(words).args(["--user=root", "--pid-file", &leases, &range]);
        spawn_tied(command).unwrap()
    }

    /// A program in the namespace.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        command
            .arg(format!("--net=/run/netns/{}", self.namespace))
            .arg("--")
            .arg(program);
        command
    }

    /// A seed with these files.
    pub fn seed(&self, files: &[(&str, &str)]) -> PathBuf {
        let (folder, iso) = (self.folder.path().join("seed"), self.folder.path().join("seed.iso"));
        let _absent = fs::remove_dir_all(&folder);
        let _absent = fs::remove_file(&iso);
        fs::create_dir(&folder).unwrap();
        for (name, text) in files {
            fs::write(folder.join(name), text).unwrap();
        }
        let words = ["-as", "mkisofs", "-quiet", "-V", "cidata", "-J", "-r", "-o"];
        run(Command::new("xorriso").args(words).arg(&iso).arg(&folder)).unwrap();
        iso
    }

    /// What every guest is told about itself.
    pub fn meta_data(&self, instance: &str, name: &str) -> String {
        let key = self.key.public_line().unwrap();
        format!(
            "instance-id: {instance}\nlocal-hostname: {name}\npublic-keys:\n  - \"{}\"\n",
            key.trim()
        )
    }

    /// Starts the guest.
    pub fn boot(&self, seed: Option<&Path>) -> Guest {
        self.boot_with(seed, "")
    }

    /// Starts the guest, with more on its kernel's command line.
    pub fn boot_with(&self, seed: Option<&Path>, more: &str) -> Guest {
        let boot = self.bundle.boot.as_ref().unwrap();
        let (qmp, serial) = (self.folder.path().join("qmp"), self.folder.path().join("serial"));
        let _absent = fs::remove_file(&qmp);
        let _absent = fs::remove_file(&serial);
        let mut command = self.command("qemu-system-x86_64");
        command.args([
            "-nodefaults",
            "-no-user-config",
            "-display",
            "none",
            "-machine",
            "q35",
            "-accel",
            "tcg",
        ]);
        command.args(["-m", &self.bundle.facts.min_memory_mib.to_string(), "-no-reboot"]);
        command.arg("-kernel").arg(self.images.path(&boot.kernel));
        command
            .arg("-initrd")
            .arg(self.images.path(boot.initrd.as_ref().unwrap()));
        command.args(["-append", &format!("{} {more}", boot.command_line)]);
        let disk = format!("file={},if=virtio,format=qcow2", self.disk().display());
        command.args(["-drive", &disk]);
        if let Some(seed) = seed {
            let drive = format!("file={},if=virtio,format=raw,readonly=on", seed.display());
            command.args(["-drive", &drive]);
        }
        command.args(["-netdev", "tap,id=n,ifname=tap0,script=no,downscript=no"]);
        command.args(["-device", &format!("virtio-net-pci,netdev=n,mac={MAC}")]);
        command.args(["-device", "virtio-rng-pci"]);
        command.args(["-serial", &format!("file:{}", serial.display())]);
        command.args(["-qmp", &format!("unix:{},server=on,wait=off", qmp.display())]);
        command.stdin(Stdio::null());
        Guest {
            child: spawn_tied(command).unwrap(),
            qmp,
            serial,
        }
    }

    /// Runs a command in the guest, once ssh answers.
    pub fn ssh(&self, guest: &Guest, address: &str, command: &str) -> String {
        let output = self.try_ssh(address, command);
        if !output.status.success() {
            panic!("{}\n{}", String::from_utf8_lossy(&output.stderr), guest.console());
        }
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// Waits until ssh answers at an address that the guest has not had from the beginning.
    pub fn until_reached(&self, address: &str) {
        wait::until_some("an address", PATIENCE, || {
            self.try_ssh(address, "true").status.success().then_some(())
        })
        .unwrap();
    }

    /// Runs a command in the guest, or fails as ssh does.
    pub fn try_ssh(&self, address: &str, command: &str) -> Output {
        self.try_ssh_as("root", address, command)
    }

    /// As another user.
    pub fn try_ssh_as(&self, user: &str, address: &str, command: &str) -> Output {
        let mut ssh = self.client("ssh");
        ssh.arg(format!("{user}@{address}")).arg(command).output().unwrap()
    }

    /// Copies a file into the guest.
    pub fn scp(&self, file: &Path, address: &str, to: &str) -> Output {
        let mut scp = self.client("scp");
        scp.arg(file).arg(format!("root@{address}:{to}")).output().unwrap()
    }

    fn client(&self, program: &str) -> Command {
        let hosts = self.folder.path().join("known_hosts");
        let mut client = self.command(program);
        client.args([
            "-F",
            "none",
            "-o",
            "BatchMode=yes",
            "-o",
            "StrictHostKeyChecking=accept-new",
        ]);
        client.arg("-o").arg(format!("UserKnownHostsFile={}", hosts.display()));
        client.arg("-i").arg(self.key.private()).stdin(Stdio::null());
        client
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        let _ends_with_us = Command::new("ip").args(["netns", "del", &self.namespace]).output();
    }
}

fn ip(words: &[&str]) {
    run(Command::new("ip").args(words)).unwrap();
}

/// A guest that runs.
pub struct Guest {
    child: Child,
    qmp: PathBuf,
    serial: PathBuf,
}

impl Guest {
    /// What it has said so far.
    pub fn console(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.serial).unwrap_or_default()).into_owned()
    }

    /// Waits until it has said this.
    pub fn until_says(&mut self, text: &str) {
        let said = wait::until_some(text, PATIENCE, || {
            let ended = self.child.try_wait().unwrap().is_some();
            (self.console().contains(text) || ended).then_some(())
        });
        assert!(
            said.is_ok() && self.console().contains(text),
            "no `{text}` in:\n{}",
            self.console()
        );
    }

    /// Presses the power button, and waits until it has ended.
    pub fn power_down(mut self) -> String {
        let mut stream = BufReader::new(UnixStream::connect(&self.qmp).unwrap());
        for command in ["qmp_capabilities", "system_powerdown"] {
            writeln!(stream.get_mut(), "{{\"execute\": \"{command}\"}}").unwrap();
            let mut line = String::new();
            while !line.contains("\"return\"") {
                line.clear();
                assert_ne!(stream.read_line(&mut line).unwrap(), 0, "qemu has gone");
            }
        }
        self.until_ends()
    }

    /// Waits until it has ended by itself.
    pub fn until_ends(&mut self) -> String {
        let ended = wait::until_some("the guest to end", PATIENCE, || self.child.try_wait().unwrap());
        let console = self.console();
        assert!(ended.is_ok_and(|status| status.success()), "{console}");
        console
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}
