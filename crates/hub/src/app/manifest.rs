//! What hosts are meant to hold, and how that changes: one version after the other, each written down before anybody is told of it.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry as Slot;

use jiff::Timestamp;
use renkei_store::noun::manifest::{Entry, Issued, Manifest, Takes};
use renkei_store::{Batch, Stored};
use renkei_types::agent::{Held, Part};
use renkei_types::id::{HostId, SiteId, VmId};
use renkei_types::operation::Generation;
use renkei_types::problem::Problem;
use renkei_types::vm::{Meant, Power, ServiceLevel};
use uuid::Uuid;

use super::App;

/// What happens to a machine's entry in a host's manifest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// The host is to make this generation so. Until it is, the machine takes what it took and what this takes, the greater of each.
    Run(Generation, Takes),
    /// What the host was to make so is so: it takes this, no more.
    Settle(Takes),
    /// The host is to keep the disk, and the machine off, while another one copies it. It takes what it took.
    Keep(Generation),
    /// The host is to destroy it. It takes what it took.
    Gone(Generation),
    /// The host has nothing to do with it any more.
    Remove,
}

/// What a machine takes of its host: disk always; processors and memory while it runs or is suspended, and always if they are
/// guaranteed.
pub fn takes(meant: &Meant) -> Takes {
    let disk_gib = meant.shape.disk_gib();
    match (meant.power, meant.shape.service_level) {
        (Power::Off, ServiceLevel::Spot) => Takes {
            disk_gib,
            ..Takes::default()
        },
        (Power::On | Power::Suspended, _) | (Power::Off, ServiceLevel::Guarantee) => Takes {
            vcpus: meant.shape.vcpus,
            memory_mib: meant.shape.memory_mib,
            disk_gib,
        },
    }
}

/// The greater of each.
pub fn both(one: Takes, other: Takes) -> Takes {
    Takes {
        vcpus: one.vcpus.max(other.vcpus),
        memory_mib: one.memory_mib.max(other.memory_mib),
        disk_gib: one.disk_gib.max(other.disk_gib),
    }
}

/// Changes one machine's entry.
pub fn change(machines: &mut BTreeMap<VmId, Entry>, vm: VmId, change: Change) {
    let took = machines.get(&vm).map_or(Takes::default(), |entry| entry.takes);
    let entry = |generation, part, takes| Entry {
        generation,
        part,
        takes,
    };
    let new = match change {
        Change::Run(generation, takes) => entry(generation, Part::Run, both(took, takes)),
        Change::Keep(generation) => entry(generation, Part::Keep, took),
        Change::Gone(generation) => entry(generation, Part::Gone, took),
        Change::Settle(takes) => {
            if let Some(entry) = machines.get_mut(&vm) {
                entry.takes = takes;
            }
            return;
        }
        Change::Remove => {
            machines.remove(&vm);
            return;
        }
    };
    machines.insert(vm, new);
}

/// The manifest of a host that joins: nothing, and no version yet.
pub fn first(batch: &mut Batch, host: HostId, site: SiteId) {
    batch.insert(&Manifest {
        host,
        site,
        is: Held::default(),
        machines: BTreeMap::new(),
        segments: BTreeMap::new(),
    });
}

/// Makes `new` what the host is meant to hold, in the next version. Nothing if it differs in nothing.
pub async fn issue(app: &App, batch: &mut Batch, old: &Stored<Manifest>, new: Manifest) -> Result<(), Problem> {
    if old.machines == new.machines && old.segments == new.segments {
        return Ok(());
    }
    again(app, batch, old, new).await
}

/// The same, also if it differs in nothing: an epoch has begun.
pub async fn again(app: &App, batch: &mut Batch, old: &Stored<Manifest>, new: Manifest) -> Result<(), Problem> {
    let identity = app.store.identity().await.map_err(|error| super::state(&error))?;
    let mut new = new;
    // Never an older one: another hub may have raised the epoch, and have written this manifest, since we asked.
    new.is.epoch = u64::from(identity.epoch).max(old.is.epoch);
    new.is.version = old.is.version + 1;
    // Drawn, so that the same list issued twice, by a database and by a copy of it from before, is two manifests.
    let drawn = app.draw(Timestamp::UNIX_EPOCH);
    new.is.digest = digest((identity.run, drawn), &old.is, &new);
    let issued = Issued {
        id: issued_id(&new),
        host: new.host,
        is: new.is.clone(),
    };
    batch.update(old, &new);
    batch.insert(&issued);
    Ok(())
}

