//! Where the master key comes from: a file that the configuration names, systemd's credential `master-key`, or a file beside
//! an SQLite database, which is made at the first start.
//!
//! Nothing is made over PostgreSQL, or at a place that was named: two hubs that each make a key of their own could not read
//! what the other has sealed.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use renkei_policy::MasterKey;
use renkei_policy::seal::NotAMasterKey;
use renkei_policy::secret::NoRandomness;
use renkei_store::DatabaseUrl;
use uuid::Uuid;

/// Bits of a mode by which others than the owner may read or change a file.
const OTHERS: u32 = 0o077;
/// The name of the credential, as `LoadCredential=` gives it.
const CREDENTIAL: &str = "master-key";
/// The name of the file beside a database.
const FILE: &str = "master.key";

/// Why there is no master key.
#[derive(Debug, thiserror::Error)]
pub enum NoMasterKey {
    /// Nobody has said where it is.
    #[error(
        "a hub over PostgreSQL needs a master key, the same for all hubs\n\
         hint: head -c 32 /dev/urandom | base64 > FILE, chmod 600, and name it as `master_key` or with `--master-key`"
    )]
    Nowhere,
    /// The file cannot be read.
    #[error("cannot read the master key `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is not secret.
    #[error("the master key `{}` can be read by others (mode {mode:o})\nhint: chmod 600", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// It holds something else.
    #[error("`{}` is not a master key", path.display())]
    Unfit {
        /// The file.
        path: PathBuf,
        /// Why.
        source: NotAMasterKey,
    },
    /// A new one cannot be kept.
    #[error("cannot keep a new master key in `{}`", path.display())]
    Make {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The system has no random bytes.
    #[error("cannot make a master key")]
    Randomness(#[from] NoRandomness),
}

/// The master key of the hub over this database; `named` is what the configuration says.
pub fn load(named: Option<&Path>, database: &DatabaseUrl) -> Result<MasterKey, NoMasterKey> {
    if let Some(key) = look(named, database)? {
        return Ok(key);
    }
    let path = beside(database)?;
    match make(&path) {
        Ok(()) => {}
        Err(NoMasterKey::Make { source, .. }) if source.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(error),
    }
    owned(&path)
}

/// As [`load`], and makes nothing: none is where the first start would make one.
pub fn look(named: Option<&Path>, database: &DatabaseUrl) -> Result<Option<MasterKey>, NoMasterKey> {
    if let Some(path) = named {
        return owned(path).map(Some);
    }
    if let Some(folder) = std::env::var_os("CREDENTIALS_DIRECTORY") {
        let path = Path::new(&folder).join(CREDENTIAL);
        if path.exists() {
            // systemd lets nobody but the unit into the folder; the file's own mode is systemd's affair.
            return read(&path).map(Some);
        }
    }
    let path = beside(database)?;
    match path.exists() {
        true => owned(&path).map(Some),
        false => Ok(None),
    }
}

/// Where the key of an SQLite database is.
fn beside(database: &DatabaseUrl) -> Result<PathBuf, NoMasterKey> {
    match database {
        DatabaseUrl::Sqlite(file) => Ok(file.with_file_name(FILE)),
        DatabaseUrl::Postgres(_) => Err(NoMasterKey::Nowhere),
    }
}

/// A new key under this name, unless there is one: written whole under another name before, so that a crash leaves no half.
fn make(path: &Path) -> Result<(), NoMasterKey> {
    let failed = |source| NoMasterKey::Make {
        path: path.to_owned(),
        source,
    };
    if path.exists() {
        return Ok(());
    }
    let key = MasterKey::generate()?;
    let new = path.with_file_name(format!("{FILE}.{}", Uuid::now_v7().simple()));
    let kept = write(&new, &key.reveal()).and_then(|()| std::fs::hard_link(&new, path));
    let removed = std::fs::remove_file(&new);
    kept.and(removed).map_err(failed)?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = File::open(folder.unwrap_or(Path::new(".")));
    folder.and_then(|folder| folder.sync_all()).map_err(failed)
}

fn write(path: &Path, text: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

/// One that only its owner may read.
fn owned(path: &Path) -> Result<MasterKey, NoMasterKey> {
    let metadata = std::fs::metadata(path).map_err(|source| NoMasterKey::Read {
        path: path.to_owned(),
        source,
    })?;
    let mode = metadata.mode() & 0o777;
    if mode & OTHERS != 0 {
        let path = path.to_owned();
        return Err(NoMasterKey::Open { path, mode });
    }
    read(path)
}

fn read(path: &Path) -> Result<MasterKey, NoMasterKey> {
    let text = std::fs::read_to_string(path).map_err(|source| NoMasterKey::Read {
        path: path.to_owned(),
        source,
    })?;
    MasterKey::parse(&text).map_err(|source| NoMasterKey::Unfit {
        path: path.to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn sqlite(folder: &Path) -> DatabaseUrl {
        DatabaseUrl::Sqlite(folder.join("hub.sqlite"))
    }

    #[test]
    fn the_first_start_over_sqlite_makes_one_that_stays() {
        let folder = tempfile::tempdir().unwrap();
        let first = load(None, &sqlite(folder.path())).unwrap();
        assert_eq!(load(None, &sqlite(folder.path())).unwrap().ids(), first.ids());
        let files: Vec<_> = std::fs::read_dir(folder.path()).unwrap().collect();
        assert_eq!(files.len(), 1, "{files:?}");
        let mode = folder.path().join(FILE).metadata().unwrap().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn one_that_others_may_read_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        load(None, &sqlite(folder.path())).unwrap();
        let path = folder.path().join(FILE);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        let refused = load(Some(&path), &sqlite(folder.path())).unwrap_err();
        assert!(matches!(refused, NoMasterKey::Open { mode: 0o640, .. }), "{refused}");
    }

    #[test]
    fn none_is_made_where_it_was_named_or_over_postgres() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        let refused = load(Some(&path), &sqlite(folder.path())).unwrap_err();
        assert!(matches!(refused, NoMasterKey::Read { .. }), "{refused}");
        assert!(!path.exists());
        let postgres = "postgres://db.example/renkei".parse().unwrap();
        assert!(matches!(load(None, &postgres), Err(NoMasterKey::Nowhere)));
    }

    #[test]
    fn what_is_no_key_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        write(&path, "hunter22\n").unwrap();
        let refused = load(Some(&path), &sqlite(folder.path())).unwrap_err();
        assert!(matches!(refused, NoMasterKey::Unfit { .. }), "{refused}");
        assert!(!crate::problem::chain(&refused).contains("hunter22"));
    }
}
