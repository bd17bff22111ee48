//! Connections for reading, each lent for one question.
//!
//! A pool of sqlx's asks every connection whether it lives before it lends it and after it got it back. That is two round trips more
//! for each question, which itself is one. Here a connection that dies is noticed by the question, which is asked once more.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::open::{CONNECT, Own, Way};
use super::{Dialect, Row, Sql, writer};

/// A question that has taken so long has dealt with much: its connection's buffers go with it.
const LONG: Duration = Duration::from_secs(10);
/// How long an answer may take: whoever asked the hub must hear of it before its own patience ends, which with `renkei` is 60 s.
const ANSWER: Duration = Duration::from_secs(30);

/// See the module. Clones are the same.
#[derive(Clone, Debug)]
pub(crate) struct Readers(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    way: Way,
    idle: Mutex<Vec<Own>>,
    turns: Arc<Semaphore>,
    most: u32,
}

/// A connection until its question is answered. Whoever gives up before that gives the connection up.
struct Lent {
    own: Own,
    // The next one may be lent when this one is back or gone.
    _turn: OwnedSemaphorePermit,
}

impl Readers {
    /// At most so many connections, made when they are needed.
    pub(super) fn new(way: Way, most: u32) -> Self {
        Self(Arc::new(Inner {
            way,
            idle: Mutex::default(),
            turns: Arc::new(Semaphore::new(most as usize)),
            most,
        }))
    }

    /// Waits until all that were lent are back or gone, and closes them. From then on nothing can be asked.
    pub async fn close(&self) {
        // It fails only if it was closed before.
        let all = self.0.turns.acquire_many(self.0.most).await;
        self.0.turns.close();
        drop(all);
        let idle = std::mem::take(&mut *self.idle());
        for own in idle {
            // It has only read.
            let _ = own.close().await;
        }
    }

    pub fn dialect(&self) -> Dialect {
        self.0.way.dialect()
    }

    pub fn sql(&self, text: &str) -> Sql {
        Sql::new(self.dialect(), text)
    }

    /// Asks; once more if the connection turns out to be dead, since a question changes nothing. A database that is silent is not asked
    /// again: it would be silent as long once more.
    pub async fn rows(&self, sql: Sql) -> Result<Vec<Row>, sqlx::Error> {
        match self.ask(sql.clone()).await {
            Err(error)
                if self.dialect() == Dialect::Postgres
                    && writer::is_gone(&error)
                    && !matches!(error, sqlx::Error::PoolTimedOut) =>
            {
                // The others have most likely died with it.
                self.idle().clear();
                self.ask(sql).await
            }
            answer => answer,
        }
    }

    async fn ask(&self, sql: Sql) -> Result<Vec<Row>, sqlx::Error> {
        let mut lent = self.lend().await?;
        let begun = std::time::Instant::now();
        let answer = tokio::time::timeout(ANSWER, lent.own.link().rows(sql)).await;
        let answer = answer.unwrap_or(Err(sqlx::Error::PoolTimedOut));
        let lives = answer.as_ref().err().is_none_or(|error| !writer::is_gone(error));
        if lives && begun.elapsed() < LONG {
            let Lent { own, _turn } = lent;
            self.idle().push(own);
        }
        answer
    }

    async fn lend(&self) -> Result<Lent, sqlx::Error> {
        let turn = tokio::time::timeout(CONNECT, self.0.turns.clone().acquire_owned()).await;
        let turn = match turn {
            Ok(Ok(turn)) => turn,
            Ok(Err(_)) => return Err(sqlx::Error::PoolClosed),
            Err(_) => return Err(sqlx::Error::PoolTimedOut),
        };
        // The one that came back last has most in its cache.
        let idle = self.idle().pop();
        let own = match idle {
            Some(own) => own,
            None => self.0.way.connect_to_read().await?,
        };
        Ok(Lent { own, _turn: turn })
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Own>> {
        self.0.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
