//! Connections: how SQLite and PostgreSQL are set up.

use std::fmt;
use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection};
use tokio::sync::{mpsc, oneshot, watch};

use super::{Dialect, Link, Readers, listen, schema, writer};
use crate::migration::{Migration, Standing};
use crate::open::{DatabaseUrl, Identity, OpenError};

/// Readers beside the writer: SQLite works on this machine's processors, PostgreSQL waits for a network.
const SQLITE_READERS: u32 = 4;
const POSTGRES_READERS: u32 = 16;
/// Rows of an answer that SQLite's thread may be ahead.
const ROWS: usize = 2048;
/// How long to wait for another's lock.
const BUSY: Duration = Duration::from_secs(10);
/// How long to wait for a connection.
pub(super) const CONNECT: Duration = Duration::from_secs(10);
/// How long PostgreSQL may take to answer.
const PATIENCE: Duration = Duration::from_secs(60);

/// An open database: readers, and the way to the one task that writes.
#[derive(Clone)]
pub(crate) struct Database(Arc<Inner>);

struct Inner {
    pool: Readers,
    orders: mpsc::Sender<writer::Order>,
    changes: watch::Receiver<u64>,
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Database").field(&self.0.pool.dialect()).finish()
    }
}

impl Database {
    pub async fn open(url: &DatabaseUrl, list: &[Migration]) -> Result<(Self, u32), OpenError> {
        if let DatabaseUrl::Sqlite(path) = url {
            make_private(path)?;
        }
        let way = Way::to(url)?;
        let mut own = way.connect().await?;
        let schema = schema::forward(&mut own.link(), list).await?.schema;
        let pool = way.readers();
        let (orders, inbox) = mpsc::channel(writer::WAITING);
        let (bell, changes) = watch::channel(0);
        if let Way::Postgres(options) = &way {
            listen::start(options.clone(), bell.clone());
        }
        writer::start(writer::Writer::new(way, own, bell, schema), inbox);
        let inner = Inner { pool, orders, changes };
        Ok((Self(Arc::new(inner)), schema))
    }

    pub fn pool(&self) -> &Readers {
        &self.0.pool
    }

    /// Hands an order to the writer; gives it back if there is no writer any more.
    pub async fn order(&self, order: writer::Order) -> Result<(), writer::Order> {
        self.0.orders.send(order).await.map_err(|error| error.0)
    }

    pub fn changes(&self) -> watch::Receiver<u64> {
        self.0.changes.clone()
    }

    /// The writer is the last to go: with it SQLite brings its log into the file.
    pub async fn close(&self) {
        self.0.pool.close().await;
        let (answer, closed) = oneshot::channel();
        if self.order(writer::Order::Close(answer)).await.is_ok() {
            // Without a writer there is nothing to wait for.
            let _ = closed.await;
        }
    }
}

/// A connection only for its schema.
pub(crate) struct Schema(Own);

/// Opens a database that is there, whatever its schema.
pub(crate) async fn open_schema(url: &DatabaseUrl) -> Result<Schema, OpenError> {
    Ok(Schema(Way::to(url)?.connect().await?))
}

impl Schema {
    pub async fn look(mut self) -> Result<Option<(Standing, Identity)>, OpenError> {
        let found = schema::standing_of_any(&mut self.0.link()).await?;
        Ok(found.map(|(standing, identity, _)| (standing, identity)))
    }

    pub async fn back(mut self, list: &[Migration]) -> Result<u32, OpenError> {
        schema::back(&mut self.0.link(), list).await
    }

    pub async fn finalise(mut self, list: &[Migration]) -> Result<u32, OpenError> {
        schema::finalise(&mut self.0.link(), list).await
    }
}

/// How to connect.
#[derive(Clone, Debug)]
pub(super) enum Way {
    Sqlite(SqliteConnectOptions),
    Postgres(PgConnectOptions),
}

/// A connection of one's own.
#[derive(Debug)]
pub(super) enum Own {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
}

