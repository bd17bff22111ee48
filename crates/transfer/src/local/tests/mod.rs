//! The local end on real file systems. Making devices, other users and a full disk needs root, which CI is.

mod batch;
mod beneath;
mod full;
mod named;
mod output;
mod source;
mod tree;

use std::io::{ErrorKind, IoSlice};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use renkei_types::printable::Printable;
use rustix::fs::{CWD, FileType, Mode};
use tempfile::TempDir;

use super::error::FileError;
use super::meta::{Attributes, Permissions};
use super::output::{Existing, Finish, Output, Stored};
use super::root::{Links, Root};

/// A directory for one test, which any user may search.
struct Scratch(TempDir);

impl Scratch {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o755)).unwrap();
        Self(dir)
    }

    /// The path of `rel` for the standard library.
    fn path(&self, rel: impl AsRef<[u8]>) -> PathBuf {
        self.0.path().join(std::ffi::OsStr::from_bytes(rel.as_ref()))
    }

    /// The path of `rel` as bytes.
    fn bytes(&self, rel: impl AsRef<[u8]>) -> Vec<u8> {
        self.path(rel).into_os_string().into_vec()
    }

    fn dir(&self, rel: &str) {
        std::fs::create_dir_all(self.path(rel)).unwrap();
    }

    fn file(&self, rel: impl AsRef<[u8]>, content: impl AsRef<[u8]>) {
        std::fs::write(self.path(rel), content).unwrap();
    }

    fn link(&self, rel: &str, target: impl AsRef<std::path::Path>) {
        std::os::unix::fs::symlink(target, self.path(rel)).unwrap();
    }

    fn fifo(&self, rel: &str) {
        let mode = Mode::from_bits_retain(0o600);
        rustix::fs::mknodat(CWD, self.path(rel), FileType::Fifo, mode, 0).unwrap();
    }

    fn read(&self, rel: impl AsRef<[u8]>) -> Vec<u8> {
        std::fs::read(self.path(rel)).unwrap()
    }

    fn mode(&self, rel: &str) -> u32 {
        let meta = std::fs::symlink_metadata(self.path(rel)).unwrap();
        meta.permissions().mode() & 0o7777
    }

    fn exists(&self, rel: impl AsRef<[u8]>) -> bool {
        std::fs::symlink_metadata(self.path(rel)).is_ok()
    }

    /// The names in the directory `rel`, sorted.
    fn names(&self, rel: &str) -> Vec<Vec<u8>> {
        let entries = std::fs::read_dir(self.path(rel)).unwrap();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_vec()).collect();
        names.sort();
        names
    }

    fn root(&self, rel: &str) -> Root {
        Root::open(&self.bytes(rel), Links::Refuse).unwrap()
    }

    /// The same root as on a new kernel and as on an old one.
    fn roots(&self, rel: &str) -> [Root; 2] {
        [self.root(rel), self.root(rel).walking()]
    }
}

const PLAIN: Attributes = Attributes {
    permissions: Permissions::Nine(0o644),
    times: None,
};

fn write(output: &Output, offset: u64, data: &[u8]) -> Result<(), FileError> {
    output.write_at(offset, &mut [IoSlice::new(data)])
}

fn finish(output: Output, length: u64) -> Result<Stored, FileError> {
    output.finish(&Finish {
        length,
        attributes: PLAIN,
        existing: Existing::Replace,
    })
}

/// Writes a whole file.
fn put(root: &Root, rel: &[u8], content: &[u8]) -> Result<Stored, FileError> {
    let output = root.create(rel, b".tmp")?;
    if let Err(error) = write(&output, 0, content) {
        output.discard();
        return Err(error);
    }
    finish(output, content.len() as u64)
}

/// What the system said to the step that failed.
fn refusal(error: &FileError) -> ErrorKind {
    match error {
        FileError::Io { source, .. } => source.kind(),
        other => panic!("not from the system: {other}"),
    }
}

/// A person must see which one it was.
fn assert_names(error: &FileError, path: &[u8]) {
    let (text, name) = (error.to_string(), format!("`{}`", Printable(path)));
    assert!(text.contains(&name), "{text} does not name {name}");
}

/// Runs `test` as a user for whom permissions count. Only the calling thread's user changes, so it gets one of its own.
fn as_nobody<T: Send>(test: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        let run = || {
            if rustix::process::geteuid().is_root() {
                let nobody = rustix::process::Uid::from_raw(65534);
                rustix::thread::set_thread_res_uid(nobody, nobody, nobody).unwrap();
            }
            test()
        };
        scope.spawn(run).join().unwrap()
    })
}
