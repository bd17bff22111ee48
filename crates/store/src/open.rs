//! Opens a database: which one, in which schema, and who it is.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use jiff::Timestamp;
use uuid::Uuid;

use crate::audit::Audit;
use crate::error::{Cause, StateError};
pub use crate::memory::Aside;
use crate::memory::Memory;
use crate::migration::{self, Migration, NoWay, Standing};
use crate::read::Read;
use crate::simulation::{Clock, Faults};
use crate::sql::{Database, open_schema};
use crate::state::State;

/// SQLite's codes of results (sqlite.org/rescode.html). PostgreSQL's have five characters.
const CORRUPT: &str = "11";
const NOT_A_DATABASE: &str = "26";

/// Where the database is: `sqlite:PATH` or `postgres://USER:PASSWORD@HOST/NAME`.
#[derive(Clone, PartialEq, Eq)]
pub enum DatabaseUrl {
    /// A file, made if it is not there. Its folder must be there.
    Sqlite(PathBuf),
    /// A server, as libpq writes it.
    Postgres(String),
}

/// A text that names no database.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a database is `sqlite:PATH` or `postgres://USER@HOST/NAME`")]
pub struct NotADatabase;

impl FromStr for DatabaseUrl {
    type Err = NotADatabase;

    fn from_str(text: &str) -> Result<Self, NotADatabase> {
        match text.split_once(':') {
            Some(("sqlite", path)) if !path.is_empty() => Ok(Self::Sqlite(path.into())),
            Some(("postgres" | "postgresql", rest)) if rest.starts_with("//") => Ok(Self::Postgres(text.to_owned())),
            _ => Err(NotADatabase),
        }
    }
}

impl fmt::Display for DatabaseUrl {
    /// Without the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "sqlite:{}", path.display()),
            Self::Postgres(url) => {
                let (scheme, rest) = url.split_once("://").unwrap_or(("postgres", url));
                // What follows the last `@` before the path is no secret; parameters may be.
                let rest = rest.split('?').next().unwrap_or_default();
                let rest = rest.rsplit_once('@').map_or(rest, |(_, rest)| rest);
                write!(f, "{scheme}://{rest}")
            }
        }
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Why a database cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Its schema is not one that we can use.
    #[error(transparent)]
    Schema(#[from] NoWay),
    /// It does not answer, or not as it should.
    #[error("the database cannot be opened")]
    Database(#[source] Cause),
    /// Its file is not whole.
    #[error(
        "the database is damaged\n\
         hint: if the file was put back by hand, the files with `-wal` and `-shm` after its name belong to another one: move them \
         away; else restore a backup"
    )]
    Damaged(#[source] Cause),
}

impl OpenError {
    /// Whether it may be possible later.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Database(_))
    }
}

impl From<sqlx::Error> for OpenError {
    fn from(error: sqlx::Error) -> Self {
        let code = error.as_database_error().and_then(|error| error.code());
        match code.as_deref() {
            Some(CORRUPT | NOT_A_DATABASE) => Self::Damaged(error.into()),
            _ => Self::Database(error.into()),
        }
    }
}

/// Who a database is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// The number of its schema.
    pub schema: u32,
    /// Grows when the database was set back to an earlier state. The first is 1.
    pub epoch: u32,
    /// Drawn at random when the database was made, and anew with each epoch: two databases that were one until somebody copied it
    /// are told apart by it.
    pub run: Uuid,
}

/// An open database.
#[derive(Clone, Debug)]
pub struct Store {
    /// What decisions are made from.
    pub state: State,
    /// What people look at.
    pub read: Read,
    /// The chain over the events.
    pub audit: Audit,
    schema: u32,
}

impl Store {
    /// Opens it, and brings it to the schema that this version knows.
    ///
    /// Must be called in a tokio runtime, which the store uses as long as it is open.
    pub async fn open(url: &DatabaseUrl) -> Result<Self, OpenError> {
        Self::open_with(url, migration::ALL).await
    }

    /// As [`Store::open`] with schemas of one's own.
    pub async fn open_with(url: &DatabaseUrl, list: &[Migration]) -> Result<Self, OpenError> {
        let (database, schema) = Database::open(url, list).await?;
        Ok(Self {
            state: State::sql(database.clone()),
            read: Read::sql(database.clone()),
            audit: Audit::sql(database),
            schema,
        })
    }

    /// A new one in memory. Needs no runtime, and every answer is there at once.
    pub fn memory() -> Self {
        Self::of_memory(Memory::new())
    }

    /// A new one in memory that fails as `faults` have it, by a clock of the caller's.
    pub fn simulated(faults: Faults, clock: Clock) -> Self {
        Self::of_memory(Memory::simulated(faults, clock))
    }