impl Own {
    pub async fn close(self) -> Result<(), sqlx::Error> {
        match self {
            Self::Sqlite(connection) => connection.close().await,
            Self::Postgres(connection) => connection.close().await,
        }
    }

    pub fn link(&mut self) -> Link<'_> {
        match self {
            Self::Sqlite(connection) => Link::Sqlite(connection),
            Self::Postgres(connection) => Link::Postgres(connection),
        }
    }
}

impl Way {
    pub fn to(url: &DatabaseUrl) -> Result<Self, OpenError> {
        Ok(match url {
            DatabaseUrl::Sqlite(path) => Self::Sqlite(sqlite(path)),
            DatabaseUrl::Postgres(url) => Self::Postgres(postgres(url)?),
        })
    }

    pub async fn connect(&self) -> Result<Own, sqlx::Error> {
        let connect = async {
            Ok(match self {
                Self::Sqlite(options) => {
                    Own::Sqlite(connect_sqlite(&options.clone().journal_mode(SqliteJournalMode::Wal)).await?)
                }
                Self::Postgres(options) => Own::Postgres(PgConnection::connect_with(options).await?),
            })
        };
        match tokio::time::timeout(CONNECT, connect).await {
            Ok(outcome) => outcome,
            Err(_) => Err(sqlx::Error::PoolTimedOut),
        }
    }

    /// How long an answer may take. A local disk that does not answer is waited for: nobody could say what came of a commit.
    pub fn patience(&self) -> Duration {
        match self {
            Self::Sqlite(_) => Duration::MAX,
            Self::Postgres(_) => PATIENCE,
        }
    }

    pub fn dialect(&self) -> Dialect {
        match self {
            Self::Sqlite(_) => Dialect::Sqlite,
            Self::Postgres(_) => Dialect::Postgres,
        }
    }

    /// A connection that never changes anything: a mistake in a query cannot either.
    pub async fn connect_to_read(&self) -> Result<Own, sqlx::Error> {
        match self {
            Self::Sqlite(options) => {
                let options = options.clone().pragma("query_only", "ON");
                match tokio::time::timeout(CONNECT, SqliteConnection::connect_with(&options)).await {
                    Ok(connection) => Ok(Own::Sqlite(connection?)),
                    Err(_) => Err(sqlx::Error::PoolTimedOut),
                }
            }
            Self::Postgres(_) => self.connect().await,
        }
    }

    fn readers(&self) -> Readers {
        let most = match self {
            Self::Sqlite(_) => SQLITE_READERS,
            Self::Postgres(_) => POSTGRES_READERS,
        };
        Readers::new(self.clone(), most)
    }
}

/// Making the log of a new file is refused at once while another hub does the same, whatever the time to wait for locks.
async fn connect_sqlite(options: &SqliteConnectOptions) -> Result<SqliteConnection, sqlx::Error> {
    for attempt in 0.. {
        match SqliteConnection::connect_with(options).await {
            Err(error) if writer::is_busy(&error) => writer::pause(attempt).await,
            outcome => return outcome,
        }
    }
    Err(sqlx::Error::PoolTimedOut)
}

/// The database holds hashes of passwords: nobody else on the machine may read it. SQLite gives its other files the mode of this
/// one.
pub(super) fn make_private(path: &Path) -> Result<(), OpenError> {
    let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    match made {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(OpenError::Database(error.into())),
    }
}

pub(super) fn sqlite(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        // What was answered survives a power cut.
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(BUSY)
        .statement_cache_capacity(400)
        // A thread hands each row over by itself: if it has to stop after a few, two threads wait for one another.
        .row_buffer_size(ROWS)
        .disable_statement_logging()
}

fn postgres(url: &str) -> Result<PgConnectOptions, OpenError> {
    let options = PgConnectOptions::from_str(url)?.application_name("renkei");
    // A hub that is cut off must not hold locks, and what hangs must come back as an error.
    let limits = [
        ("idle_in_transaction_session_timeout", "10s"),
        ("lock_timeout", "10s"),
        ("statement_timeout", "60s"),
    ];
    Ok(options
        .options(limits)
        .statement_cache_capacity(400)
        .disable_statement_logging())
}
