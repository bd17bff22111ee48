//! What those who run a hub do beside it, on its database and its files: backup, restore, migrations, and a look at its health.
//!
//! None of it goes through the API, so that it works when the hub does not; and none of it is started by the hub.

pub mod backup;
pub mod doctor;

use std::io;
use std::path::PathBuf;

use renkei_store::backup::BackupError;
use renkei_store::migration::{self, ALL, NoWay};
use renkei_store::open::{NotADatabase, OpenError};
use renkei_store::{DatabaseUrl, StateError, Store};
use renkei_types::event::{ChainHead, Verification};

pub use renkei_store::backup::{Summary, Target};
pub use renkei_store::open::Identity;

/// Why it was not done.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// The database's URL makes no sense.
    #[error("`database` of the hub is not understood")]
    Url(#[from] NotADatabase),
    /// The database cannot be opened.
    #[error("cannot open the database {database}")]
    Open {
        /// Which, without its password.
        database: String,
        /// Why.
        source: OpenError,
    },
    /// Nobody has brought the database to this version's schema.
    #[error(
        "the database has schema {found}, this version of renkei works with schema {known}\nhint: start the hub, which migrates it"
    )]
    Older {
        /// The database's.
        found: u32,
        /// Ours.
        known: u32,
    },
    /// The database does not answer, or not as it should.
    #[error(transparent)]
    State(#[from] StateError),
    /// There is something where the backup should be.
    #[error("there is already something at `{}`\nhint: choose another name", .0.display())]
    There(PathBuf),
    /// A file cannot be written or read.
    #[error("cannot use `{}`", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// No backup came about, or none was restored.
    #[error("backup `{}`", path.display())]
    Backup {
        /// The backup's file.
        path: PathBuf,
        /// Why.
        source: BackupError,
    },
}

/// A hub's database, as its configuration names it.
#[derive(Clone, Debug)]
pub struct Database(DatabaseUrl);

impl Database {
    /// Nothing is opened yet.
    pub fn new(url: &str) -> Result<Self, AdminError> {
        Ok(Self(url.parse()?))
    }

    /// Without its password.
    pub fn name(&self) -> String {
        self.0.to_string()
    }

    /// Gives up the way back from the schema that the database has; gives its number.
    pub async fn finalise(&self) -> Result<u32, AdminError> {
        Store::finalise(&self.0).await.map_err(|source| self.unopened(source))
    }

    /// Goes back to the schema that was finalised; gives its number. No hub may have the database open.
    pub async fn roll_back(&self) -> Result<u32, AdminError> {
        Store::roll_back(&self.0).await.map_err(|source| self.unopened(source))
    }

    /// Where the chain of events stands.
    pub async fn audit_head(&self) -> Result<ChainHead, AdminError> {
        Ok(self.open().await?.audit.head().await?)
    }

    /// Computes the whole chain of events again.
    pub async fn audit_verify(&self) -> Result<Verification, AdminError> {
        Ok(crate::app::audit::verification(&self.open().await?).await?)
    }

    /// Opens it as it is: nothing is migrated.
    async fn open(&self) -> Result<Store, AdminError> {
        let looked = Store::look(&self.0).await.map_err(|source| self.unopened(source))?;
        let found = match looked {
            Some((standing, _)) if standing.schema > 0 => standing.schema,
            _ => return Err(self.unopened(NoWay::Empty.into())),
        };
        let known = migration::last(ALL);
        if found < known {
            return Err(AdminError::Older { found, known });
        }
        Store::open(&self.0).await.map_err(|source| self.unopened(source))
    }

    fn unopened(&self, source: OpenError) -> AdminError {
        let database = self.name();
        AdminError::Open { database, source }
    }
}
