//! `renkei verify`: what stands at a target against a manifest.
//!
//! The manifest is read twice: first as a whole, because one that was cut off or edited proves nothing, then line by line
//! beside the checks. Files that the manifest does not name are none of its business.

use std::fs::File;
use std::io::{self, BufReader, Seek as _, SeekFrom};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use renkei_ssh::{Dialer, Prompt};

use super::claims::{BATCH, BATCH_BYTES, BATCHES_AT_ONCE, Checker, Claim, Verdict, Want};
use super::spool::Totals;
use crate::copy::endpoint::landing::{Landed, Standing, join, parent};
use crate::copy::endpoint::places::{Place, TargetSide};
use crate::copy::endpoint::spot::Spot;
use crate::copy::ledger::Ledger;
use crate::copy::server::sessions::Keeper;
use crate::copy::server::{LineError, Server};
use crate::copy::stop::Stop;
use crate::copy::trouble::{Trouble, chain};
use crate::copy::{End, summarise, unconnected};
use crate::event::{Bottleneck, Ending, Event, Observer, Summary};
use crate::manifest::{Entry, ManifestError, ManifestReader};
use crate::request::{Location, VerifyRequest};

/// How often progress is told.
const TELL: Duration = Duration::from_millis(200);

/// Checks what stands at a target against a manifest. It never fails as a whole: the summary says how it ended and why.
///
/// Missing and differing files are failures; what stands there besides is not looked at. Attributes are not compared.
pub async fn verify(
    request: VerifyRequest,
    prompt: Arc<dyn Prompt>,
    observer: Arc<dyn Observer>,
    stop: Stop,
) -> Summary {
    let ledger = Arc::new(Ledger::new(observer));
    let check = Check {
        request,
        ledger: Arc::clone(&ledger),
        stop: stop.clone(),
    };
    let end = tokio::select! {
        end = check.run(prompt) => end.unwrap_or_else(|end| end),
        () = stop.interrupted() => End::because(Ending::Interrupted, "interrupted"),
    };
    ledger.event(Event::Progress(ledger.progress(Bottleneck::Unknown)));
    summarise(&ledger, &stop, end)
}

struct Check {
    request: VerifyRequest,
    ledger: Arc<Ledger>,
    stop: Stop,
}

/// The lines of a manifest that was found to be whole.
type Lines = ManifestReader<BufReader<File>>;

impl Check {
    /// Both are ends; the second before anything was checked.
    async fn run(&self, prompt: Arc<dyn Prompt>) -> Result<End, End> {
        let (lines, totals) = open(&self.request.manifest).map_err(|error| {
            let name = self.request.manifest.display();
            End::because(Ending::Usage, format!("`{name}`: {}", chain(&error)))
        })?;
        self.ledger.total_files.store(totals.files, Relaxed);
        self.ledger.total_bytes.store(totals.bytes, Relaxed);
        self.ledger.scanned.store(true, Relaxed);
        let server = self.connect(prompt).await?;
        let top = self.top(server.clone()).await.map_err(|trouble| {
            let ending = if trouble.is_lost() {
                Ending::Lost
            } else {
                Ending::SomeFailed
            };
            End::because(ending, trouble.reason())
        })?;
        let checker = Checker::new(server.clone(), totals, None)
            .without_sources()
            .telling(&self.ledger);
        let checked = tokio::select! {
            checked = self.check_all(lines, &top, &checker) => checked,
            () = self.keep(server, &checker) => Err(Trouble::Ended),
            () = self.tell() => Err(Trouble::Ended),
            () = self.stop.stopped() => Err(Trouble::Ended),
        };
        match checked {
            Ok(()) => Ok(End {
                ending: Ending::Complete,
                cause: None,
                journal: None,
                verified: checker.verified(),
            }),
            Err(Trouble::Ended) => Err(End::because(Ending::Lost, "the connection was lost")),
            Err(trouble) => Err(End::because(Ending::SomeFailed, trouble.reason())),
        }
    }

    async fn connect(&self, prompt: Arc<dyn Prompt>) -> Result<Option<Arc<Server>>, End> {
        let Location::Remote { host, .. } = &self.request.target else {
            return Ok(None);
        };
        let dialer = Dialer::resolve(host, &self.request.ssh, prompt)
            .await
            .map_err(unconnected)?;
        let server = Arc::new(Server::new(dialer, self.stop.clone()));
        match server.open().await {
            Ok(_) => Ok(Some(server)),
            Err(LineError::Connect(error)) => Err(unconnected(error)),
            Err(error) => Err(End::because(Ending::NotConnected, chain(&error))),
        }
    }

