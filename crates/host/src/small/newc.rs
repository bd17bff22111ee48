//! The archive that the kernel unpacks as its initial file system: "newc", as the kernel's documentation has it in
//! driver-api/early-userspace/buffer-format. The same entries give the same bytes: everything is root's, of the beginning of 1970, and
//! in the order of names.

use std::collections::BTreeMap;

/// What an archive holds, by path without a leading slash. Folders above are made when it is written.
#[derive(Clone, Debug, Default)]
pub(super) struct Archive {
    entries: BTreeMap<String, Entry>,
}

#[derive(Clone, Debug)]
enum Entry {
    Folder,
    Link(String),
    File {
        mode: u32,
        content: Vec<u8>,
    },
    /// A character device.
    Device {
        major: u32,
        minor: u32,
    },
}

const FOLDER: u32 = 0o040_755;
const LINK: u32 = 0o120_777;
const FILE: u32 = 0o100_000;
const DEVICE: u32 = 0o020_600;

impl Archive {
    /// A program or script, which everybody may run.
    pub(super) fn program(&mut self, path: &str, content: impl Into<Vec<u8>>) {
        self.file(path, content.into(), 0o755);
    }

    /// A file that everybody may read.
    pub(super) fn text(&mut self, path: &str, content: impl Into<Vec<u8>>) {
        self.file(path, content.into(), 0o644);
    }

    /// A file that only root may read.
    pub(super) fn secret(&mut self, path: &str, content: impl Into<Vec<u8>>) {
        self.file(path, content.into(), 0o600);
    }

    fn file(&mut self, path: &str, content: Vec<u8>, mode: u32) {
        self.put(path, Entry::File { mode, content });
    }

    /// A symbolic link.
    pub(super) fn link(&mut self, path: &str, target: &str) {
        self.put(path, Entry::Link(target.to_owned()));
    }

    /// A character device.
    pub(super) fn device(&mut self, path: &str, major: u32, minor: u32) {
        self.put(path, Entry::Device { major, minor });
    }

    fn put(&mut self, path: &str, entry: Entry) {
        for (end, _) in path.match_indices('/') {
            self.entries.entry(path[..end].to_owned()).or_insert(Entry::Folder);
        }
        self.entries.insert(path.to_owned(), entry);
    }

    /// The bytes.
    pub(super) fn bytes(&self) -> Vec<u8> {
        let mut bytes = vec![];
        // A folder's name is the beginning of those in it, so it comes first.
        for (inode, (path, entry)) in (1..).zip(&self.entries) {
            entry.write(inode, path, &mut bytes);
        }
        let end = Entry::File {
            mode: 0,
            content: vec![],
        };
        end.write(0, "TRAILER!!!", &mut bytes);
        bytes
    }
}

impl Entry {
    fn write(&self, inode: u32, path: &str, bytes: &mut Vec<u8>) {
        let (mode, content, (major, minor)) = match self {
            Self::Folder => (FOLDER, &[][..], (0, 0)),
            Self::Link(target) => (LINK, target.as_bytes(), (0, 0)),
            Self::File { mode, content } => (FILE | mode, &content[..], (0, 0)),
            Self::Device { major, minor } => (DEVICE, &[][..], (*major, *minor)),
        };
        // Both fit: what is put in comes from packages of some megabytes.
        let length = u32::try_from(content.len()).unwrap_or(u32::MAX);
        let name_length = u32::try_from(path.len() + 1).unwrap_or(u32::MAX);
        bytes.extend(b"070701");
        // Owner, group and time are 0, and each file has one name.
        for field in [inode, mode, 0, 0, 1, 0, length, 0, 0, major, minor, name_length, 0] {
            bytes.extend(format!("{field:08X}").bytes());
        }
        bytes.extend(path.bytes());
        bytes.push(0);
        pad(bytes);
        bytes.extend(content);
        pad(bytes);
    }
}

fn pad(bytes: &mut Vec<u8>) {
    bytes.resize(bytes.len().next_multiple_of(4), 0);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_entries_give_the_same_bytes_in_any_order() {
        let (mut a, mut b) = (Archive::default(), Archive::default());
        a.text("etc/a", "1");
        a.program("bin/b", "2");
        b.program("bin/b", "2");
        b.text("etc/a", "1");
        assert_eq!(a.bytes(), b.bytes());
        assert_eq!(a.bytes().len() % 4, 0);
    }

    #[test]
    fn folders_come_before_what_is_in_them() {
        let mut archive = Archive::default();
        archive.link("a/b/c", "d");
        let text = String::from_utf8(archive.bytes()).unwrap();
        let at = |name: &str| text.find(name).unwrap();
        assert!(at("a\0") < at("a/b\0") && at("a/b\0") < at("a/b/c\0") && at("a/b/c\0") < at("TRAILER!!!"));
        assert!(text.starts_with("07070100000001000041ED"), "{text}");
    }
}
