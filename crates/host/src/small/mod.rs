//! The small guest: a template that is built in seconds from Debian's packages and boots in seconds, also where there is no KVM.
//!
//! Debian's cloud kernel is booted directly with an initial file system of busybox, dropbear and the tools of ext4; the disk begins
//! empty. At the first start the guest makes a file system, puts its system there, and from then on that is its root. Host name, key,
//! addresses and instance-id come from the NoCloud seed that every guest gets (`guest/start`); other user data is ignored, and the
//! facts for the catalog say so.
//!
//! Nothing is installed on this computer: packages are fetched and unpacked into a temporary folder. The same packages give the same
//! digests.
//!
//! # What the seed has to look like
//!
//! A second, read-only virtio disk, ISO 9660 with the volume id `cidata`, with `meta-data` (`instance-id`, `local-hostname`,
//! `public-keys` as a list), `user-data` (only `ssh_authorized_keys` of a `#cloud-config` is read) and `network-config` (netplan's
//! version 2 in block style; without addresses the guest asks by DHCP).
//!
//! It starts in half the time where it finds randomness: give it a `virtio-rng-pci`, or a processor with RDRAND.
//!
//! # What it says on its serial console
//!
//! [`UP`] when it can be logged in to; [`CANARY_ALIVE`] in place of everything else if the kernel is told [`CANARY`].

mod apt;
mod cached;
mod elf;
mod error;
mod modules;
mod newc;
mod system;
mod tool;

use std::fs;
use std::path::Path;

use renkei_types::template::TemplateFacts;

use crate::images::{Boot, Bundle, Images};
use apt::Packages;
use tool::QEMU_IMG;

pub use cached::cached;
pub use error::SmallError;

/// The template's name, in the folder and in the catalog.
pub const NAME: &str = "renkei-small";
/// The line on the serial console that says that ssh answers.
pub const UP: &str = "renkei small: up";
/// On the kernel's command line: the guest says [`CANARY_ALIVE`] and powers off at once.
pub const CANARY: &str = "renkei.canary";
/// What it says then.
pub const CANARY_ALIVE: &str = "renkei canary: alive";

/// A console on the first serial line and little talk; a kernel that cannot go on ends instead of standing still.
const COMMAND_LINE: &str = "console=ttyS0 quiet panic=5";
/// What the disk of a machine has at least, GiB.
const DISK_GIB: u64 = 1;
/// The initial file system is in memory until the system is on the disk.
const MEMORY_MIB: u64 = 128;

/// Builds it from the newest packages that apt knows here and puts it into the folder as the template [`NAME`], in place of what was
/// there. `tell` gets a line of text before each part of the work.
///
/// # Errors
/// If a program, a package or the network is missing, or something cannot be written. Then the template is as it was.
pub fn build(images: &Images, tell: &mut dyn FnMut(&str)) -> Result<Bundle, SmallError> {
    let work = tempfile::tempdir().map_err(SmallError::file("make", "a temporary folder"))?;
    tell("finding Debian's packages");
    let packages = apt::find(work.path())?;
    from(&packages, images, tell)
}

fn from(packages: &Packages, images: &Images, tell: &mut dyn FnMut(&str)) -> Result<Bundle, SmallError> {
    let work = tempfile::tempdir().map_err(SmallError::file("make", "a temporary folder"))?;
    tell(&format!("fetching {} packages", packages.versions.len()));
    let root = packages.unpack(work.path())?;
    tell("making the initial file system");
    let booted = system::gather(&root)?;
    tell("putting kernel, initial file system and disk into the image folder");
    let add = |name: &str, content: &[u8]| {
        let path = work.path().join(name);
        fs::write(&path, content).map_err(SmallError::file("write", &path))?;
        Ok::<_, SmallError>(images.add(&path)?)
    };
    let boot = Boot {
        kernel: add("kernel", &booted.kernel)?,
        initrd: Some(add("initrd", &booted.initrd)?),
        command_line: COMMAND_LINE.to_owned(),
    };
    let bundle = Bundle {
        disk: images.add(&empty_disk(work.path())?)?,
        virtual_bytes: DISK_GIB << 30,
        boot: Some(boot),
        facts: facts(&booted.version),
    };
    images.put_template(NAME, &bundle)?;
    Ok(bundle)
}

fn empty_disk(work: &Path) -> Result<std::path::PathBuf, SmallError> {
    let path = work.join("disk.qcow2");
    QEMU_IMG.run(
        QEMU_IMG
            .command()
            .args(["create", "-q", "-f", "qcow2"])
            .arg(&path)
            .arg(format!("{DISK_GIB}G")),
    )?;
    Ok(path)
}

fn facts(kernel: &str) -> TemplateFacts {
    TemplateFacts {
        os_type: "Linux".to_owned(),
        os_name: "Renkei small".to_owned(),
        os_version: env!("CARGO_PKG_VERSION").to_owned(),
        description: format!(
            "A very small Linux for trying things out: Debian's kernel {kernel}, busybox and dropbear, with no package manager. \
             Log in as root with the key given at deploy, also by sftp. It reads host name, keys and addresses; \
             all other user data is ignored."
        ),
        login_username: "root".to_owned(),
        min_disk_gib: DISK_GIB,
        min_memory_mib: MEMORY_MIB,
        gpu_required: false,
    }
}