    /// For one in memory: the same database, for one more hub. What one hub has read never goes back for it, and it sees what it
    /// has committed; others may be behind it or ahead of it. Nothing for others.
    pub fn for_another(&self) -> Option<Self> {
        let memory = self.state.in_memory()?;
        Some(Self::of_memory(memory.for_another()))
    }

    /// For one in memory: the same database, for somebody who checks it. No read of theirs is old. Nothing for others.
    pub fn for_onlooker(&self) -> Option<Self> {
        let memory = self.state.in_memory()?;
        Some(Self::of_memory(memory.for_onlooker()))
    }

    /// For a simulated one: wakes those who are to be woken by now; gives when the next are. The simulator calls it whenever its
    /// clock has moved.
    pub fn ring(&self) -> Option<Duration> {
        self.state.ring()
    }

    /// For one in memory: a copy of all that is kept, as a backup has it.
    pub fn set_aside(&self) -> Option<Aside> {
        self.state.in_memory().map(Memory::set_aside)
    }

    /// For one in memory: everything is as it was when the copy was made, also who the database is.
    pub fn put_back(&self, aside: &Aside) {
        if let Some(memory) = self.state.in_memory() {
            memory.put_back(aside);
        }
    }

    /// For a simulated one: from now on so much goes wrong. What is drawn goes on from where it was.
    pub fn fail(&self, faults: Faults) {
        if let Some(memory) = self.state.in_memory() {
            memory.fail(faults);
        }
    }

    /// Whether the database finds its own files whole. SQLite reads all of them; PostgreSQL does this by itself.
    pub async fn check(&self) -> Result<(), StateError> {
        self.state.check().await
    }

    /// Closes it in order: of an SQLite database everything is in its one file then. Nothing should be asked of it any more.
    pub async fn close(&self) {
        self.state.close().await;
    }

    fn of_memory(memory: Memory) -> Self {
        Self {
            state: State::memory(memory.clone()),
            read: Read::memory(memory.clone()),
            audit: Audit::memory(memory),
            schema: migration::last(migration::ALL),
        }
    }

    /// The schema that it was opened with. The database may have another by now: see [`Store::identity`].
    pub fn schema(&self) -> u32 {
        self.schema
    }

    /// Who the database is at this moment: another hub may have raised its epoch, or brought it to another schema.
    pub async fn identity(&self) -> Result<Identity, StateError> {
        self.state.identity().await
    }

    /// Begins a new run in the next epoch, which is greater than the database's and than `heard`, an epoch that somebody else knows
    /// of; gives who the database is then. Does nothing if the run `seen` has ended already: whoever else saw the same was first, and
    /// asking twice is harmless.
    pub async fn raise_epoch(&self, seen: Uuid, heard: u32) -> Result<Identity, StateError> {
        self.state.raise_epoch(seen, heard).await
    }

    /// The time by the database's own clock.
    pub async fn clock(&self) -> Result<Timestamp, StateError> {
        self.state.clock().await
    }

    /// Where a database stands, and who it is, without changing anything in it; nothing if it holds nothing of ours.
    pub async fn look(url: &DatabaseUrl) -> Result<Option<(Standing, Identity)>, OpenError> {
        open_schema(url).await?.look().await
    }

    /// Brings a database back to the schema that was finalised; gives its number. No hub may have it open.
    pub async fn roll_back(url: &DatabaseUrl) -> Result<u32, OpenError> {
        Self::roll_back_with(url, migration::ALL).await
    }

    /// As [`Store::roll_back`] with schemas of one's own.
    pub async fn roll_back_with(url: &DatabaseUrl, list: &[Migration]) -> Result<u32, OpenError> {
        open_schema(url).await?.back(list).await
    }

    /// Gives up the way back from the schema that the database has; gives its number.
    pub async fn finalise(url: &DatabaseUrl) -> Result<u32, OpenError> {
        Self::finalise_with(url, migration::ALL).await
    }

    /// As [`Store::finalise`] with schemas of one's own.
    pub async fn finalise_with(url: &DatabaseUrl, list: &[Migration]) -> Result<u32, OpenError> {
        open_schema(url).await?.finalise(list).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_read_and_shown_without_its_password() {
        let url: DatabaseUrl = "postgres://renkei:se@cret@db.example/renkei?password=x"
            .parse()
            .unwrap();
        assert_eq!(url.to_string(), "postgres://db.example/renkei");
        assert_eq!(
            "sqlite:/var/hub.db".parse(),
            Ok(DatabaseUrl::Sqlite("/var/hub.db".into()))
        );
        for text in ["", "hub.db", "sqlite:", "mysql://x", "postgres:x"] {
            assert_eq!(text.parse::<DatabaseUrl>(), Err(NotADatabase), "{text}");
        }
    }
}
