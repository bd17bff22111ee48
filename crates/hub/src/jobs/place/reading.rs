//! What a look at a site reads, and what follows from it.

use std::collections::BTreeMap;

use jiff::Timestamp;
use renkei_store::Stored;
use renkei_store::noun::contact::Contact;
use renkei_store::noun::manifest::Manifest;
use renkei_store::noun::vm::VmRow;
use renkei_types::host::{Host, HostState, SILENCE};
use renkei_types::id::{HostId, VmId};
use renkei_types::problem::Problem;
use renkei_types::site::Site;
use renkei_types::vm::{Power, ServiceLevel};

use crate::app::App;
use crate::app::manifest::takes;
use crate::app::place::{HostRoom, Move, Room, Spot, Waits, Wanted, place};

/// Everything that was read of a site, and the moves that it leads to.
pub struct Scene {
    /// The site.
    pub site: Stored<Site>,
    /// Its hosts, with what each is meant to hold.
    pub hosts: BTreeMap<HostId, (Stored<Host>, Stored<Manifest>)>,
    /// Machines that wait, leave, or may be asked to give way.
    pub machines: BTreeMap<VmId, Stored<VmRow>>,
    /// What becomes of them.
    pub moves: Vec<Move>,
}

impl Scene {
    /// Nothing if nobody waits there.
    pub async fn read(app: &App, site: &Stored<Site>, now: Timestamp) -> Result<Option<Self>, Problem> {
        let key = site.value.id.to_string();
        let waiting = app.every::<VmRow>("waits", &key).await?;
        let hosts = app.every::<Host>("site", &key).await?;
        let draining = hosts.iter().filter(|host| host.value.state == HostState::Draining);
        let draining: Vec<HostId> = draining.map(|host| host.value.id).collect();
        if waiting.is_empty() && draining.is_empty() {
            return Ok(None);
        }
        let contacts = app.every::<Contact>("site", &key).await?;
        let contacts: BTreeMap<HostId, Contact> = contacts
            .into_iter()
            .map(|contact| (contact.value.host, contact.value))
            .collect();
        let manifests = app.every::<Manifest>("site", &key).await?;
        let mut manifests: BTreeMap<HostId, Stored<Manifest>> = manifests
            .into_iter()
            .map(|manifest| (manifest.value.host, manifest))
            .collect();
        let hosts = hosts.into_iter().filter_map(|host| {
            let manifest = manifests.remove(&host.value.id)?;
            Some((host.value.id, (host, manifest)))
        });
        let mut scene = Self {
            site: site.clone(),
            hosts: hosts.collect(),
            machines: BTreeMap::new(),
            moves: Vec::new(),
        };
        let mut wanted: Vec<Wanted> = waiting.iter().filter_map(|row| self::wanted(&row.value)).collect();
        scene.keep(waiting);
        for host in draining {
            let rows = app.every::<VmRow>("host", &VmRow::host_key(host)).await?;
            let leaving: Vec<_> = rows.into_iter().filter(|row| may_leave(&row.value)).collect();
            wanted.extend(leaving.iter().map(|row| self::leaving(&row.value, now)));
            scene.keep(leaving);
        }
        scene.decide(app, (&contacts, &wanted), now).await?;
        Ok(Some(scene))
    }

    async fn decide(
        &mut self,
        app: &App,
        (contacts, wanted): (&BTreeMap<HostId, Contact>, &[Wanted]),
        now: Timestamp,
    ) -> Result<(), Problem> {
        let rooms = self.hosts.values().map(|(host, manifest)| {
            let contact = contacts.get(&host.value.id);
            self::room(&host.value, contact, (&manifest.value, now))
        });
        let mut rooms: Vec<HostRoom> = rooms.collect();
        self.moves = place(&rooms, wanted, now);
        // Who could give way is read only when somebody needs it: it is every machine of every host.
        let guaranteed = |vm: &VmId| wanted.iter().any(|wanted| wanted.vm == *vm && wanted.guaranteed);
        let needed = self.moves.iter().any(|step| match step {
            Move::Wait { vm, what } => matches!(what, Waits::Room(_)) && guaranteed(vm),
            _ => false,
        });
        if !needed {
            return Ok(());
        }
        for room in &mut rooms {
            let rows = app.every::<VmRow>("host", &VmRow::host_key(room.id)).await?;
            room.spots = rows.iter().filter_map(|row| spot(&row.value)).collect();
            self.keep(rows);
        }
        self.moves = place(&rooms, wanted, now);
        Ok(())
    }

