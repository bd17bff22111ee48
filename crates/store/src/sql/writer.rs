//! The one task that writes. Batches that wait share a transaction and its sync.

use std::time::{Duration, SystemTime};

use sqlx::error::DatabaseError;
use tokio::sync::{mpsc, oneshot, watch};
use uuid::Uuid;

use super::group::{self, Failed};
use super::open::{Own, Way};
use super::{Dialect, Value, chain, identity};
use crate::batch::Batch;
use crate::error::{Cause, CommitError, Outcome, StateError};
use crate::open::Identity;

/// Orders that may wait; whoever comes then waits in `commit`.
pub(super) const WAITING: usize = 1024;
/// The most batches in one transaction.
const GROUP: usize = 128;
/// How often a group is tried while other hubs are in its way.
const ATTEMPTS: u32 = 8;
/// For how long to ask whether a transaction has happened.
const ASKING: Duration = Duration::from_secs(20);
/// How long the id of a transaction is kept.
const KEPT: Duration = Duration::from_secs(24 * 3600);
/// Transactions from one cleaning of the table `batch` to the next.
const CLEANING: u64 = 5000;

/// What the writer is asked for.
pub(crate) enum Order {
    Commit(Batch, oneshot::Sender<Result<(), CommitError>>),
    Chain(u32, oneshot::Sender<Result<u64, StateError>>),
    Raise {
        seen: Uuid,
        heard: u32,
        answer: oneshot::Sender<Result<Identity, StateError>>,
    },
    Close(oneshot::Sender<()>),
}

pub(super) struct Writer {
    way: Way,
    own: Option<Own>,
    bell: watch::Sender<u64>,
    groups: u64,
    schema: u32,
}

/// How a transaction ended that did not end well.
enum Trouble {
    /// Nothing happened; the same again may do.
    Collided,
    /// Nothing happened.
    NotDone(sqlx::Error),
    /// The answer to COMMIT did not come. If it was done, these are the answers.
    Lost(Answers, sqlx::Error),
    /// It cannot be found out whether it happened.
    Unknown(sqlx::Error),
    /// Nothing happened: the database has this schema, which is not ours.
    Schema { found: u32, known: u32 },
}

type Answers = Vec<Result<(), CommitError>>;

/// Runs until nobody can give orders any more.
pub(super) fn start(mut writer: Writer, mut inbox: mpsc::Receiver<Order>) {
    tokio::spawn(async move {
        let mut orders = Vec::new();
        while inbox.recv_many(&mut orders, GROUP).await > 0 {
            writer.serve(std::mem::take(&mut orders)).await;
        }
    });
}

impl Writer {
    /// Writes only while the database has this schema.
    pub fn new(way: Way, own: Own, bell: watch::Sender<u64>, schema: u32) -> Self {
        let (own, groups) = (Some(own), 0);
        Self {
            way,
            own,
            bell,
            groups,
            schema,
        }
    }

    async fn serve(&mut self, orders: Vec<Order>) {
        let (mut batches, mut waiting, mut others) = (Vec::new(), Vec::new(), Vec::new());
        for order in orders {
            match order {
                Order::Commit(batch, answer) => {
                    batches.push(batch);
                    waiting.push(answer);
                }
                other => others.push(other),
            }
        }
        if !batches.is_empty() {
            let batches: Vec<&Batch> = batches.iter().collect();
            let answers = self.commit(&batches).await;
            if answers.iter().any(Result::is_ok) {
                self.bell.send_modify(|count| *count += 1);
            }
            for (waiting, answer) in waiting.into_iter().zip(answers) {
                // Who asked may have gone; the batch is committed all the same.
                let _ = waiting.send(answer);
            }
        }
        for order in others {
            match order {
                Order::Commit(..) => {}
                Order::Chain(limit, waiting) => drop(waiting.send(self.chain(limit).await)),
                Order::Raise { seen, heard, answer } => drop(answer.send(self.raise(seen, heard).await)),
                Order::Close(answer) => {
                    if let Some(own) = self.own.take() {
                        // Everything that was answered is committed, whatever comes of this.
                        let _ = own.close().await;
                    }
                    let _ = answer.send(());
                }
            }
        }
    }

