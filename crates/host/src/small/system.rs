//! What is in the small guest: programs of Debian's packages with their libraries, our scripts, and the kernel's modules.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use renkei_types::tree_hash::hash_whole;

use super::newc::Archive;
use super::tool::XZ;
use super::{SmallError, elf, modules};

/// Paths in packages; `/usr` may stand before each, as in later Debians.
const PROGRAMS: [(&str, &str); 7] = [
    ("bin/busybox", "bin/busybox"),
    ("sbin/mke2fs", "bin/mke2fs"),
    ("sbin/e2fsck", "bin/e2fsck"),
    ("sbin/resize2fs", "bin/resize2fs"),
    ("sbin/dropbear", "bin/dropbear"),
    ("bin/dropbearkey", "bin/dropbearkey"),
    // Where dropbear looks for it, since /usr/lib is /lib.
    ("lib/openssh/sftp-server", "lib/sftp-server"),
];

/// What a virtual machine has, with what its power button needs.
const MODULES: [&str; 7] = [
    "virtio_pci",
    "virtio_blk",
    "virtio_net",
    "virtio_rng",
    "isofs",
    "button",
    "evdev",
];

const SCRIPTS: [(&str, &str); 7] = [
    ("init", include_str!("guest/init")),
    ("lib/renkei/start", include_str!("guest/start")),
    ("lib/renkei/network", include_str!("guest/network")),
    ("lib/renkei/dhcp", include_str!("guest/dhcp")),
    ("lib/renkei/sshd", include_str!("guest/sshd")),
    ("lib/renkei/stop", include_str!("guest/stop")),
    // The name under which acpid looks for what to do about the power button.
    ("lib/renkei/acpi/PWRF/00000080", include_str!("guest/power")),
];

const TEXTS: [(&str, &str); 7] = [
    ("lib/renkei/yaml.awk", include_str!("guest/yaml.awk")),
    ("lib/renkei/inittab", include_str!("guest/inittab")),
    (
        "etc/passwd",
        "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n",
    ),
    ("etc/group", "root:x:0:\ntty:x:5:\nnogroup:x:65534:\n"),
    ("etc/shells", "/bin/sh\n/bin/ash\n"),
    (
        "etc/profile",
        "export PATH=/usr/local/bin:/bin\nexport PS1='\\u@\\h:\\w\\$ '\n",
    ),
    (
        "etc/os-release",
        "ID=renkei-small\nID_LIKE=debian\nNAME=\"Renkei small\"\nPRETTY_NAME=\"Renkei small\"\n",
    ),
];

/// No password opens it.
const SHADOW: &str = "root:*:1:0:99999:7:::\nnobody:*:1:0:99999:7:::\n";

/// The two files that are booted.
pub(super) struct Booted {
    /// The kernel, as Debian ships it.
    pub kernel: Vec<u8>,
    /// The initial file system.
    pub initrd: Vec<u8>,
    /// The kernel's version: `6.1.0-56-cloud-amd64`.
    pub version: String,
}

/// Gathers it from unpacked packages.
pub(super) fn gather(root: &Path) -> Result<Booted, SmallError> {
    let mut archive = Archive::default();
    archive.device("dev/console", 5, 1);
    programs(root, &mut archive)?;
    for (path, text) in SCRIPTS {
        archive.program(path, text);
    }
    for (path, text) in TEXTS {
        archive.text(path, text);
    }
    archive.secret("etc/shadow", SHADOW);
    archive.text("etc/mke2fs.conf", read(&root.join("etc/mke2fs.conf"))?);
    archive.link("bin/sh", "busybox");
    let version = kernel_version(root)?;
    load(root, &version, &mut archive)?;
    // By it the guest sees that its root has another system on it.
    archive.text("stamp", format!("{}\n", hash_whole(&archive.bytes())));
    Ok(Booted {
        kernel: read(&root.join("boot").join(format!("vmlinuz-{version}")))?,
        initrd: archive.bytes(),
        version,
    })
}