/// Chains a manifest to the one before.
fn digest((run, drawn): (Uuid, Uuid), before: &Held, new: &Manifest) -> String {
    let mut hasher = blake3::Hasher::new_derive_key("renkei 2026-11 manifest");
    hasher.update(&new.is.epoch.to_be_bytes());
    hasher.update(run.as_bytes());
    hasher.update(drawn.as_bytes());
    hasher.update(new.host.0.as_bytes());
    hasher.update(&new.is.version.to_be_bytes());
    // The lengths keep what follows apart.
    hasher.update(&(before.digest.len() as u64).to_be_bytes());
    hasher.update(before.digest.as_bytes());
    hasher.update(&(new.machines.len() as u64).to_be_bytes());
    for (vm, entry) in &new.machines {
        let part = match entry.part {
            Part::Run => 0,
            Part::Keep => 1,
            Part::Gone => 2,
        };
        hasher.update(vm.0.as_bytes());
        hasher.update(&entry.generation.0.to_be_bytes());
        hasher.update(&[part]);
    }
    hasher.update(&(new.segments.len() as u64).to_be_bytes());
    for (segment, generation) in &new.segments {
        hasher.update(segment.0.as_bytes());
        hasher.update(&generation.0.to_be_bytes());
    }
    hasher.finalize().to_hex().to_string()
}

/// It follows from what was issued, which is there once.
fn issued_id(new: &Manifest) -> Uuid {
    let mut bytes = [0; 16];
    let hash = blake3::hash(format!("{} {}", new.host, new.is.digest).as_bytes());
    bytes.copy_from_slice(&hash.as_bytes()[..16]);
    uuid::Builder::from_custom_bytes(bytes).into_uuid()
}

impl App {
    /// A host's.
    pub async fn manifest(&self, host: HostId) -> Result<Stored<Manifest>, Problem> {
        self.get::<Manifest>(HostId::NOUN, host.0).await
    }
}

/// The manifests that one decision changes: each is read once and issued once, however many machines it is about.
#[derive(Debug, Default)]
pub struct Manifests {
    of: BTreeMap<HostId, (Stored<Manifest>, Manifest)>,
}

impl Manifests {
    /// A machine's entry at a host, as this decision has it by now.
    pub async fn entry(&mut self, app: &App, host: HostId, vm: VmId) -> Result<Option<Entry>, Problem> {
        Ok(self.of(app, host).await?.machines.get(&vm).copied())
    }

    /// Changes a machine's entry at a host.
    pub async fn change(&mut self, app: &App, host: HostId, (vm, change): (VmId, Change)) -> Result<(), Problem> {
        self::change(&mut self.of(app, host).await?.machines, vm, change);
        Ok(())
    }

    /// Writes all that differ.
    pub async fn issue(self, app: &App, batch: &mut Batch) -> Result<(), Problem> {
        for (old, new) in self.of.into_values() {
            issue(app, batch, &old, new).await?;
        }
        Ok(())
    }

    async fn of(&mut self, app: &App, host: HostId) -> Result<&mut Manifest, Problem> {
        let (_, new) = match self.of.entry(host) {
            Slot::Occupied(known) => known.into_mut(),
            Slot::Vacant(free) => {
                let old = app.manifest(host).await?;
                let new = old.value.clone();
                free.insert((old, new))
            }
        };
        Ok(new)
    }
}

#[cfg(test)]
mod tests {
    use renkei_store::Store;

    use super::*;

    fn entry(generation: u64, part: Part, vcpus: u32) -> Entry {
        Entry {
            generation: Generation(generation),
            part,
            takes: room(vcpus, 10),
        }
    }