    /// An answer for each batch.
    async fn commit(&mut self, batches: &[&Batch]) -> Answers {
        match self.group(batches).await {
            Ok(answers) => answers,
            // One that the database refuses for a reason of its own must not take the others with it.
            Err(Trouble::NotDone(error)) if batches.len() > 1 && is_about_content(&error) => {
                let mut answers = Vec::with_capacity(batches.len());
                for batch in batches {
                    let alone = self.group(&[batch]).await;
                    answers.extend(alone.unwrap_or_else(|trouble| trouble.answers(1)));
                }
                answers
            }
            Err(trouble) => trouble.answers(batches.len()),
        }
    }

    /// One transaction, tried until it is known what became of it.
    async fn group(&mut self, batches: &[&Batch]) -> Result<Answers, Trouble> {
        let mut reconnected = false;
        for attempt in 0..ATTEMPTS {
            // Version 7, so that new ones lie together in the index.
            let id = Uuid::now_v7();
            match self.attempt(batches, id).await {
                Ok(answers) => return Ok(answers),
                Err(Trouble::Collided) => pause(attempt).await,
                // The connection may have died of old age: one more is worth a try.
                Err(Trouble::NotDone(error)) if !reconnected && is_gone(&error) => {
                    reconnected = true;
                    self.own = None;
                }
                Err(Trouble::Lost(answers, error)) => match self.happened(id).await {
                    Some(true) => return Ok(answers),
                    Some(false) => {}
                    None => return Err(Trouble::Unknown(error)),
                },
                Err(trouble) => return Err(trouble),
            }
        }
        Err(Trouble::Collided)
    }

    async fn attempt(&mut self, batches: &[&Batch], id: Uuid) -> Result<Answers, Trouble> {
        let patience = self.way.patience();
        let outcome = tokio::time::timeout(patience, self.before_commit(batches, id)).await;
        let answers = match outcome.unwrap_or(Err(Failed::Database(sqlx::Error::PoolTimedOut))) {
            Ok(answers) => answers,
            Err(failed) => {
                self.undo().await;
                return Err(match failed {
                    Failed::Collided => Trouble::Collided,
                    Failed::Schema(found) => Trouble::Schema {
                        found,
                        known: self.schema,
                    },
                    Failed::Database(error) => Trouble::NotDone(error),
                });
            }
        };
        if answers.iter().all(Result::is_err) {
            self.undo().await;
            return Ok(answers);
        }
        let outcome = tokio::time::timeout(patience, self.end()).await;
        match outcome.unwrap_or(Err(sqlx::Error::PoolTimedOut)) {
            Ok(()) => Ok(answers),
            Err(error) => Err(self.after_commit(answers, error).await),
        }
    }

    async fn before_commit(&mut self, batches: &[&Batch], id: Uuid) -> Result<Answers, Failed> {
        self.groups += 1;
        let (clean, known) = (self.groups % CLEANING == 1, self.schema);
        let mut link = self.own().await?.link();
        link.begin().await?;
        if link.dialect() == Dialect::Postgres {
            let mut sql = link.sql("INSERT INTO batch (id, at) SELECT ");
            sql.value(Value::Id(id))
                .push(", ")
                .value(Value::Number(millis(Duration::ZERO)))
                .push(" FROM hub WHERE schema = ")
                .value(Value::Number(known.into()));
            if link.execute(sql).await? == 0 {
                return Err(Failed::Schema(identity::schema(&mut link).await?));
            }
            if clean {
                let mut sql = link.sql("DELETE FROM batch WHERE at < ");
                sql.value(Value::Number(millis(KEPT)));
                link.execute(sql).await?;
            }
        } else {
            // Nobody else can write until this transaction ends, a migration neither.
            let found = identity::schema(&mut link).await?;
            if found != known {
                return Err(Failed::Schema(found));
            }
        }
        group::write(&mut link, batches, known).await
    }

