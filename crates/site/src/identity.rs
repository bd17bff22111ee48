//! Who this computer is to its hub: what a host was given when it joined, in its data folder.
//!
//! `host.key` is the key, made before anything is asked; `host.json` is the rest, and is there only when the host has joined.

use std::fs::File;
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use rcgen::KeyPair;
use renkei_types::id::{HostId, SiteId};
use serde::{Deserialize, Serialize};

use renkei_host::write_whole;

/// The key.
const KEY: &str = "host.key";
/// The rest.
const IDENTITY: &str = "host.json";
/// Held by the one agent that uses the folder.
const LOCK: &str = "lock";
/// What the agent remembers.
const AGENT: &str = "agent.json";
/// Bits of a mode by which others than the owner may read or change a file.
const OTHERS: u32 = 0o077;

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// The host's id; its certificate's common name.
    pub host: HostId,
    /// Its site.
    pub site: SiteId,
    /// Its name.
    pub name: String,
    /// Where the agent dials: `wss://…/agent/v1`.
    pub url: String,
    /// The host's certificate.
    pub certificate_pem: String,
    /// The hub's CA, the only one that the agent believes.
    pub ca_pem: String,
}

/// The folder of an agent.
#[derive(Clone, Debug)]
pub struct DataFolder {
    path: PathBuf,
}

