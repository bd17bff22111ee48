//! What an agent has to remember: what it was told, and what it has done about it that must not be done twice.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use renkei_host::write_whole;
use renkei_types::agent::{Held, MachineIntent, Part, SegmentIntent};
use renkei_types::id::{ImageId, SegmentId, VmId};
use renkei_types::operation::Generation;
use renkei_types::vm::Fault;
use serde::{Deserialize, Serialize};

/// See the module.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// The manifest that is held.
    pub held: Held,
    /// What it says about machines.
    pub machines: BTreeMap<VmId, MachineIntent>,
    /// What it says about segments.
    pub segments: BTreeMap<SegmentId, SegmentIntent>,
    /// What was done about machines.
    pub marks: BTreeMap<VmId, Marks>,
    /// What was last meant for machines that are no longer named and may still be here, without their user data.
    #[serde(default)]
    pub unnamed: BTreeMap<VmId, MachineIntent>,
    /// The start of the host in which the hub last knew all that there is here.
    #[serde(default)]
    pub boot_id: String,
}

/// What was done about a machine.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Marks {
    /// The latest that was so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reached: Option<Reached>,
    /// Whether it was once whole here: then it is never made anew.
    #[serde(default)]
    pub whole: bool,
    /// The reboots that were obeyed.
    #[serde(default)]
    pub reboots: u64,
    /// The resets that were obeyed.
    #[serde(default)]
    pub resets: u64,
    /// Images that need not be made any more.
    #[serde(default)]
    pub saves: BTreeSet<ImageId>,
    /// What cannot be made so, and is not tried again until another generation is meant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<Fault>,
}

/// Something that was so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reached {
    /// This generation.
    pub generation: Generation,
    /// As this part.
    pub part: Part,
}

/// Where it is kept.
pub trait Keep: Send {
    /// What was last saved; nothing the first time.
    ///
    /// # Errors
    /// If it cannot be read. Then nothing may be done: what is forgotten would be done twice.
    fn load(&mut self) -> Result<Kept, KeepError>;

    /// Keeps it so that it is there after a crash of the computer.
    ///
    /// # Errors
    /// If that cannot be promised. What was saved before is still there.
    fn save(&mut self, kept: &Kept) -> Result<(), KeepError>;
}

/// Why something is not kept.
#[derive(Debug, thiserror::Error)]
pub enum KeepError {
    /// A file cannot be read or written.
    #[error("cannot {verb} `{}`", path.display())]
    File {
        /// `read` or `write`.
        verb: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file has something else in it.
    #[error("`{}` is not what an agent has written: another version, or damaged", path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// Where and what.
        source: serde_json::Error,
    },
    /// A store in memory was told to fail.
    #[error("the memory takes nothing")]
    Memory,
}

/// In a file that nobody else may read: it has user data of machines in it.
#[derive(Debug)]
pub struct FileKeep {
    path: PathBuf,
}

impl FileKeep {
    /// In this file; its folder must be there.
    pub fn new(path: &Path) -> Self {
        Self { path: path.to_owned() }
    }
}

impl Keep for FileKeep {
    fn load(&mut self) -> Result<Kept, KeepError> {
        let path = &self.path;
        match std::fs::read(path) {
            Ok(text) => serde_json::from_slice(&text).map_err(|source| KeepError::Parse {
                path: path.clone(),
                source,
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Kept::default()),
            Err(source) => Err(KeepError::File {
                verb: "read",
                path: path.clone(),
                source,
            }),
        }
    }

    fn save(&mut self, kept: &Kept) -> Result<(), KeepError> {
        let written = serde_json::to_vec(kept)
            .map_err(io::Error::from)
            .and_then(|text| write_whole(&self.path, &text));
        written.map_err(|source| KeepError::File {
            verb: "write",
            path: self.path.clone(),
            source,
        })
    }
}

/// In memory, for simulated hosts: clones are the same store, which outlives the agent.
#[derive(Clone, Debug, Default)]
pub struct MemoryKeep {
    kept: Arc<Mutex<Kept>>,
}

impl MemoryKeep {
    /// What is kept now.
    pub fn kept(&self) -> Kept {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Keep for MemoryKeep {
    fn load(&mut self) -> Result<Kept, KeepError> {
        Ok(self.kept())
    }

    fn save(&mut self, kept: &Kept) -> Result<(), KeepError> {
        *self.kept.lock().unwrap_or_else(PoisonError::into_inner) = kept.clone();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn what_is_saved_is_there_again_and_nobody_elses_to_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("agent.json");
        let mut keep = FileKeep::new(&path);
        assert_eq!(keep.load().unwrap(), Kept::default());
        let kept = Kept {
            boot_id: "b".to_owned(),
            ..Kept::default()
        };
        keep.save(&kept).unwrap();
        assert_eq!(FileKeep::new(&path).load().unwrap(), kept);
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_damaged_file_is_not_taken_for_an_empty_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("agent.json");
        std::fs::write(&path, "{").unwrap();
        let error = FileKeep::new(&path).load().unwrap_err();
        assert!(error.to_string().contains("agent.json"), "{error}");
    }
}
