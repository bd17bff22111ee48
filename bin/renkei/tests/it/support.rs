//! A server, the program, and a folder with files for one test.
//!
//! Both ends are this machine, so a test sees the far side's files directly. A [`Way`] says which end of a copy is behind
//! the server; most rules are tested in both.

use std::ffi::{OsStr, OsString};
use std::fs::{self, Permissions};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;

use renkei_testkit::fault::Plan;
use renkei_testkit::renkei::{Outcome, Running};
use renkei_testkit::tree::{What, same_tree};
use renkei_testkit::{FaultServer, Renkei, Sshd, Tree};
use serde_json::Value;
use tempfile::TempDir;

/// What every copy keeps.
pub const ALL: &[What] = &[What::Content, What::Modes, What::Links];

/// Which end of a copy is behind the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// The target.
    Up,
    /// The sources.
    Down,
}

/// Both of them.
pub const WAYS: [Way; 2] = [Way::Up, Way::Down];

/// A server, the program and a folder; all go with it.
pub struct Lab {
    server: Server,
    renkei: Renkei,
    folder: TempDir,
}

enum Server {
    Real(Sshd),
    Faulty(FaultServer),
}

impl Lab {
    /// With a stock sshd.
    pub fn new() -> Self {
        Self::with(Sshd::stock().unwrap())
    }

    /// With this sshd.
    pub fn with(sshd: Sshd) -> Self {
        Self::of(Server::Real(sshd))
    }

    /// With an SFTP server that misbehaves.
    pub fn faulty(plan: &Plan) -> Self {
        Self::of(Server::Faulty(FaultServer::start(plan).unwrap()))
    }

    fn of(server: Server) -> Self {
        let folder = tempfile::Builder::new().prefix("renkei-it-").tempdir().unwrap();
        // Other users of a test have to reach what it opens to them.
        fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
        let renkei = Renkei::at(env!("CARGO_BIN_EXE_renkei")).unwrap();
        Self { server, renkei, folder }
    }

    pub fn sshd(&self) -> &Sshd {
        match &self.server {
            Server::Real(sshd) => sshd,
            Server::Faulty(server) => server.sshd(),
        }
    }

    pub fn renkei(&self) -> &Renkei {
        &self.renkei
    }

    /// The server that misbehaves.
    pub fn faults(&self) -> &FaultServer {
        match &self.server {
            Server::Faulty(server) => server,
            Server::Real(_) => panic!("this server has no faults"),
        }
    }

    /// A path in the folder; absolute ones stay as they are.
    pub fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A directory with files in it.
    pub fn tree(&self, name: &str) -> Tree {
        Tree::new(self.path(name)).unwrap()
    }

    /// Writes a file; directories before it are made.
    pub fn file(&self, name: impl AsRef<Path>, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        path
    }

    /// Writes a file with these permission bits.
    pub fn file_with_mode(&self, name: &str, content: &str, mode: u32) -> PathBuf {
        let path = self.file(name, content);
        self.set_mode(name, mode);
        path
    }

    pub fn set_mode(&self, name: &str, mode: u32) {
        fs::set_permissions(self.path(name), Permissions::from_mode(mode)).unwrap();
    }

