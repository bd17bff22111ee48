//! What is known of a host now: from its row, what it is meant to hold, and what was heard of it.

use std::collections::BTreeMap;

use jiff::Timestamp;
use renkei_store::noun::contact::Contact;
use renkei_store::noun::manifest::{Manifest, Takes};
use renkei_store::noun::vm::VmRow;
use renkei_store::read::ListQuery;
use renkei_store::{Noun, Stored};
use renkei_types::host::{Capacity, Host, HostState, HostStatus, MOST_REMAINING, Remaining, SILENCE};
use renkei_types::id::HostId;
use renkei_types::problem::Problem;
use uuid::Uuid;

use crate::app::{App, state};

impl App {
    /// Of each, without the machines that remain.
    pub(super) async fn statuses(&self, hosts: Vec<Host>, now: Timestamp) -> Result<Vec<HostStatus>, Problem> {
        let ids: Vec<Uuid> = hosts.iter().map(|host| host.id.0).collect();
        let contacts = self.of_hosts::<Contact>(&ids).await?;
        let manifests = self.of_hosts::<Manifest>(&ids).await?;
        let status = |host: Host| {
            let id = host.id;
            status(host, (contacts.get(&id), manifests.get(&id)), now)
        };
        Ok(hosts.into_iter().map(status).collect())
    }

    /// Of one.
    pub(super) async fn host_status(&self, host: Host, now: Timestamp) -> Result<HostStatus, Problem> {
        let (id, draining) = (host.id, host.state == HostState::Draining);
        let mut statuses = self.statuses(vec![host], now).await?;
        let mut status = statuses.pop().ok_or_else(|| super::super::missing(super::NOUN, id.0))?;
        if draining {
            status.remaining = self.remaining(id).await?;
        }
        Ok(status)
    }

    async fn remaining(&self, host: HostId) -> Result<Vec<Remaining>, Problem> {
        let most = u32::try_from(MOST_REMAINING).unwrap_or(u32::MAX);
        let key = VmRow::host_key(host);
        let rows = self.store.state.scan::<VmRow>("host", &key, None, most).await;
        let rows = rows.map_err(|error| state(&error))?;
        let remaining = rows.into_iter().map(|row| {
            let vm = row.value.vm;
            Remaining {
                id: vm.id,
                state: vm.state(),
                name: vm.name,
                project: vm.project,
            }
        });
        Ok(remaining.collect())
    }

    /// The row of each host in a table that is kept by host.
    async fn of_hosts<N: Noun>(&self, ids: &[Uuid]) -> Result<BTreeMap<HostId, N>, Problem> {
        let query = ListQuery {
            ids: Some(ids.to_vec()),
            limit: u32::try_from(ids.len()).unwrap_or(u32::MAX),
            ..ListQuery::default()
        };
        let rows = self.store.read.list::<N>(&query).await;
        let rows: Vec<Stored<N>> = rows.map_err(|error| state(&error))?;
        Ok(rows
            .into_iter()
            .map(|row| (HostId(row.value.id()), row.value))
            .collect())
    }
}

/// Whether an agent is connected that was heard just now.
pub fn is_heard(contact: Option<&Contact>, now: Timestamp) -> bool {
    contact.is_some_and(|contact| now.duration_since(contact.heard) < SILENCE)
}

fn status(mut host: Host, (contact, manifest): (Option<&Contact>, Option<&Manifest>), now: Timestamp) -> HostStatus {
    let promised = host.capacity.promised(&host.settings);
    let machines = manifest.map(|manifest| &manifest.machines);
    let entries = machines.into_iter().flat_map(BTreeMap::values);
    let taken = entries.fold(Takes::default(), |sum, entry| Takes {
        vcpus: sum.vcpus.saturating_add(entry.takes.vcpus),
        memory_mib: sum.memory_mib.saturating_add(entry.takes.memory_mib),
        disk_gib: sum.disk_gib.saturating_add(entry.takes.disk_gib),
    });
    let speaks = matches!(host.state, HostState::Ready | HostState::Draining | HostState::Disabled);
    if speaks && !is_heard(contact, now) {
        host.state = HostState::Unreachable;
    }
    HostStatus {
        host,
        promised,
        taken: Capacity {
            vcpus: taken.vcpus,
            memory_mib: taken.memory_mib,
            disk_gib: taken.disk_gib,
            gpus: 0,
        },
        free_disk_gib: contact.map_or(0, |contact| contact.free_disk_gib),
        heard: contact.map(|contact| contact.heard),
        machines: number(machines.map_or(0, BTreeMap::len)),
        unknown: number(contact.map_or(0, |contact| contact.unknown.len())),
        remaining: Vec::new(),
    }
}

fn number(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}
