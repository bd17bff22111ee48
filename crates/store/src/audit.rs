//! The chain over the events: each link covers the one before and an event, so that nothing in the past can be changed or left out
//! without changing every later link.
//!
//! The chain shows a change to whoever kept an earlier head elsewhere; it does not prevent one.

use jiff::Timestamp;
use renkei_types::event::{ChainHead, Event};
use tokio::sync::oneshot;
use uuid::Uuid;

use crate::error::StateError;
use crate::memory::Memory;
use crate::sql::{self, Database, Order};

pub(crate) type Hash = [u8; 32];

/// What stands before the first link.
pub(crate) const START: Hash = [0; 32];
/// Parts this use of BLAKE3 from all others.
const CONTEXT: &str = "renkei audit chain 1";
/// Events that are looked at together.
const PAGE: u64 = 1000;

/// The chain of an open database.
#[derive(Clone, Debug)]
pub struct Audit(Kind);

#[derive(Clone, Debug)]
enum Kind {
    Sql(Database),
    Memory(Memory),
}

/// The chain holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// Events that are chained.
    pub length: u64,
    /// The last link, hexadecimal.
    pub hash: String,
    /// Events after them, not yet chained.
    pub unchained: u64,
}

/// Why the chain was not found to hold.
#[derive(Debug, thiserror::Error)]
pub enum Broken {
    /// It does not hold.
    #[error("the audit is broken at event {event}: {fault}")]
    At {
        /// The first event that is not as it was.
        event: u64,
        /// What is wrong with it.
        fault: Fault,
    },
    /// It could not be read.
    #[error(transparent)]
    State(#[from] StateError),
}

/// What is wrong with an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// It is not there.
    #[error("it is missing")]
    Missing,
    /// Its text does not fit its link.
    #[error("it was changed")]
    Changed,
    /// What it is searched by is not what it says.
    #[error("it is listed under other things than it names")]
    Mislisted,
    /// Its link is not there, although a later event has one.
    #[error("its link is missing")]
    Unlinked,
}

/// An event with everything that is kept of it.
#[derive(Clone, Debug)]
pub(crate) struct Kept {
    pub id: i64,
    pub noun: String,
    pub object: Uuid,
    pub project: Option<Uuid>,
    pub user: Option<Uuid>,
    pub body: String,
    pub hash: Option<Vec<u8>>,
}

impl Audit {
    pub(crate) fn sql(database: Database) -> Self {
        Self(Kind::Sql(database))
    }

    pub(crate) fn memory(memory: Memory) -> Self {
        Self(Kind::Memory(memory))
    }

    /// Lengthens the chain by at most `limit` events; gives by how many. Two hubs may do it at once.
    pub async fn chain(&self, limit: u32) -> Result<u64, StateError> {
        match &self.0 {
            Kind::Memory(memory) => memory.chain(limit),
            Kind::Sql(database) => {
                let (answer, outcome) = oneshot::channel();
                let gone = || StateError::Unavailable("the database is being closed".into());
                database.order(Order::Chain(limit, answer)).await.map_err(|_| gone())?;
                outcome.await.map_err(|_| gone())?
            }
        }
    }

    /// Where the chain stands.
    pub async fn head(&self) -> Result<ChainHead, StateError> {
        match &self.0 {
            Kind::Memory(memory) => Ok(memory.head()),
            Kind::Sql(database) => sql::head(database.pool()).await,
        }
    }

    /// Computes the whole chain again; `progress` is told how many events have been looked at.
    pub async fn verify(&self, mut progress: impl FnMut(u64) + Send) -> Result<Verified, Broken> {
        // What is appended meanwhile is left for the next time.
        let count = self.count().await?;
        let (mut seen, mut length, mut hash, mut last_link) = (0_u64, 0_u64, START, START);
        while seen < count {
            let page = self.kept(seen, PAGE.min(count - seen)).await?;
            let first = seen + 1;
            for (event, kept) in (first..).zip(&page) {
                let broken = |fault| Broken::At { event, fault };
                if kept.id != sql::number(event) {
                    return Err(broken(Fault::Missing));
                }
                hash = next(&hash, kept.id, &kept.body);
                match &kept.hash {
                    Some(_) if length + 1 != event => {
                        let event = length + 1;
                        return Err(Broken::At {
                            event,
                            fault: Fault::Unlinked,
                        });
                    }
                    Some(linked) if linked.as_slice() != hash => return Err(broken(Fault::Changed)),
                    Some(_) => (length, last_link) = (event, hash),
                    None => {}
                }
                if !kept.is_listed_right() {
                    return Err(broken(Fault::Mislisted));
                }
                seen = event;
            }
            if page.is_empty() {
                let event = seen + 1;
                return Err(Broken::At {
                    event,
                    fault: Fault::Missing,
                });
            }
            progress(seen);
        }
        let head = self.head().await?;
        if head.length < length || (length < count && head.length > count) {
            let event = head.length + 1;
            return Err(Broken::At {
                event,
                fault: Fault::Unlinked,
            });
        }
        Ok(Verified {
            length,
            hash: hex(&last_link),
            unchained: count - length,
        })
    }

    async fn count(&self) -> Result<u64, StateError> {
        match &self.0 {
            Kind::Memory(memory) => Ok(memory.event_count()),
            Kind::Sql(database) => sql::count(database.pool()).await,
        }
    }

    async fn kept(&self, after: u64, limit: u64) -> Result<Vec<Kept>, StateError> {
        match &self.0 {
            Kind::Memory(memory) => Ok(memory.kept(after, limit)),
            Kind::Sql(database) => sql::kept(database.pool(), sql::number(after), limit).await,
        }
    }
}

impl Kept {
    fn is_listed_right(&self) -> bool {
        serde_json::from_str::<Event>(&self.body).is_ok_and(|event| {
            event.noun == self.noun
                && event.object == self.object
                && event.project.map(|id| id.0) == self.project
                && event.by.user.map(|id| id.0) == self.user
        })
    }
}

/// The link of event `id` after `before`.
pub(crate) fn next(before: &Hash, id: i64, body: &str) -> Hash {
    let mut hasher = blake3::Hasher::new_derive_key(CONTEXT);
    hasher.update(before);
    hasher.update(&id.to_le_bytes());
    hasher.update(&(body.len() as u64).to_le_bytes());
    hasher.update(body.as_bytes());
    *hasher.finalize().as_bytes()
}

/// A hash as it was kept.
pub(crate) fn hash(id: i64, bytes: &[u8]) -> Result<Hash, StateError> {
    bytes.try_into().map_err(|_| StateError::Corrupt {
        table: "link",
        id: id.to_string(),
        source: format!("a hash has 32 bytes, not {}", bytes.len()).into(),
    })
}

/// The chain has no gaps: one would hide that an event was taken away.
pub(crate) fn follows(last: i64, id: i64) -> Result<(), StateError> {
    match id == last + 1 {
        true => Ok(()),
        false => Err(StateError::Corrupt {
            table: "event",
            id: (last + 1).to_string(),
            source: "it is missing".into(),
        }),
    }
}

/// The head after `length` links, the last one made at `at` milliseconds since 1970.
pub(crate) fn head(length: u64, hash: &Hash, at: i64) -> ChainHead {
    ChainHead {
        length,
        hash: hex(hash),
        at: Timestamp::from_millisecond(at).ok().filter(|_| length > 0),
    }
}

fn hex(hash: &Hash) -> String {
    blake3::Hash::from_bytes(*hash).to_hex().to_string()
}