    pub fn dir(&self, name: &str) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(&path).unwrap();
        path
    }

    #[track_caller]
    pub fn read(&self, name: impl AsRef<Path>) -> String {
        let path = self.path(name);
        let bytes = fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        String::from_utf8(bytes).unwrap()
    }

    /// All twelve mode bits.
    #[track_caller]
    pub fn mode(&self, name: &str) -> u32 {
        self.path(name).symlink_metadata().unwrap().mode() & 0o7777
    }

    pub fn exists(&self, name: impl AsRef<Path>) -> bool {
        self.path(name).symlink_metadata().is_ok()
    }

    /// Names in a directory, sorted.
    #[track_caller]
    pub fn names(&self, name: &str) -> Vec<OsString> {
        let entries = fs::read_dir(self.path(name)).unwrap();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        names
    }

    #[track_caller]
    pub fn assert_same(&self, one: &str, two: &str, what: &[What]) {
        if let Err(difference) = same_tree(&self.path(one), &self.path(two), what) {
            panic!("{difference}");
        }
    }

    /// No temporary file was left anywhere below.
    #[track_caller]
    pub fn assert_clean(&self, name: &str) {
        for entry in walk(&self.path(name)) {
            assert!(!is_temporary(&entry), "{} was left", entry.display());
        }
    }

    /// `testhost:PATH`.
    pub fn far(&self, name: impl AsRef<Path>) -> OsString {
        let mut place = b"testhost:".to_vec();
        place.extend_from_slice(self.path(name).as_os_str().as_bytes());
        OsString::from_vec(place)
    }

    /// `renkei cp` with the server's configuration and no other words.
    pub fn command(&self) -> Command {
        let mut command = self.renkei.command();
        command
            .current_dir(self.folder.path())
            .arg("cp")
            .arg("-F")
            .arg(self.sshd().ssh_config());
        command
    }

    /// `renkei cp` with these words.
    pub fn cp<A: AsRef<OsStr>>(&self, words: impl IntoIterator<Item = A>) -> Outcome {
        self.start(words).finish().unwrap()
    }

    /// The same, and it must end with 0.
    #[track_caller]
    pub fn cp_well<A: AsRef<OsStr>>(&self, words: impl IntoIterator<Item = A>) -> Outcome {
        well(self.cp(words))
    }

    pub fn start<A: AsRef<OsStr>>(&self, words: impl IntoIterator<Item = A>) -> Running {
        let mut command = self.command();
        command.args(words);
        Running::start(command).unwrap()
    }

    /// The words for a copy of `paths` (the last one is the target) one way, after these options.
    pub fn words(&self, way: Way, options: &[&str], paths: &[&str]) -> Vec<OsString> {
        let (target, sources) = paths.split_last().unwrap();
        // Not through `Path`, which would lose a slash at the end.
        let near = |name: &str| OsString::from(format!("{}/{name}", self.folder.path().display()));
        let far = |name: &str| OsString::from(format!("testhost:{}/{name}", self.folder.path().display()));
        let mut words: Vec<OsString> = options.iter().map(OsString::from).collect();
        words.extend(
            sources
                .iter()
                .map(|name| if way == Way::Up { near(name) } else { far(name) }),
        );
        words.push(if way == Way::Up { far(target) } else { near(target) });
        words
    }

    /// A copy one way.
    pub fn copy(&self, way: Way, options: &[&str], paths: &[&str]) -> Outcome {
        self.cp(self.words(way, options, paths))
    }

    /// The same, and it must end with 0.
    #[track_caller]
    pub fn copy_well(&self, way: Way, options: &[&str], paths: &[&str]) -> Outcome {
        well(self.copy(way, options, paths))
    }
}

#[track_caller]
pub fn well(outcome: Outcome) -> Outcome {
    assert_eq!(outcome.code(), Some(0), "{}", outcome.text());
    outcome
}

#[track_caller]
pub fn ends_with(outcome: &Outcome, code: i32) {
    assert_eq!(outcome.code(), Some(code), "{}", outcome.text());
}

/// The `summary` of a run with `--json`.
#[track_caller]
pub fn summary(outcome: &Outcome) -> Value {
    let last = outcome.stdout.lines().last().unwrap_or_default();
    let value: Value = serde_json::from_str(last).unwrap_or_else(|error| panic!("{error}: {}", outcome.text()));
    assert_eq!(value["event"], "summary", "{}", outcome.text());
    value
}

/// Everything below a directory, links not followed.
pub fn walk(dir: &Path) -> Vec<PathBuf> {
    let mut found = vec![];
    let mut open = vec![dir.to_owned()];
    while let Some(dir) = open.pop() {
        for entry in fs::read_dir(&dir).unwrap().flatten() {
            if entry.file_type().unwrap().is_dir() {
                open.push(entry.path());
            }
            found.push(entry.path());
        }
    }
    found
}

/// Whether a copy would call its temporary file so.
pub fn is_temporary(path: &Path) -> bool {
    path.file_name()
        .is_some_and(|name| name.as_bytes().starts_with(b".rk-"))
}
