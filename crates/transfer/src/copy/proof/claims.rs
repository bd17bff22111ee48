//! Whether what stands somewhere is what is claimed: files by their hash, links by their text, directories by being there.
//!
//! Files at a server are hashed by a command there where that works and pays, else read back. `sha256sum` only proves what a
//! second reading of the source confirms in both hashes. It says nothing about attributes, and nothing about what stands
//! beside.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use futures_util::StreamExt;
use renkei_types::tree_hash::Root as Hash;

use super::hash_command::{Digest, HashCommand, Program};
use super::spool::Totals;
use super::verify::{Budget, hash_again, hash_within};
use crate::copy::endpoint::spot::Spot;
use crate::copy::ledger::Ledger;
use crate::copy::server::Server;
use crate::copy::trouble::Trouble;
use crate::event::Verified;
use crate::limit::Limiter;
use crate::local::meta::Kind;

/// Claims that are best checked together.
pub const BATCH: usize = 2048;
/// A batch of files that are large ends here, so that several are hashed at the far side at the same time.
pub const BATCH_BYTES: u64 = 1 << 30;
/// Batches under way at the same time.
pub const BATCHES_AT_ONCE: usize = 4;
/// From so many bytes or files on a hash command saves more than it costs.
const WORTH_BYTES: u64 = 4 << 20;
const WORTH_FILES: u64 = 256;
/// Files open at once in a session, where the server allows twice as many; OpenSSH's allows about a thousand.
const FILES_A_SESSION: u64 = 512;
/// The same where it does not say.
const FILES_UNTOLD: u64 = 128;
const MOST_FILES: u64 = 2048;
/// Files of this machine read at once.
const NEAR_FILES: usize = 16;
/// One connection's window, which bounds what comes in one round trip.
const WINDOW: u64 = 2 << 20;
/// More sessions than this gain nothing when reading.
const MOST_SESSIONS: u64 = 16;
/// Logging in costs about this many round trips.
const LOGIN: u64 = 12;

/// What should stand at a place.
pub struct Claim {
    pub spot: Spot,
    pub want: Want,
    /// A file's source, where it can be read once more at little cost.
    pub source: Option<Spot>,
}

/// What that is.
pub enum Want {
    File { size: u64, root: Hash },
    Directory,
    Link { text: Vec<u8> },
}

/// What came of it.
#[derive(Debug)]
pub enum Verdict {
    Right,
    /// Nothing is there.
    Missing,
    /// Something else is there.
    Differs,
    /// It could not be looked at.
    Unknown(Trouble),
}

/// Checks claims about one side.
pub struct Checker {
    server: Option<Arc<Server>>,
    b3sum: Option<HashCommand>,
    sha256sum: Option<HashCommand>,
    budget: Budget,
    bytes: u64,
    told: Option<Arc<Ledger>>,
    by_command: AtomicBool,
    by_reading: AtomicBool,
}

impl Checker {
    /// For `totals` at a server, or on this machine.
    pub fn new(server: Option<Arc<Server>>, totals: Totals, limiter: Option<Arc<Limiter>>) -> Self {
        let pays = totals.bytes >= WORTH_BYTES || totals.files >= WORTH_FILES;
        let command = |program| {
            let server = server.as_ref().filter(|_| pays)?;
            Some(HashCommand::new(program, Arc::clone(server)))
        };
        let files = server.as_ref().map_or(NEAR_FILES, |server| files_at_once(server));
        Self {
            b3sum: command(Program::B3sum),
            sha256sum: command(Program::Sha256sum),
            budget: Budget::new(files, limiter),
            bytes: totals.bytes,
            told: None,
            by_command: AtomicBool::new(false),
            by_reading: AtomicBool::new(false),
            server,
        }
    }

    /// No claim has a source to be read once more.
    pub fn without_sources(self) -> Self {
        Self {
            sha256sum: None,
            ..self
        }
    }

    /// What is checked counts as the bytes that are done.
    pub fn telling(self, ledger: &Arc<Ledger>) -> Self {
        Self {
            budget: self.budget.telling(Arc::clone(ledger)),
            told: Some(Arc::clone(ledger)),
            ..self
        }
    }

    /// Which ways were used.
    pub fn verified(&self) -> Verified {
        match (self.by_command.load(Relaxed), self.by_reading.load(Relaxed)) {
            (true, true) => Verified::Both,
            (true, false) => Verified::HashCommand,
            (false, _) => Verified::ReadBack,
        }
    }

    /// How many sessions are of use now.
    pub fn sessions(&self) -> usize {
        let is_asked = [&self.b3sum, &self.sha256sum]
            .into_iter()
            .any(|of| usable(of).is_some());
        match &self.server {
            Some(_) if is_asked => 1,
            Some(server) => sessions_for(server, self.bytes),
            None => 0,
        }
    }