    fn room(vcpus: u32, disk_gib: u64) -> Takes {
        Takes {
            vcpus,
            memory_mib: u64::from(vcpus) * 1024,
            disk_gib,
        }
    }

    #[test]
    fn an_entry_takes_what_it_took_until_it_is_settled() {
        let vm = VmId(Uuid::nil());
        let mut machines = BTreeMap::new();
        change(&mut machines, vm, Change::Run(Generation(1), room(4, 10)));
        assert_eq!(machines[&vm], entry(1, Part::Run, 4));
        change(&mut machines, vm, Change::Run(Generation(2), room(0, 10)));
        assert_eq!(machines[&vm], entry(2, Part::Run, 4));
        change(&mut machines, vm, Change::Settle(room(0, 10)));
        assert_eq!(machines[&vm], entry(2, Part::Run, 0));
        change(&mut machines, vm, Change::Keep(Generation(3)));
        assert_eq!(machines[&vm], entry(3, Part::Keep, 0));
        change(&mut machines, vm, Change::Gone(Generation(4)));
        assert_eq!(machines[&vm], entry(4, Part::Gone, 0));
        change(&mut machines, vm, Change::Remove);
        change(&mut machines, vm, Change::Settle(room(9, 9)));
        assert!(machines.is_empty());
    }

    #[tokio::test]
    async fn every_version_follows_the_one_before_and_is_written_down() {
        let app = App::new(Store::memory());
        let host = HostId(Uuid::now_v7());
        let mut batch = Batch::new();
        first(&mut batch, host, SiteId(Uuid::now_v7()));
        app.store.state.commit(batch).await.unwrap();
        let mut digests = std::collections::BTreeSet::new();
        for round in 1..=5 {
            let mut manifests = Manifests::default();
            for vm in 0..3 {
                let vm = VmId(Uuid::from_u128(vm));
                let change = Change::Run(Generation(round), room(1, 1));
                manifests.change(&app, host, (vm, change)).await.unwrap();
            }
            let mut batch = Batch::new();
            manifests.issue(&app, &mut batch).await.unwrap();
            app.store.state.commit(batch).await.unwrap();
            let is = app.manifest(host).await.unwrap().value.is;
            assert_eq!((is.epoch, is.version), (1, round));
            let key = Issued::manifest_key(host, &is);
            assert_eq!(app.find::<Issued>("manifest", &key).await.unwrap().unwrap().is, is);
            assert!(digests.insert(is.digest));
        }
        let mut batch = Batch::new();
        let mut same = Manifests::default();
        let vm = VmId(Uuid::from_u128(0));
        assert_eq!(
            same.entry(&app, host, vm).await.unwrap().unwrap().generation,
            Generation(5)
        );
        same.issue(&app, &mut batch).await.unwrap();
        assert!(batch.is_empty());
    }

    #[test]
    fn a_digest_covers_all_that_an_agent_obeys() {
        let host = HostId(Uuid::from_u128(7));
        let vm = VmId(Uuid::from_u128(1));
        let (run, held) = ((Uuid::from_u128(9), Uuid::from_u128(1)), Held::default());
        let manifest = |generation, part| Manifest {
            host,
            site: SiteId(Uuid::nil()),
            is: Held::default(),
            machines: BTreeMap::from([(vm, entry(generation, part, 1))]),
            segments: BTreeMap::new(),
        };
        let base = digest(run, &held, &manifest(1, Part::Run));
        assert_eq!(base, digest(run, &held, &manifest(1, Part::Run)));
        assert_ne!(base, digest(run, &held, &manifest(2, Part::Run)));
        assert_ne!(base, digest(run, &held, &manifest(1, Part::Gone)));
        for (other, drawn) in [(Uuid::nil(), run.1), (run.0, Uuid::nil())] {
            assert_ne!(base, digest((other, drawn), &held, &manifest(1, Part::Run)));
        }
        let later = Held {
            digest: base.clone(),
            ..held
        };
        assert_ne!(base, digest(run, &later, &manifest(1, Part::Run)));
    }
}