    async fn end(&mut self) -> Result<(), sqlx::Error> {
        let mut link = self.own().await?.link();
        match link.dialect() {
            Dialect::Sqlite => link.commit().await,
            // One message: the other hubs are told in the same round trip, if it is done.
            Dialect::Postgres => link.run("NOTIFY renkei; COMMIT").await,
        }
    }

    /// COMMIT has failed, or its answer has not come.
    async fn after_commit(&mut self, answers: Answers, error: sqlx::Error) -> Trouble {
        if !matches!(self.own, Some(Own::Sqlite(_))) {
            self.own = None;
            return Trouble::Lost(answers, error);
        }
        self.undo().await;
        // SQLite itself says what happened, unless it could not write: then what reached the disk is seen at the next start.
        if is_io(&error) {
            Trouble::Unknown(error)
        } else {
            Trouble::NotDone(error)
        }
    }

    /// Whether the transaction `id` was committed; nothing if the database does not tell in time.
    ///
    /// The same id is written once more. If that works, the transaction is not there and can never be: its own row would collide
    /// with ours. While it is still open at the server, the database lets us wait for its end.
    async fn happened(&mut self, id: Uuid) -> Option<bool> {
        let deadline = tokio::time::Instant::now() + ASKING;
        for attempt in 0.. {
            let asked = tokio::time::timeout_at(deadline, self.claim(id)).await.ok()?;
            match asked {
                Ok(()) => return Some(false),
                Err(error)
                    if error
                        .as_database_error()
                        .is_some_and(DatabaseError::is_unique_violation) =>
                {
                    return Some(true);
                }
                Err(_) => self.own = None,
            }
            tokio::time::timeout_at(deadline, pause(attempt)).await.ok()?;
        }
        None
    }

    async fn claim(&mut self, id: Uuid) -> Result<(), sqlx::Error> {
        let mut link = self.own().await?.link();
        let mut sql = link.sql("INSERT INTO batch (id, at) VALUES (");
        sql.value(Value::Id(id))
            .push(", ")
            .value(Value::Number(millis(Duration::ZERO)))
            .push(")");
        link.execute(sql).await.map(drop)
    }

    async fn chain(&mut self, limit: u32) -> Result<u64, StateError> {
        let patience = self.way.patience();
        let outcome = match self.own().await {
            Ok(own) => tokio::time::timeout(patience, chain::chain(&mut own.link(), limit)).await,
            Err(error) => return Err(error.into()),
        };
        let outcome = outcome.unwrap_or(Err(sqlx::Error::PoolTimedOut.into()));
        if outcome.is_err() {
            self.undo().await;
        }
        outcome
    }

    /// Whether an answer that was lost belonged to something that happened, the caller finds out by asking again.
    async fn raise(&mut self, seen: Uuid, heard: u32) -> Result<Identity, StateError> {
        let patience = self.way.patience();
        for attempt in [1, 2] {
            let outcome = match self.own().await {
                Ok(own) => tokio::time::timeout(patience, identity::raise(&mut own.link(), seen, heard)).await,
                Err(error) => return Err(error.into()),
            };
            match outcome.unwrap_or(Err(sqlx::Error::PoolTimedOut.into())) {
                Err(_) if attempt == 1 => self.own = None,
                outcome => return outcome,
            }
        }
        Err(StateError::Unavailable("the database is gone".into()))
    }

    async fn own(&mut self) -> Result<&mut Own, sqlx::Error> {
        let own = match self.own.take() {
            Some(own) => own,
            None => self.way.connect().await?,
        };
        Ok(self.own.insert(own))
    }

    /// Ends a transaction that came to nothing. A connection on which that does not work is given up, which ends it as well.
    async fn undo(&mut self) {
        let Some(own) = &mut self.own else { return };
        let mut link = own.link();
        let undone = tokio::time::timeout(Duration::from_secs(5), link.roll_back()).await;
        // SQLite has rolled back by itself after some errors, and says that there is nothing to roll back.
        let idle = matches!(&undone, Ok(Err(error)) if error.to_string().contains("no transaction is active"));
        if !idle && !matches!(undone, Ok(Ok(()))) {
            self.own = None;
        }
    }
}

