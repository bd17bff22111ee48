//! Trees of files to copy, awkward ones included, and the comparison of two trees.
//!
//! Contents and shapes depend on the run's seed, so a failed run can be had again.

mod compare;

use std::ffi::OsStr;
use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FileType, Mode, mknodat};

pub use compare::{What, same_tree};

use crate::seed::Rng;

/// Makes files below one directory.
#[derive(Debug)]
pub struct Tree {
    root: PathBuf,
    rng: Rng,
}

impl Tree {
    /// Makes the directory `root` if it is missing.
    pub fn new(root: impl Into<PathBuf>) -> io::Result<Self> {
        let root = root.into();
        fs::create_dir_all(&root)?;
        let rng = Rng::for_purpose(&root.file_name().unwrap_or_default().to_string_lossy());
        Ok(Self { root, rng })
    }

    /// The directory.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// A name in it.
    pub fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.root.join(name)
    }

    /// A file of random content; directories before it are made.
    pub fn file(&mut self, name: impl AsRef<Path>, size: u64) -> io::Result<PathBuf> {
        let path = self.path(name);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        let file = File::create(&path)?;
        let mut buffer = vec![0; size.min(1 << 20) as usize];
        let mut at = 0;
        while at < size {
            self.rng.fill(&mut buffer);
            let length = (size - at).min(buffer.len() as u64) as usize;
            file.write_all_at(&buffer[..length], at)?;
            at += length as u64;
        }
        Ok(path)
    }

    /// `count` files of exactly `size` bytes, 100 to a directory.
    pub fn small_files(&mut self, count: usize, size: u64) -> io::Result<()> {
        for number in 0..count {
            self.file(format!("small{:04}/{number:06}", number / 100), size)?;
        }
        Ok(())
    }

    /// Files of random sizes from 0 to `largest` bytes, in directories up to four deep.
    pub fn mixed(&mut self, count: usize, largest: u64) -> io::Result<()> {
        for number in 0..count {
            let depth = self.rng.within(0..4);
            let folder: PathBuf = (0..depth).map(|_| format!("d{}", self.rng.within(0..4))).collect();
            let size = self.rng.within(0..largest + 1);
            self.file(folder.join(format!("f{number}")), size)?;
        }
        Ok(())
    }

    /// One file for each of the [`nasty_names`], and one directory.
    pub fn nasty_names(&mut self) -> io::Result<()> {
        for name in nasty_names() {
            let size = self.rng.within(0..5000);
            self.file(OsStr::from_bytes(&name), size)?;
        }
        self.file(OsStr::from_bytes(b"dir\xff \n\"'/inside"), 10)?;
        Ok(())
    }

    /// A file of `size` bytes with data only in `pieces` (offset and length).
    pub fn sparse(&mut self, name: impl AsRef<Path>, size: u64, pieces: &[(u64, usize)]) -> io::Result<PathBuf> {
        let path = self.file(name, 0)?;
        let file = File::options().write(true).open(&path)?;
        file.set_len(size)?;
        for (offset, length) in pieces {
            let mut data = vec![0; *length];
            self.rng.fill(&mut data);
            file.write_all_at(&data, *offset)?;
        }
        Ok(path)
    }

    /// Symbolic links: to a file, to a directory, to nothing, to itself, to an absolute path, and a loop of directories.
    pub fn links(&mut self) -> io::Result<()> {
        self.file("linked/file", 100)?;
        for (target, name) in [
            ("linked/file", "to-file"),
            ("linked", "to-dir"),
            ("no such file", "to-nothing"),
            ("to-itself", "to-itself"),
            ("/etc/hostname", "to-absolute"),
            ("..", "linked/loop"),
        ] {
            symlink(target, self.path(name))?;
        }
        symlink(OsStr::from_bytes(b"not utf-8 \xfe\n"), self.path("to-bytes"))
    }

    /// A file with two names.
    pub fn hard_links(&mut self) -> io::Result<()> {
        let path = self.file("hard-one", 3000)?;
        fs::hard_link(path, self.path("hard-two"))
    }

    /// Files and directories with uncommon permissions: write-only to nobody, executable, a directory that is read-only.
    pub fn modes(&mut self) -> io::Result<()> {
        for mode in [0o400, 0o444, 0o600, 0o640, 0o666, 0o711, 0o755, 0o777] {
            let path = self.file(format!("mode-{mode:o}"), 10)?;
            fs::set_permissions(path, Permissions::from_mode(mode))?;
        }
        self.file("read-only/file", 10)?;
        fs::set_permissions(self.path("read-only"), Permissions::from_mode(0o555))?;
        fs::create_dir(self.path("empty"))?;
        fs::set_permissions(self.path("empty"), Permissions::from_mode(0o700))
    }

    /// What a copy must not open: a FIFO and a socket.
    pub fn special(&mut self) -> io::Result<()> {
        for (name, kind) in [("fifo", FileType::Fifo), ("socket", FileType::Socket)] {
            mknodat(CWD, self.path(name), kind, Mode::from_raw_mode(0o600), 0)?;
        }
        Ok(())
    }

    /// Files whose sizes lie around the limits where copies go wrong: zero, one, and each side of 32 KiB, 256 KiB and 1 MiB.
    pub fn edge_sizes(&mut self) -> io::Result<()> {
        self.file("size-0", 0)?;
        for limit in [1_u64, 1 << 15, 1 << 18, 1 << 20, 3 << 20] {
            for size in [limit - 1, limit, limit + 1] {
                self.file(format!("size-{size}"), size)?;
            }
        }
        Ok(())
    }
}

