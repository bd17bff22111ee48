//! The file that remembers who is signed in where. It holds tokens: nobody else may read it, and it is never half written.
//!
//! A session belongs to its hub: a token is shown to no other.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::settings::hub::{HubUrl, Secret};

/// See the module.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Profile {
    /// The hub that is meant when none is named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    hub: Option<String>,
    /// Sessions by the address of the hub.
    #[serde(default)]
    sessions: BTreeMap<String, Session>,
}

#[derive(Serialize, Deserialize)]
struct Session {
    user: String,
    token: String,
    /// The authorities that its certificate is checked against, if they are not those of the machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ca: Option<PathBuf>,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session")
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}

/// What is wrong with the file.
#[derive(Debug, thiserror::Error)]
pub enum ProfileError {
    /// There is no place for it.
    #[error("there is no place to remember the session: neither XDG_CONFIG_HOME nor HOME is set\nhint: set HOME")]
    NoPlace,
    /// Others can read the tokens in it.
    #[error("`{}` holds tokens, and others may read it\nhint: `chmod 600` it; if somebody may have read it, sign out and in again", .0.display())]
    Open(PathBuf),
    /// It is not of the form that is written here.
    #[error("`{}` is not understood\nhint: `renkei login` writes a new one when it is gone", path.display())]
    Form {
        /// The file.
        path: PathBuf,
        /// Why.
        source: serde_json::Error,
    },
    /// It names a hub that cannot be.
    #[error("`{}` names no hub", .0.display())]
    Hub(PathBuf, #[source] crate::settings::hub::NotAHub),
    /// The system refused.
    #[error("cannot use `{}`", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl Profile {
    /// The file's content; an empty one if there is no file.
    pub fn load(path: Option<&Path>) -> Result<Self, ProfileError> {
        let Some(path) = path else {
            return Ok(Self::default());
        };
        let failed = |source| ProfileError::Io {
            path: path.to_owned(),
            source,
        };
        let mut file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(failed(error)),
        };
        if file.metadata().map_err(failed)?.permissions().mode() & 0o077 != 0 {
            return Err(ProfileError::Open(path.to_owned()));
        }
        let mut text = String::new();
        io::Read::read_to_string(&mut file, &mut text).map_err(failed)?;
        serde_json::from_str(&text).map_err(|source| ProfileError::Form {
            path: path.to_owned(),
            source,
        })
    }

    /// Writes it whole, or not at all.
    pub fn save(&self, path: Option<&Path>) -> Result<(), ProfileError> {
        let path = path.ok_or(ProfileError::NoPlace)?;
        self.write(path).map_err(|source| ProfileError::Io {
            path: path.to_owned(),
            source,
        })
    }

    fn write(&self, path: &Path) -> io::Result<()> {
        if let Some(directory) = path.parent() {
            DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
        }
        let beside = path.with_extension(format!("{}.new", std::process::id()));
        // Of an earlier process with the same number.
        let _ = fs::remove_file(&beside);
        let written = self.fill(&beside).and_then(|()| fs::rename(&beside, path));
        if written.is_err() {
            // The first failure is the one to tell.
            let _ = fs::remove_file(&beside);
        }
        written
    }

    fn fill(&self, path: &Path) -> io::Result<()> {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        file.write_all(&serde_json::to_vec_pretty(self)?)?;
        file.write_all(b"\n")?;
        file.sync_all()
    }

    /// The hub that is meant when none is named.
    pub fn hub(&self, path: Option<&Path>) -> Result<Option<HubUrl>, ProfileError> {
        let parse = |text: &String| text.parse();
        let hub = self.hub.as_ref().map(parse).transpose();
        hub.map_err(|error| ProfileError::Hub(path.map(Path::to_owned).unwrap_or_default(), error))
    }

    /// The token for a hub.
    pub fn token(&self, hub: &HubUrl) -> Option<Secret> {
        let session = self.sessions.get(hub.as_str())?;
        Some(Secret::new(session.token.clone()))
    }

    /// The file with the authorities for a hub.
    pub fn ca(&self, hub: &HubUrl) -> Option<&Path> {
        self.sessions.get(hub.as_str())?.ca.as_deref()
    }

    /// Remembers a session; its hub is meant from now on when none is named.
    pub fn remember(&mut self, hub: &HubUrl, user: &str, token: &Secret) {
        let session = Session {
            user: user.to_owned(),
            token: token.reveal().to_owned(),
            ca: self.ca(hub).map(Path::to_owned),
        };
        self.sessions.insert(hub.as_str().to_owned(), session);
        self.hub = Some(hub.as_str().to_owned());
    }

    /// From now on the certificate of this hub, where somebody is signed in, is checked against the authorities in this file.
    pub fn trust(&mut self, hub: &HubUrl, ca: PathBuf) {
        if let Some(session) = self.sessions.get_mut(hub.as_str()) {
            session.ca = Some(ca);
        }
    }

    /// Forgets the session at a hub, not which hub is meant.
    pub fn forget(&mut self, hub: &HubUrl) {
        self.sessions.remove(hub.as_str());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hub(text: &str) -> HubUrl {
        text.parse().unwrap()
    }

    fn signed_in() -> Profile {
        let mut profile = Profile::default();
        profile.remember(&hub("https://a"), "ada", &Secret::new("rk_secret".to_owned()));
        profile
    }

    #[test]
    fn a_session_is_read_back_and_only_for_its_hub() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("new/hub.json");
        signed_in().save(Some(&path)).unwrap();
        let profile = Profile::load(Some(&path)).unwrap();
        assert_eq!(profile.hub(None).unwrap(), Some(hub("https://a")));
        assert_eq!(
            profile.token(&hub("https://a")),
            Some(Secret::new("rk_secret".to_owned()))
        );
        assert_eq!(profile.token(&hub("https://b")), None);
        let listed: Vec<_> = fs::read_dir(path.parent().unwrap()).unwrap().collect();
        assert_eq!(listed.len(), 1, "nothing is left beside it");
    }

    #[test]
    fn nobody_else_can_read_it_even_where_others_could_before() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("hub.json");
        fs::write(&path, "{}").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(Profile::load(Some(&path)), Err(ProfileError::Open(_))));
        signed_in().save(Some(&path)).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_file_that_is_none_of_ours_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("hub.json");
        fs::write(&path, "hub = \"https://a\"").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        let error = Profile::load(Some(&path)).unwrap_err();
        assert!(error.to_string().contains("hub.json"), "{error}");
    }

    #[test]
    fn signing_out_forgets_the_token_but_not_the_hub() {
        let mut profile = signed_in();
        profile.forget(&hub("https://a"));
        assert_eq!(profile.token(&hub("https://a")), None);
        assert_eq!(profile.hub(None).unwrap(), Some(hub("https://a")));
        assert!(!format!("{:?}", signed_in()).contains("rk_secret"));
    }
}