    /// The place to which the manifest's paths are relative: the target, or the directory of the one file that it is.
    async fn top(&self, server: Option<Arc<Server>>) -> Result<Spot, Trouble> {
        let side = server.map_or(TargetSide::Near, TargetSide::Far);
        let (Location::Local(typed) | Location::Remote { path: typed, .. }) = &self.request.target;
        let found = side.find(typed).await?;
        let path = match found.standing {
            Standing::Directory => found.path,
            Standing::File => parent(&found.path),
            Standing::Nothing | Standing::Special => {
                let reason = match found.standing {
                    Standing::Nothing => "there is no such file or directory",
                    _ => "it is neither a directory nor a file",
                };
                return Err(Trouble::Other {
                    path: found.path,
                    reason: reason.into(),
                });
            }
        };
        let landed = Landed {
            path,
            named_by_source: false,
        };
        match side.place(&landed, true).await? {
            Place::At(spot) => Ok(spot),
            Place::Through(path) => Err(Trouble::Other {
                path,
                reason: "it is not a directory".into(),
            }),
        }
    }

    async fn keep(&self, server: Option<Arc<Server>>, checker: &Checker) {
        if let Some(server) = server {
            let keeper = Keeper {
                server,
                ledger: Arc::clone(&self.ledger),
                stop: self.stop.clone(),
                timeout: self.request.timeout,
            };
            keeper.keep(|| checker.sessions()).await;
        }
        // On this machine there is nothing to keep; and whoever threw the stop is waited for elsewhere.
        std::future::pending::<()>().await;
    }

    async fn tell(&self) {
        loop {
            tokio::time::sleep(TELL).await;
            self.ledger
                .event(Event::Progress(self.ledger.progress(Bottleneck::Unknown)));
        }
    }

    async fn check_all(&self, mut lines: Lines, top: &Spot, checker: &Checker) -> Result<(), Trouble> {
        let mut sitting = FuturesUnordered::new();
        loop {
            while sitting.len() < BATCHES_AT_ONCE {
                let batch = batch(&mut lines, top).map_err(|error| Trouble::Other {
                    path: self.request.manifest.as_os_str().as_encoded_bytes().to_vec(),
                    reason: chain(&error),
                })?;
                if batch.is_empty() {
                    break;
                }
                sitting.push(async move {
                    let verdicts = checker.check(&batch).await?;
                    Ok::<_, Trouble>(batch.into_iter().zip(verdicts))
                });
            }
            let Some(judged) = sitting.next().await else {
                return Ok(());
            };
            for (claim, verdict) in judged? {
                self.judged(&claim, verdict);
            }
        }
    }

    fn judged(&self, claim: &Claim, verdict: Verdict) {
        let mut bytes = 0;
        if let Want::File { size, .. } = claim.want {
            bytes = size;
            self.ledger.files.fetch_add(1, Relaxed);
        }
        let path = claim.spot.path();
        let reason = match verdict {
            Verdict::Right => {
                if !matches!(claim.want, Want::Directory) {
                    self.ledger.copied(&path, bytes);
                }
                None
            }
            Verdict::Missing => Some("it is missing".to_owned()),
            Verdict::Differs => Some("it differs from the manifest".to_owned()),
            Verdict::Unknown(trouble) => Some(trouble.reason()),
        };
        if let Some(reason) = reason {
            self.ledger.failed_because(&path, reason);
        }
    }
}

/// Reads the manifest to its end and then from its beginning.
fn open(path: &Path) -> Result<(Lines, Totals), ManifestError> {
    let failed = |cause: io::Error| ManifestError::Io { action: "read", cause };
    let file = File::open(path).map_err(failed)?;
    let again = file.try_clone().map_err(failed)?;
    let mut totals = Totals::default();
    for entry in ManifestReader::new(BufReader::new(file))? {
        if let Entry::File { size, root, .. } = entry? {
            totals.add(size, Some(&root));
        }
    }
    let mut file = again;
    file.seek(SeekFrom::Start(0)).map_err(failed)?;
    Ok((ManifestReader::new(BufReader::new(file))?, totals))
}

/// The next lines; none at the end.
fn batch(lines: &mut Lines, top: &Spot) -> Result<Vec<Claim>, ManifestError> {
    let mut claims = Vec::new();
    let mut bytes = 0u64;
    while claims.len() < BATCH && bytes < BATCH_BYTES {
        let Some(entry) = lines.next().transpose()? else { break };
        let rel = join(&top.rel, entry.path());
        let spot = Spot {
            base: top.base.clone(),
            rel,
        };
        let want = match entry {
            Entry::File { size, root, .. } => {
                bytes = bytes.saturating_add(size);
                Want::File { size, root }
            }
            Entry::Directory { .. } => Want::Directory,
            Entry::Link { to, .. } => Want::Link { text: to.into_owned() },
        };
        claims.push(Claim {
            spot,
            want,
            source: None,
        });
    }
    Ok(claims)
}
