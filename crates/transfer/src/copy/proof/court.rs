//! Reads what a copy collected, in the end: verifies it and writes the manifest.
//!
//! Everything goes in batches, several at a time, so that neither memory nor the number of round trips grows with the
//! number of files.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::join_all;
use futures_util::stream::FuturesUnordered;
use renkei_types::size::ByteSize;

use super::claims::{BATCH, BATCH_BYTES, BATCHES_AT_ONCE, Checker, Claim, Verdict, Want, sessions_for};
use super::spool::{Entry, SpoolReader, Totals, What};
use super::verify::{Budget, hash_within};
use super::{Place, Settlement};
use crate::copy::endpoint::landing::join;
use crate::copy::endpoint::spot::Spot;
use crate::copy::ledger::Ledger;
use crate::copy::server::Server;
use crate::copy::server::sessions::Keeper;
use crate::copy::trouble::{Trouble, chain};
use crate::event::{Bottleneck, Event, Verified};
use crate::limit::Limiter;
use crate::manifest::{Entry as Line, ManifestError, ManifestWriter};

/// Sources of one batch hashed at the same time.
const SOURCES_AT_ONCE: usize = 64;
/// From so much on it is said that the files are being verified: nothing else moves meanwhile.
const LONG_BYTES: u64 = 1 << 30;
const LONG_FILES: u64 = 10_000;
/// How often progress is told.
const TELL: Duration = Duration::from_millis(200);

/// Reads the spool and judges what is in it.
pub struct Court<'a> {
    settlement: Settlement<'a>,
    places: HashMap<u32, Place>,
    totals: Totals,
    checker: Checker,
    /// For what has to be read at the source.
    sources: Budget,
}

/// An entry, and what is wrong with it.
struct Judged {
    entry: Entry,
    wrong: Option<Wrong>,
}

struct Wrong {
    path: Vec<u8>,
    reason: String,
}

impl<'a> Court<'a> {
    pub fn new(settlement: Settlement<'a>, places: HashMap<u32, Place>, totals: Totals) -> Self {
        let limit = settlement.request.tuning.limit;
        let limiter = limit.map(|limit| Arc::new(Limiter::new(Some(limit))));
        let checker = Checker::new(settlement.target.clone(), totals, limiter.clone());
        Self {
            checker: if settlement.sources.is_empty() {
                checker
            } else {
                checker.without_sources()
            },
            sources: Budget::new(SOURCES_AT_ONCE, limiter),
            settlement,
            places,
            totals,
        }
    }

    /// Judges everything. What is wrong is told as failures of the files.
    ///
    /// # Errors
    /// Only that everything ends.
    pub async fn sit(self, reader: SpoolReader) -> Result<Verified, Trouble> {
        let Totals { files, bytes, .. } = self.totals;
        if self.settlement.request.verify && (bytes >= LONG_BYTES || files >= LONG_FILES) {
            let note = format!("all is copied; verifying {} in {files} files", ByteSize(bytes));
            self.settlement.ledger.event(Event::Note(note));
        }
        tokio::select! {
            judged = self.judge_all(reader) => judged?,
            () = self.keep() => {}
            () = self.tell() => {}
            () = self.settlement.stop.stopped() => return Err(Trouble::Ended),
        }
        Ok(if self.settlement.request.verify {
            self.checker.verified()
        } else {
            Verified::No
        })
    }

    /// Keeps the sessions that are needed.
    async fn keep(&self) {
        let fixed = self.settlement.request.tuning.connections.map(|count| count as usize);
        let keeper = |server: &Arc<Server>| Keeper {
            server: Arc::clone(server),
            ledger: Arc::clone(self.settlement.ledger),
            stop: self.settlement.stop.clone(),
            timeout: self.settlement.request.timeout,
        };
        let targets = self.settlement.target.iter().filter(|_| self.settlement.request.verify);
        let targets =
            targets.map(|server| keeper(server).keep(move || fixed.unwrap_or_else(|| self.checker.sessions())));
        let unread = self.totals.unread_bytes;
        let sources = self.settlement.sources.iter().filter(|_| unread > 0).map(|server| {
            let wanted = sessions_for(server, unread);
            keeper(server).keep(move || fixed.unwrap_or(wanted))
        });
        tokio::join!(join_all(targets), join_all(sources));
        // With nothing to keep, and after the stop was thrown: others end this.
        std::future::pending::<()>().await;
    }

