//! The fake driver passes the contract of all drivers, in memory and in a folder, at once and slowly.

use std::path::PathBuf;

use jiff::{SignedDuration, Timestamp};
use renkei_host::contract::{self, Subject};
use renkei_host::fake::{Does, Fake, Rule, SCRIPT, Script};
use renkei_types::agent::DiskSource;
use renkei_types::id::VmId;

fn template() -> DiskSource {
    DiskSource::Template {
        name: "trial".to_owned(),
        image: None,
    }
}

fn slow() -> Script {
    Script {
        rules: vec![Rule::always(Does::Takes(2500))],
        ..Script::default()
    }
}

struct Memory {
    fake: Fake,
    now: Timestamp,
}

impl Subject for Memory {
    type Driver = Fake;

    fn open(&mut self) -> Fake {
        self.fake.clone()
    }

    fn wait(&mut self) -> Timestamp {
        self.now += SignedDuration::from_secs(1);
        self.now
    }

    fn write(&mut self, machine: VmId, text: &str) {
        self.fake.write(machine, text);
    }

    fn read(&mut self, machine: VmId) -> Option<String> {
        self.fake.disk(machine)
    }

    fn source(&self) -> DiskSource {
        template()
    }
}

/// Only the folder is kept from one driver to the next.
struct Folder {
    folder: tempfile::TempDir,
    fake: Option<Fake>,
    now: Timestamp,
}

impl Folder {
    fn new(script: &Script) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path: PathBuf = folder.path().join(SCRIPT);
        std::fs::write(path, serde_json::to_vec(script).unwrap()).unwrap();
        Self {
            folder,
            fake: None,
            now: Timestamp::UNIX_EPOCH,
        }
    }
}

impl Subject for Folder {
    type Driver = Fake;

    fn open(&mut self) -> Fake {
        let fake = Fake::in_folder(self.folder.path()).unwrap();
        self.fake = Some(fake.clone());
        fake
    }

    fn wait(&mut self) -> Timestamp {
        self.now += SignedDuration::from_secs(1);
        self.now
    }

    fn write(&mut self, machine: VmId, text: &str) {
        self.fake.as_ref().unwrap().write(machine, text);
    }

    fn read(&mut self, machine: VmId) -> Option<String> {
        self.fake.as_ref().unwrap().disk(machine)
    }

    fn source(&self) -> DiskSource {
        template()
    }
}

fn memory(script: Script) -> Memory {
    Memory {
        fake: Fake::in_memory(script),
        now: Timestamp::UNIX_EPOCH,
    }
}

#[test]
fn in_memory() {
    contract::all(|| memory(Script::default()));
}

#[test]
fn in_memory_slowly() {
    contract::all(|| memory(slow()));
}

#[test]
fn in_a_folder() {
    contract::all(|| Folder::new(&Script::default()));
}

#[test]
fn in_a_folder_slowly() {
    contract::all(|| Folder::new(&slow()));
}