impl Trouble {
    /// The same for each of `count` batches.
    fn answers(self, count: usize) -> Answers {
        let (outcome, error) = match self {
            Self::Collided => (
                Outcome::NotDone,
                Cause::from("other hubs were in the way, again and again"),
            ),
            Self::Schema { found, known } => {
                return (0..count).map(|_| Err(CommitError::Schema { found, known })).collect();
            }
            Self::NotDone(error) if is_full(&error) => return (0..count).map(|_| Err(CommitError::Full)).collect(),
            Self::NotDone(error) => (Outcome::NotDone, error.into()),
            Self::Lost(_, error) | Self::Unknown(error) => (Outcome::Unknown, error.into()),
        };
        // A cause cannot be copied; its text can.
        let text = error.to_string();
        let mut first = Some(error);
        let cause = |_| first.take().unwrap_or_else(|| text.clone().into());
        (0..count)
            .map(cause)
            .map(|cause| Err(CommitError::unavailable(outcome, cause)))
            .collect()
    }
}

/// SQLite: SQLITE_FULL, and SQLITE_IOERR_SHMSIZE when the index of the log finds no room. PostgreSQL: disk_full.
fn is_full(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(DatabaseError::code);
    matches!(code.as_deref(), Some("13" | "4874" | "53100"))
}

/// Whether the connection is of no use any more: it broke, or PostgreSQL says that it ends it (class 08, `*_shutdown`, and
/// `idle_in_transaction_session_timeout`).
pub(super) fn is_gone(error: &sqlx::Error) -> bool {
    let Some(error) = error.as_database_error() else {
        return true;
    };
    let code = error.code().unwrap_or_default();
    code.len() == 5 && (code.starts_with("08") || ["57P01", "57P02", "57P05", "25P03"].contains(&code.as_ref()))
}

/// Whether the database refuses what a batch holds, and not the moment: PostgreSQL's classes of data, integrity and limits;
/// SQLITE_ERROR, SQLITE_TOOBIG, SQLITE_CONSTRAINT, SQLITE_MISMATCH.
fn is_about_content(error: &sqlx::Error) -> bool {
    let code = error
        .as_database_error()
        .and_then(DatabaseError::code)
        .unwrap_or_default();
    match code.len() {
        5 => ["22", "23", "42", "54"].iter().any(|class| code.starts_with(class)),
        _ => code
            .parse::<u32>()
            .is_ok_and(|code| [1, 18, 19, 20].contains(&(code & 0xff))),
    }
}

/// Any of SQLite's SQLITE_BUSY.
pub(super) fn is_busy(error: &sqlx::Error) -> bool {
    is_of(error, 5)
}

/// Any of SQLite's SQLITE_IOERR.
fn is_io(error: &sqlx::Error) -> bool {
    is_of(error, 10)
}

/// Whether SQLite gives an error of this primary code, which is its lowest byte. PostgreSQL's codes have five characters.
fn is_of(error: &sqlx::Error, primary: u32) -> bool {
    let code = error
        .as_database_error()
        .and_then(DatabaseError::code)
        .unwrap_or_default();
    code.len() < 5 && code.parse::<u32>().is_ok_and(|code| code & 0xff == primary)
}

/// Longer each time, and never the same in two hubs.
pub(super) async fn pause(attempt: u32) {
    let most = 4_000_u64 << attempt.min(7);
    let micros = getrandom::u64().unwrap_or(most) % most;
    tokio::time::sleep(Duration::from_micros(micros)).await;
}

/// Milliseconds since 1970, `ago` before now.
pub(super) fn millis(ago: Duration) -> i64 {
    let since = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    since.saturating_sub(ago).as_millis().try_into().unwrap_or(i64::MAX)
}