    /// Shows that the program lives.
    async fn tell(&self) {
        loop {
            tokio::time::sleep(TELL).await;
            let ledger = self.settlement.ledger;
            ledger.event(Event::Progress(ledger.progress(Bottleneck::Unknown)));
            self.settlement.log.tick();
        }
    }

    async fn judge_all(&self, reader: SpoolReader) -> Result<(), Trouble> {
        let mut manifest = Manifest::begin(self.settlement.request.manifest.as_deref(), self.settlement.ledger);
        let mut batches = Batches(Some(reader));
        let mut sitting = FuturesUnordered::new();
        let mut serial = self.settlement.serial;
        loop {
            while sitting.len() < BATCHES_AT_ONCE {
                match batches.next() {
                    Some(Ok(batch)) => sitting.push(self.judge(batch)),
                    Some(Err(error)) => {
                        let reason = format!("the list of the files that were copied cannot be read: {error}");
                        self.settlement.ledger.failed_because(b"--verify", reason);
                    }
                    None => break,
                }
            }
            let Some(judged) = sitting.next().await else { break };
            for Judged { entry, wrong } in judged? {
                match wrong {
                    None => manifest.add(&entry, self.places.get(&entry.source), self.settlement.ledger),
                    Some(Wrong { path, reason }) => {
                        self.settlement.ledger.failed_because(&path, reason);
                        // Or the same command would believe it to be done.
                        self.settlement.log.void(serial, entry.source, &entry.below);
                        serial += 1;
                    }
                }
            }
        }
        manifest.finish(self.settlement.ledger);
        Ok(())
    }

    async fn judge(&self, batch: Vec<Entry>) -> Result<Vec<Judged>, Trouble> {
        let mut judged: Vec<Judged> = batch.into_iter().map(|entry| Judged { entry, wrong: None }).collect();
        let unread = self.read_sources(&mut judged).await?;
        if !self.settlement.request.verify {
            return Ok(judged);
        }
        let mut claims = Vec::with_capacity(judged.len());
        let mut claimed = Vec::with_capacity(judged.len());
        for (index, Judged { entry, wrong }) in judged.iter().enumerate() {
            let want = match &entry.what {
                What::File { size, root: Some(root) } => Want::File {
                    size: *size,
                    root: *root,
                },
                What::File { root: None, .. } => continue,
                What::Directory => Want::Directory,
                What::Link { text } => Want::Link { text: text.clone() },
            };
            if let (None, Some(place)) = (wrong, self.places.get(&entry.source)) {
                claims.push(Claim {
                    spot: below(&place.target, &entry.below),
                    want,
                    source: Some(below(&place.source, &entry.below)),
                });
                claimed.push(index);
            }
        }
        let verdicts = self.checker.check(&claims).await?;
        for ((index, claim), verdict) in claimed.into_iter().zip(claims).zip(verdicts) {
            let reason = match verdict {
                Verdict::Right => continue,
                Verdict::Missing => "it is not at the target".to_owned(),
                Verdict::Differs if unread.contains(&index) => "the target differs from the source".to_owned(),
                Verdict::Differs => "the target differs from what was sent".to_owned(),
                Verdict::Unknown(trouble) => trouble.reason(),
            };
            judged[index].wrong = Some(Wrong {
                path: claim.spot.path(),
                reason,
            });
        }
        Ok(judged)
    }