fn programs(root: &Path, archive: &mut Archive) -> Result<(), SmallError> {
    let libraries = libraries(root)?;
    let mut open = vec![];
    for (from, to) in PROGRAMS {
        let path = either(root, from)?;
        archive.program(to, read(&path)?);
        open.push(path);
    }
    let mut done: Vec<String> = vec![];
    while let Some(path) = open.pop() {
        let needs = elf::needs(&read(&path)?).ok_or_else(|| SmallError::NoElf { path: path.clone() })?;
        let loader = needs.loader.iter().filter_map(|loader| loader.rsplit('/').next());
        for name in needs.libraries.iter().map(String::as_str).chain(loader) {
            if done.iter().any(|done| done == name) {
                continue;
            }
            let library = libraries
                .get(name)
                .ok_or_else(|| SmallError::NoFile { file: name.to_owned() })?;
            archive.program(&format!("lib/{name}"), read(library)?);
            open.push(library.clone());
            done.push(name.to_owned());
        }
        if let Some(loader) = needs.loader.as_deref().map(|loader| loader.trim_start_matches('/'))
            && let Some((folder, name)) = loader.rsplit_once('/')
            && folder != "lib"
        {
            archive.link(loader, &format!("/lib/{name}"));
        }
    }
    Ok(())
}

/// All shared libraries by name.
fn libraries(root: &Path) -> Result<BTreeMap<String, PathBuf>, SmallError> {
    let mut found = BTreeMap::new();
    for folder in ["lib/x86_64-linux-gnu", "usr/lib/x86_64-linux-gnu", "lib64", "usr/lib64"] {
        let folder = root.join(folder);
        if !folder.is_dir() {
            continue;
        }
        for entry in fs::read_dir(&folder).map_err(SmallError::file("read", &folder))? {
            let entry = entry.map_err(SmallError::file("read", &folder))?;
            let name = entry.file_name().to_string_lossy().into_owned();
            // Some links lead to where the package would be installed, out of this root.
            if name.contains(".so") && inside(root, &entry.path()) {
                found.entry(name).or_insert(entry.path());
            }
        }
    }
    Ok(found)
}

fn inside(root: &Path, path: &Path) -> bool {
    match (root.canonicalize(), path.canonicalize()) {
        (Ok(root), Ok(path)) => path.starts_with(root) && path.is_file(),
        _ => false,
    }
}

fn kernel_version(root: &Path) -> Result<String, SmallError> {
    let boot = root.join("boot");
    let entries = fs::read_dir(&boot).map_err(SmallError::file("read", &boot))?;
    let mut versions = entries
        .flatten()
        .filter_map(|entry| Some(entry.file_name().to_str()?.strip_prefix("vmlinuz-")?.to_owned()));
    versions.next().ok_or_else(|| SmallError::NoFile {
        file: "boot/vmlinuz-*".to_owned(),
    })
}

/// Puts the modules in, and the order in which they are loaded.
fn load(root: &Path, version: &str, archive: &mut Archive) -> Result<(), SmallError> {
    let mut files = BTreeMap::new();
    collect(&either(root, &format!("lib/modules/{version}/kernel"))?, &mut files)?;
    let mut trouble = None;
    let get = |name: &str| match module(files.get(name)?) {
        Ok(content) => Some(content),
        Err(error) => {
            trouble = Some(error);
            None
        }
    };
    let ordered = modules::order(&MODULES, get);
    if let Some(error) = trouble {
        return Err(error);
    }
    let (order, modules) = ordered.map_err(|modules::Unknown(name)| SmallError::NoFile {
        file: format!("{name}.ko"),
    })?;
    let list: String = order.iter().map(|name| format!("/modules/{name}.ko\n")).collect();
    archive.text("modules/order", list);
    for (name, content) in modules {
        archive.text(&format!("modules/{name}.ko"), content);
    }
    Ok(())
}

fn collect(folder: &Path, files: &mut BTreeMap<String, PathBuf>) -> Result<(), SmallError> {
    for entry in fs::read_dir(folder).map_err(SmallError::file("read", folder))? {
        let entry = entry.map_err(SmallError::file("read", folder))?;
        let path = entry.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else if let Some(name) = modules::name(&entry.file_name().to_string_lossy()) {
            files.insert(name, path);
        }
    }
    Ok(())
}

/// Later Debians pack them.
fn module(path: &Path) -> Result<Vec<u8>, SmallError> {
    if path.extension().is_some_and(|extension| extension == "xz") {
        return XZ.run(XZ.command().args(["--decompress", "--stdout"]).arg(path));
    }
    read(path)
}

/// The path, with or without `/usr` before it.
fn either(root: &Path, path: &str) -> Result<PathBuf, SmallError> {
    let mut candidates = [root.join(path), root.join("usr").join(path)].into_iter();
    candidates
        .find(|candidate| candidate.exists())
        .ok_or_else(|| SmallError::NoFile { file: path.to_owned() })
}

fn read(path: &Path) -> Result<Vec<u8>, SmallError> {
    fs::read(path).map_err(SmallError::file("read", path))
}