    fn keep(&mut self, rows: Vec<Stored<VmRow>>) {
        for row in rows {
            // What was read first is what was decided from.
            self.machines.entry(row.value.vm.id).or_insert(row);
        }
    }
}

/// A host, as far as it takes machines.
pub fn room(host: &Host, contact: Option<&Contact>, (manifest, now): (&Manifest, Timestamp)) -> HostRoom {
    let heard = contact.is_some_and(|contact| now.duration_since(contact.heard) < SILENCE);
    let free = contact.map_or(0, |contact| contact.free_disk_gib);
    let room = match host.state {
        _ if !heard => Room::Silent,
        HostState::Joining | HostState::Unreachable | HostState::Fenced => Room::Silent,
        HostState::Draining => Room::Draining,
        HostState::Disabled => Room::OnlyOwn,
        HostState::Ready if free < host.settings.free_disk_floor_gib => Room::OnlyOwn,
        HostState::Ready => Room::Open,
    };
    let machines = manifest.machines.iter().map(|(vm, entry)| (*vm, entry.takes));
    HostRoom::new(
        host.id,
        room,
        host.capacity.promised(&host.settings),
        machines.collect(),
    )
}

fn wanted(row: &VmRow) -> Option<Wanted> {
    let placing = row.placing.as_ref()?;
    // A disk that is on its way is nowhere: the move ends first.
    if row.vm.leaving.is_some() {
        return None;
    }
    Some(Wanted {
        vm: row.vm.id,
        takes: takes(&placing.meant),
        guaranteed: placing.meant.shape.service_level == ServiceLevel::Guarantee,
        since: placing.since,
        at: row.vm.host,
        leaves: false,
        stays: row.vm.host.is_some() && !is_off(row),
    })
}

/// Whether its host has confirmed that it is meant to be off, and is: then it starts it no more by itself.
fn is_off(row: &VmRow) -> bool {
    let vm = &row.vm;
    let off = vm.meant.power == Power::Off && vm.seen.power == Some(Power::Off);
    off && vm.seen.generation == vm.meant.generation
}

/// Whether a machine can leave its host: it is off, whole, and nothing is asked of it.
fn may_leave(row: &VmRow) -> bool {
    let vm = &row.vm;
    let idle = vm.operation.is_none() && row.placing.is_none() && vm.leaving.is_none() && row.pinned_by.is_empty();
    is_off(row) && idle && vm.seen.fault.is_none() && vm.made && !vm.lost && !vm.meant.tombstone
}

/// It asks nobody to give way, and comes after all who wait.
fn leaving(row: &VmRow, now: Timestamp) -> Wanted {
    Wanted {
        vm: row.vm.id,
        takes: takes(&row.vm.meant),
        guaranteed: false,
        since: now,
        at: row.vm.host,
        leaves: true,
        stays: false,
    }
}

/// A machine that can give way, or that is doing so.
fn spot(row: &VmRow) -> Option<Spot> {
    let vm = &row.vm;
    let spot = vm.meant.shape.service_level == ServiceLevel::Spot && vm.seen.power == Some(Power::On);
    let idle = vm.operation.is_none() && row.placing.is_none() && vm.leaving.is_none() && row.pinned_by.is_empty();
    let giving_way = vm.deallocated && vm.meant.power == Power::Off;
    let can = giving_way || idle && vm.meant.power == Power::On;
    (spot && can && !vm.meant.tombstone).then_some(Spot {
        vm: vm.id,
        started: vm.started,
        giving_way,
    })
}
