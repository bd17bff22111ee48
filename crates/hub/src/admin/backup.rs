//! Backups as files: complete under their name, or not there.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, BufWriter, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use renkei_store::backup::{self, BackupError, Summary, Target, Terms};
use renkei_store::migration::ALL;
use renkei_store::{DatabaseUrl, Store};
use renkei_types::event::Verification;

use super::{AdminError, Database, Identity};

/// A database that was restored.
#[derive(Clone, Debug)]
pub struct Restored {
    /// From what.
    pub from: Summary,
    /// Who it is now.
    pub identity: Identity,
    /// Whether the chain of its events holds.
    pub audit: Verification,
}

impl Database {
    /// Writes everything that the database holds at one moment into a new file that only its owner may read. Hubs go on working.
    pub async fn backup(&self, path: &Path, now: Timestamp) -> Result<Summary, AdminError> {
        if path.symlink_metadata().is_ok() {
            return Err(AdminError::There(path.to_owned()));
        }
        let beside = beside(path);
        let written = self.write(&beside, now).await;
        let done = written.and_then(|summary| publish(&beside, path).map(|()| summary).map_err(BackupError::Write));
        done.map_err(|source| {
            // The first failure is the one to tell.
            let _ = fs::remove_file(&beside);
            failed(path, source)
        })
    }

    async fn write(&self, path: &Path, now: Timestamp) -> Result<Summary, BackupError> {
        let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
        let mut file = BufWriter::with_capacity(1 << 18, made.map_err(BackupError::Write)?);
        let summary = backup::write(&self.0, &mut file, now).await?;
        let synced = file.flush().and_then(|()| file.get_ref().sync_all());
        synced.map_err(BackupError::Write)?;
        Ok(summary)
    }

    /// Whether a backup is whole, and what it holds. The database is not touched.
    pub fn check(path: &Path) -> Result<Summary, AdminError> {
        let checked = backup::check(open(path)?);
        checked.map_err(|source| failed(path, source))
    }

    /// Why nothing would be restored into the database as it is; nothing if it would.
    pub async fn refuses(&self, target: Target) -> Result<Option<String>, AdminError> {
        let looked = match (&self.0, target) {
            (_, Target::Any) => return Ok(None),
            // The restore makes it.
            (DatabaseUrl::Sqlite(path), _) if !path.exists() => return Ok(None),
            (url, _) => Store::look(url).await.map_err(|source| self.unopened(source))?,
        };
        let occupied = looked.filter(|(standing, _)| standing.schema > 0);
        Ok(occupied.map(|(_, identity)| format!("{} is not empty, and in epoch {}", self.name(), identity.epoch)))
    }

    /// Puts a backup into the database, all of it or nothing. No hub may have it open.
    pub async fn restore(&self, path: &Path, target: Target, now: Timestamp) -> Result<Restored, AdminError> {
        let mut file = open(path)?;
        if let DatabaseUrl::Sqlite(database) = &self.0
            && let Some(folder) = database.parent()
        {
            let path = folder.to_owned();
            let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
            made.map_err(|source| AdminError::File { path, source })?;
        }
        let list = ALL;
        let done = backup::restore(&self.0, &mut file, &Terms { target, now, list }).await;
        let backup::Restored { from, identity } = done.map_err(|source| failed(path, source))?;
        let store = Store::open(&self.0).await.map_err(|source| self.unopened(source))?;
        let audit = crate::app::audit::verification(&store).await?;
        Ok(Restored { from, identity, audit })
    }
}

fn open(path: &Path) -> Result<File, AdminError> {
    let path = path.to_owned();
    File::open(&path).map_err(|source| AdminError::File { path, source })
}

fn failed(path: &Path, source: BackupError) -> AdminError {
    let path = path.to_owned();
    AdminError::Backup { path, source }
}

/// A name in the same folder, which no other backup has.
fn beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{}.part", uuid::Uuid::now_v7().simple()));
    name.into()
}

fn publish(beside: &Path, path: &Path) -> io::Result<()> {
    fs::rename(beside, path)?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}