/// Why a data folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// A file or folder cannot be read or written.
    #[error("cannot {verb} `{}`", path.display())]
    File {
        /// `make`, `read`, `write` or `lock`.
        verb: &'static str,
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file has something else in it.
    #[error("`{}` is not what `renkei join` has written", path.display())]
    Parse {
        /// Which.
        path: PathBuf,
        /// Where and what.
        source: serde_json::Error,
    },
    /// A key cannot be made, or the file has none in it.
    #[error("there is no usable key in `{}`", path.display())]
    Key {
        /// Which.
        path: PathBuf,
        /// Why.
        source: rcgen::Error,
    },
    /// The key is not secret.
    #[error("`{}` can be read by others (mode {mode:o})\nhint: chmod 600", path.display())]
    Open {
        /// Which.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// Somebody else could put other files into it.
    #[error("`{}` is not a folder of this user's that is closed to others\nhint: chown and chmod 700, or choose another folder", path.display())]
    Foreign {
        /// Which.
        path: PathBuf,
    },
    /// Two agents would do everything twice.
    #[error("another agent uses the folder `{}`\nhint: stop it, or choose another folder", path.display())]
    Used {
        /// The folder.
        path: PathBuf,
    },
    /// Nobody has joined from here.
    #[error("this computer is not a host yet: there is no `{}`\nhint: `renkei site invite SITE` at the hub prints the line to type here", path.display())]
    NotJoined {
        /// The file that is missing.
        path: PathBuf,
    },
}

impl DataFolder {
    /// The folder at `path`; it is made if it is not there.
    ///
    /// # Errors
    /// If it cannot be made, or is another user's or open to others: what lies there says what to do with this computer.
    pub fn new(path: &Path) -> Result<Self, FolderError> {
        let folder = Self { path: path.to_owned() };
        let mut builder = std::fs::DirBuilder::new();
        let made = builder.recursive(true).mode(0o700).create(path);
        made.map_err(|source| folder.failed("make", "", source))?;
        let found = path.symlink_metadata();
        let found = found.map_err(|source| folder.failed("read", "", source))?;
        let own = found.is_dir() && found.uid() == rustix::process::geteuid().as_raw();
        if own && found.mode() & OTHERS == 0 {
            Ok(folder)
        } else {
            Err(FolderError::Foreign { path: folder.path })
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The file in which the agent remembers what it was told and has done.
    pub fn agent(&self) -> PathBuf {
        self.path.join(AGENT)
    }

    /// Keeps other agents away until the file is dropped.
    ///
    /// # Errors
    /// If another agent is there.
    pub fn lock(&self) -> Result<File, FolderError> {
        let file = File::create(self.path.join(LOCK)).map_err(|source| self.failed("lock", LOCK, source))?;
        match file.try_lock() {
            Ok(()) => Ok(file),
            Err(std::fs::TryLockError::WouldBlock) => Err(FolderError::Used {
                path: self.path.clone(),
            }),
            Err(std::fs::TryLockError::Error(source)) => Err(self.failed("lock", LOCK, source)),
        }
    }

    /// Who this is, if it has joined.
    ///
    /// # Errors
    /// If the file cannot be read or is not understood.
    pub fn joined(&self) -> Result<Option<Identity>, FolderError> {
        let text = match std::fs::read(self.path.join(IDENTITY)) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(self.failed("read", IDENTITY, source)),
        };
        let identity = serde_json::from_slice(&text);
        identity.map(Some).map_err(|source| FolderError::Parse {
            path: self.path.join(IDENTITY),
            source,
        })
    }

    /// Who this is.
    ///
    /// # Errors
    /// If it has not joined, or that cannot be read.
    pub fn identity(&self) -> Result<Identity, FolderError> {
        let path = self.path.join(IDENTITY);
        self.joined()?.ok_or(FolderError::NotJoined { path })
    }

    /// From now on it has joined.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn join(&self, identity: &Identity) -> Result<(), FolderError> {
        let written = serde_json::to_vec_pretty(identity).map_err(io::Error::from);
        let written = written.and_then(|text| write_whole(&self.path.join(IDENTITY), &text));
        written.map_err(|source| self.failed("write", IDENTITY, source))
    }

    /// The host's key, made the first time: whoever asks to join again has to show the same.
    ///
    /// # Errors
    /// If it can be neither read nor made, or others can read it.
    pub fn key(&self) -> Result<KeyPair, FolderError> {
        let path = self.path.join(KEY);
        let unusable = |source| FolderError::Key {
            path: path.clone(),
            source,
        };
        match std::fs::read_to_string(&path) {
            Ok(pem) => {
                let metadata = path.metadata().map_err(|source| self.failed("read", KEY, source))?;
                let mode = metadata.mode() & 0o777;
                if mode & OTHERS != 0 {
                    return Err(FolderError::Open { path, mode });
                }
                KeyPair::from_pem(&pem).map_err(unusable)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let key = KeyPair::generate().map_err(unusable)?;
                let written = write_whole(&path, key.serialize_pem().as_bytes());
                written.map_err(|source| self.failed("write", KEY, source))?;
                Ok(key)
            }
            Err(source) => Err(self.failed("read", KEY, source)),
        }
    }

    fn failed(&self, verb: &'static str, name: &str, source: io::Error) -> FolderError {
        let path = self.path.join(name);
        FolderError::File { verb, path, source }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_key_is_made_once_and_is_secret() {
        let folder = tempfile::tempdir().unwrap();
        let data = DataFolder::new(&folder.path().join("a/b")).unwrap();
        let key = data.key().unwrap().serialize_pem();
        assert_eq!(data.key().unwrap().serialize_pem(), key);
        let path = data.path().join(KEY);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(data.key(), Err(FolderError::Open { mode: 0o644, .. })));
    }

    #[test]
    fn a_folder_that_others_can_open_or_that_is_a_link_is_not_used() {
        let folder = tempfile::tempdir().unwrap();
        let (open, link) = (folder.path().join("open"), folder.path().join("link"));
        std::fs::create_dir(&open).unwrap();
        std::fs::set_permissions(&open, std::fs::Permissions::from_mode(0o750)).unwrap();
        std::os::unix::fs::symlink(folder.path(), &link).unwrap();
        for path in [open, link] {
            assert!(
                matches!(DataFolder::new(&path), Err(FolderError::Foreign { .. })),
                "{path:?}"
            );
        }
    }

    #[test]
    fn one_agent_uses_a_folder() {
        let folder = tempfile::tempdir().unwrap();
        let data = DataFolder::new(&folder.path().join("site")).unwrap();
        let lock = data.lock().unwrap();
        assert!(matches!(data.lock(), Err(FolderError::Used { .. })));
        drop(lock);
        data.lock().unwrap();
    }

    #[test]
    fn who_has_not_joined_is_told_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let error = DataFolder::new(&folder.path().join("site"))
            .unwrap()
            .identity()
            .unwrap_err();
        assert!(error.to_string().contains("renkei site invite"), "{error}");
    }
}