    /// Checks a batch; one verdict for each claim, in order.
    ///
    /// # Errors
    /// Only that everything ends.
    pub async fn check(&self, claims: &[Claim]) -> Result<Vec<Verdict>, Trouble> {
        let proven = self.ask(claims).await;
        let checks = claims
            .iter()
            .zip(proven)
            .enumerate()
            .map(|(index, (claim, proven))| async move {
                let verdict = if proven {
                    Ok(Verdict::Right)
                } else {
                    self.look(claim).await
                };
                (index, verdict)
            });
        let mut checks = futures_util::stream::iter(checks).buffer_unordered(BATCH);
        let mut verdicts: Vec<Verdict> = claims.iter().map(|_| Verdict::Missing).collect();
        while let Some((index, verdict)) = checks.next().await {
            verdicts[index] = verdict?;
        }
        Ok(verdicts)
    }

    /// Which of the claims a hash command proves. The others may be wrong or not, that is found by reading.
    async fn ask(&self, claims: &[Claim]) -> Vec<bool> {
        let mut proven = vec![false; claims.len()];
        let files: Vec<(usize, &Claim, Hash)> = claims
            .iter()
            .enumerate()
            .filter_map(|(index, claim)| match claim.want {
                Want::File { root, .. } => Some((index, claim, root)),
                Want::Directory | Want::Link { .. } => None,
            })
            .collect();
        if files.is_empty() {
            return proven;
        }
        let paths: Vec<Vec<u8>> = files.iter().map(|(_, claim, _)| claim.spot.path()).collect();
        let mut said = match usable(&self.b3sum) {
            Some(command) => command.hashes(&paths).await,
            None => None,
        };
        let mut known: Vec<Option<Digest>> = files.iter().map(|(_, _, root)| Some(root.0)).collect();
        if let (None, None, Some(command)) = (&said, usable(&self.b3sum), usable(&self.sha256sum)) {
            let theirs = async { command.hashes(&paths).await.ok_or(()) };
            let ours = async { Ok(read_again(&files).await) };
            // Where the server says nothing of use the sources are left alone.
            if let Ok((theirs, ours)) = tokio::try_join!(theirs, ours) {
                (said, known) = (Some(theirs), ours);
            }
        }
        for (((index, claim, _), ours), theirs) in files.iter().zip(known).zip(said.unwrap_or_default()) {
            if ours != Some(theirs) {
                continue;
            }
            proven[*index] = true;
            self.by_command.store(true, Relaxed);
            if let (Some(ledger), Want::File { size, .. }) = (&self.told, &claim.want) {
                ledger.acknowledged(*size);
            }
        }
        proven
    }

    async fn look(&self, claim: &Claim) -> Result<Verdict, Trouble> {
        let Spot { base, rel } = &claim.spot;
        let right = match &claim.want {
            Want::File { size, root } => {
                self.by_reading.store(true, Relaxed);
                let hash = hash_within(&claim.spot, *size, &self.budget).await;
                hash.map(|hash| hash == Some(*root))
            }
            Want::Directory => match base.lstat(rel).await {
                Ok(None) => return Ok(Verdict::Missing),
                facts => facts.map(|facts| facts.is_some_and(|facts| facts.is_dir())),
            },
            Want::Link { text } => match base.lstat(rel).await {
                Ok(None) => return Ok(Verdict::Missing),
                Ok(Some(facts)) if facts.kind == Kind::Link => base.read_link(rel).await.map(|there| there == *text),
                facts => facts.map(|_| false),
            },
        };
        match right {
            Ok(true) => Ok(Verdict::Right),
            Ok(false) => Ok(Verdict::Differs),
            Err(Trouble::Ended) => Err(Trouble::Ended),
            Err(trouble) if trouble.is_missing() => Ok(Verdict::Missing),
            Err(trouble) => Ok(Verdict::Unknown(trouble)),
        }
    }
}

fn usable(command: &Option<HashCommand>) -> Option<&HashCommand> {
    command.as_ref().filter(|command| command.is_usable())
}

/// The SHA-256 of each file's source as it stands; none where what was sent cannot be read any more.
async fn read_again(files: &[(usize, &Claim, Hash)]) -> Vec<Option<Digest>> {
    let read = files.iter().map(|(_, claim, root)| async move {
        match (&claim.source, &claim.want) {
            (Some(source), Want::File { size, .. }) => hash_again(source, *size, *root).await.ok().flatten(),
            _ => None,
        }
    });
    futures_util::stream::iter(read).buffered(NEAR_FILES).collect().await
}

fn files_at_once(server: &Server) -> usize {
    let each = server
        .max_handles()
        .map_or(FILES_UNTOLD, |handles| FILES_A_SESSION.min(handles / 2));
    (each * server.count().max(1) as u64).min(MOST_FILES) as usize
}

/// How many sessions read so many bytes fastest: each brings a window in a round trip and costs some to open.
pub fn sessions_for(server: &Server, bytes: u64) -> usize {
    let near = server.rtt().is_some_and(|rtt| rtt.as_millis() == 0);
    let useful = if near { 2 } else { MOST_SESSIONS };
    (bytes / WINDOW / LOGIN).clamp(1, useful) as usize
}
