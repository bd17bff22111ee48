//! What a copy can prove in the end: that the target holds what was read (`--verify`), and a list of it (`--manifest`).
//!
//! While the copy runs, everything that stands at the target goes into a spool. When all of it stands, the spool is read
//! once: files that this copy did not read are hashed at the source, everything is checked at the target if that was asked
//! for, and what is right goes into the manifest. Neither is done for a copy that did not come to its end.

pub mod check;
mod claims;
mod court;
mod hash_command;
mod spool;
pub mod verify;

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use renkei_types::tree_hash::Root as Hash;

use self::court::Court;
use self::spool::{Entry, Spool, What};
use super::endpoint::landing::{last_name, trimmed};
use super::endpoint::spot::Spot;
use super::lane::item::Item;
use super::ledger::Ledger;
use super::resume::log::Log;
use super::server::Server;
use super::stop::Stop;
use super::trouble::{Trouble, chain};
use super::walk::Placed;
use crate::event::Verified;
use crate::manifest::{ManifestError, ManifestWriter};
use crate::request::Request;

/// Collects what stands at the target, where that was asked for.
#[derive(Default)]
pub struct Proof {
    collected: Option<Mutex<Collected>>,
}

struct Collected {
    spool: Result<Spool, String>,
    places: HashMap<u32, Place>,
}

/// Where a source came from and went to.
pub struct Place {
    pub source: Spot,
    pub target: Spot,
    /// Its path below the target as typed, as it stands in the manifest.
    pub listed: Vec<u8>,
}

/// What a settlement needs besides what was collected.
pub struct Settlement<'a> {
    pub request: &'a Request,
    pub ledger: &'a Arc<Ledger>,
    pub log: &'a Log,
    pub stop: &'a Stop,
    /// Servers of sources; only asked where a source has to be read again.
    pub sources: Vec<Arc<Server>>,
    /// None: the target is on this machine.
    pub target: Option<Arc<Server>>,
    /// A number that no file of the journal has, and all above it.
    pub serial: u64,
}

impl Proof {
    /// For a request that may want no proof at all.
    ///
    /// # Errors
    /// The manifest cannot be written where it shall be.
    pub fn new(request: &Request) -> Result<Self, ManifestError> {
        if let (Some(path), false) = (&request.manifest, request.dry_run) {
            // Not to be found out after the last of many files; dropping it removes it again.
            drop(ManifestWriter::create(path)?);
        }
        let wanted = (request.verify || request.manifest.is_some()) && !request.dry_run;
        let collected = wanted.then(|| {
            Mutex::new(Collected {
                spool: Spool::create().map_err(|error| chain(&error)),
                places: HashMap::new(),
            })
        });
        Ok(Self { collected })
    }

    fn collected(&self) -> Option<MutexGuard<'_, Collected>> {
        let collected = self.collected.as_ref()?;
        Some(collected.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// A source goes to a place; `target` is the target as typed, `landed` the path of the place.
    pub fn placed(&self, placed: &Placed, target: &[u8], landed: &[u8]) {
        if let Some(mut collected) = self.collected() {
            let place = Place {
                source: placed.source.clone(),
                target: placed.target.clone(),
                listed: listed(target, landed, placed.facts.is_dir()),
            };
            collected.places.insert(placed.index, place);
        }
    }

    /// A file stands at the target; `root` is the hash of what was read, none if nothing was read.
    pub fn file(&self, item: &Item, size: u64, root: Option<Hash>) {
        self.add(item.source_index, &item.below, || What::File { size, root });
    }

    pub fn directory(&self, source: u32, below: &[u8]) {
        self.add(source, below, || What::Directory);
    }

    pub fn link(&self, source: u32, below: &[u8], text: &[u8]) {
        self.add(source, below, || What::Link { text: text.to_vec() });
    }

    fn add(&self, source: u32, below: &[u8], what: impl FnOnce() -> What) {
        let Some(mut collected) = self.collected() else { return };
        let Ok(spool) = &mut collected.spool else { return };
        let entry = Entry {
            source,
            below: below.to_vec(),
            what: what(),
        };
        if let Err(error) = spool.add(&entry) {
            collected.spool = Err(chain(&error));
        }
    }

    /// Verifies and writes the manifest, as far as that was asked for. What is wrong is told as failures of the files.
    ///
    /// # Errors
    /// Only that everything ends.
    pub async fn settle(&self, settlement: Settlement<'_>) -> Result<Verified, Trouble> {
        let Some(collected) = &self.collected else {
            return Ok(Verified::No);
        };
        let collected = {
            let mut collected = collected.lock().unwrap_or_else(PoisonError::into_inner);
            let spool = std::mem::replace(&mut collected.spool, Err("it was read already".into()));
            Collected {
                spool,
                places: std::mem::take(&mut collected.places),
            }
        };
        let ledger = settlement.ledger;
        let opened = collected.spool.and_then(|spool| {
            let totals = spool.totals();
            spool
                .read()
                .map(|reader| (reader, totals))
                .map_err(|error| chain(&error))
        });
        let (reader, totals) = match opened {
            Ok(opened) => opened,
            Err(reason) => {
                let path = settlement.request.manifest.as_deref().unwrap_or(Path::new("--verify"));
                let reason = format!("the list of the files that were copied cannot be kept: {reason}");
                ledger.failed_because(path.as_os_str().as_encoded_bytes(), reason);
                return Ok(Verified::No);
            }
        };
        Court::new(settlement, collected.places, totals).sit(reader).await
    }
}

/// The path of what landed at `landed`, below the target; both as the target side knows them.
fn listed(target: &[u8], landed: &[u8], is_dir: bool) -> Vec<u8> {
    let (target, landed) = (trimmed(target), trimmed(landed));
    let below = landed.strip_prefix(target.as_slice()).unwrap_or(&landed);
    let parts: Vec<&[u8]> = below
        .split(|&byte| byte == b'/')
        .filter(|part| !matches!(*part, b"" | b"."))
        .collect();
    if parts.is_empty() && !is_dir {
        // The target as typed is the file.
        return last_name(&landed).unwrap_or_default().to_vec();
    }
    parts.join(&b'/')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_names_what_stands_below_the_target_as_typed() {
        for (target, landed, is_dir, path) in [
            ("t", "t", true, ""),
            ("t/", "t/d", true, "d"),
            ("t//", "t//d", true, "d"),
            ("t", "t/.", true, ""),
            (".", "./d", true, "d"),
            ("/", "/d", true, "d"),
            ("t", "t/a", false, "a"),
            ("dir/b.txt", "dir/b.txt", false, "b.txt"),
            (".", "d", true, "d"),
        ] {
            let path = path.as_bytes();
            assert_eq!(
                listed(target.as_bytes(), landed.as_bytes(), is_dir),
                path,
                "{target} {landed}"
            );
        }
    }
}