/// File names that are allowed and often forgotten.
pub fn nasty_names() -> Vec<Vec<u8>> {
    let mut names: Vec<Vec<u8>> = [
        &b"-rf"[..],
        b"--help",
        b" leading and trailing ",
        b"new\nline",
        b"\n",
        b"tab\tcr\r",
        b"quote'single",
        b"quote\"double",
        b"back\\slash",
        b"dollar$HOME",
        b"`tick`",
        b"star*",
        b"question?",
        b"[bracket]",
        b"{brace,two}",
        b"semi;colon&|<>",
        b"colon:host",
        b"#hash",
        b"~tilde",
        b"!bang",
        b"...",
        b".hidden",
        b"\x1b[31mred\x1b[0m",
        b"bell\x07del\x7f",
        b"latin-\xe9",
        b"\xff\xfe",
        b"half-utf8-\xe3\x81",
        "\u{9023}\u{643a}".as_bytes(),
        "e\u{301} and \u{e9}".as_bytes(),
        "right\u{202e}left".as_bytes(),
    ]
    .map(<[u8]>::to_vec)
    .to_vec();
    names.push(vec![b'n'; 255]);
    names.push(vec![0xfd; 255]);
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    fn everything(root: PathBuf) -> Tree {
        let mut tree = Tree::new(root).unwrap();
        tree.small_files(5, 100).unwrap();
        tree.mixed(10, 5000).unwrap();
        tree.nasty_names().unwrap();
        tree.links().unwrap();
        tree.hard_links().unwrap();
        tree.modes().unwrap();
        tree.special().unwrap();
        tree.edge_sizes().unwrap();
        tree.sparse("sparse", 10 << 20, &[(5 << 20, 100)]).unwrap();
        tree
    }

    #[test]
    fn the_same_seed_makes_the_same_tree() {
        let folder = tempfile::tempdir().unwrap();
        let one = everything(folder.path().join("a/tree"));
        let two = everything(folder.path().join("b/tree"));
        same_tree(one.root(), two.root(), &[What::Content, What::Modes, What::Links]).unwrap();
    }

    #[test]
    fn differences_are_found() {
        let folder = tempfile::tempdir().unwrap();
        type Spoil = (&'static str, fn(&Path));
        let spoilers: [Spoil; 5] = [
            ("content", |root| fs::write(root.join("hard-one"), "other").unwrap()),
            ("mode", |root| {
                fs::set_permissions(root.join("mode-600"), Permissions::from_mode(0o601)).unwrap();
            }),
            ("only in", |root| fs::remove_file(root.join("fifo")).unwrap()),
            ("only in", |root| fs::write(root.join("more"), "").unwrap()),
            ("link", |root| {
                fs::remove_file(root.join("to-file")).unwrap();
                symlink("elsewhere", root.join("to-file")).unwrap();
            }),
        ];
        for (number, (word, spoil)) in spoilers.into_iter().enumerate() {
            let one = everything(folder.path().join(format!("{number}a/tree")));
            let two = everything(folder.path().join(format!("{number}b/tree")));
            spoil(two.root());
            let told = same_tree(one.root(), two.root(), &[What::Content, What::Modes, What::Links]).unwrap_err();
            assert!(told.contains(word), "{told}");
        }
    }
}