    /// Hashes the files that were not read; gives their positions.
    async fn read_sources(&self, judged: &mut [Judged]) -> Result<HashSet<usize>, Trouble> {
        let unread = judged
            .iter()
            .enumerate()
            .filter_map(|(index, Judged { entry, .. })| match entry.what {
                What::File { size, root: None } => {
                    let place = self.places.get(&entry.source)?;
                    Some((index, below(&place.source, &entry.below), size))
                }
                _ => None,
            });
        let unread: Vec<(usize, Spot, u64)> = unread.collect();
        let reads = unread
            .iter()
            .map(|(index, spot, size)| async move { (*index, spot, hash_within(spot, *size, &self.sources).await) });
        let mut reads = futures_util::stream::iter(reads).buffer_unordered(SOURCES_AT_ONCE);
        while let Some((index, spot, hash)) = reads.next().await {
            let found = match hash {
                Ok(Some(hash)) => Ok(hash),
                Ok(None) => Err("the source changed; copy it again".to_owned()),
                Err(Trouble::Ended) => return Err(Trouble::Ended),
                Err(trouble) => Err(trouble.reason()),
            };
            let judged = &mut judged[index];
            match (found, &mut judged.entry.what) {
                (Ok(hash), What::File { root, .. }) => *root = Some(hash),
                (Ok(_), _) => {}
                (Err(reason), _) => {
                    judged.wrong = Some(Wrong {
                        path: spot.path(),
                        reason,
                    });
                }
            }
        }
        Ok(unread.iter().map(|(index, ..)| *index).collect())
    }
}

/// A path below a source or its place; the empty one is the place itself.
fn below(place: &Spot, below: &[u8]) -> Spot {
    let rel = if below.is_empty() {
        place.rel.clone()
    } else {
        join(&place.rel, below)
    };
    Spot {
        base: place.base.clone(),
        rel,
    }
}

/// A spool in portions.
struct Batches(Option<SpoolReader>);

impl Iterator for Batches {
    type Item = std::io::Result<Vec<Entry>>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut batch = Vec::new();
        let mut bytes = 0u64;
        while batch.len() < BATCH && bytes < BATCH_BYTES {
            match self.0.as_mut().and_then(Iterator::next) {
                Some(Ok(entry)) => {
                    if let What::File { size, .. } = entry.what {
                        bytes = bytes.saturating_add(size);
                    }
                    batch.push(entry);
                }
                Some(Err(error)) => {
                    self.0 = None;
                    return Some(Err(error));
                }
                None => break,
            }
        }
        (!batch.is_empty()).then_some(Ok(batch))
    }
}

/// The manifest, or none: not asked for, or it could not be written, which was told.
struct Manifest(Option<ManifestWriter>);

impl Manifest {
    fn begin(path: Option<&Path>, ledger: &Ledger) -> Self {
        let Some(path) = path else { return Self(None) };
        match ManifestWriter::create(path) {
            Ok(writer) => Self(Some(writer)),
            Err(error) => {
                failed(path, &error, ledger);
                Self(None)
            }
        }
    }

    fn add(&mut self, entry: &Entry, place: Option<&Place>, ledger: &Ledger) {
        let (Some(writer), Some(place)) = (&mut self.0, place) else {
            return;
        };
        let path = if entry.below.is_empty() {
            place.listed.clone()
        } else {
            join(&place.listed, &entry.below)
        };
        if path.is_empty() {
            // The target itself.
            return;
        }
        let path = path.into();
        let line = match &entry.what {
            What::File { size, root: Some(root) } => Line::File {
                path,
                size: *size,
                root: *root,
            },
            What::File { root: None, .. } => return,
            What::Directory => Line::Directory { path },
            What::Link { text } => Line::Link { path, to: text.into() },
        };
        if let Err(error) = writer.add(&line) {
            failed(writer.path(), &error, ledger);
            self.0 = None;
        }
    }

    fn finish(self, ledger: &Ledger) {
        if let Some(writer) = self.0 {
            let path = writer.path().to_owned();
            if let Err(error) = writer.finish() {
                failed(&path, &error, ledger);
            }
        }
    }
}

fn failed(path: &Path, error: &ManifestError, ledger: &Ledger) {
    ledger.failed_because(path.as_os_str().as_encoded_bytes(), chain(error));
}
