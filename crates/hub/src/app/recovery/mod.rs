//! A site in recovery: what differs between the database, which was set back, and the hosts, which were not; and how it goes on.
//!
//! Since the recovery began nothing was ordered of the site's hosts, and what they have listed was only kept. When all have listed,
//! an administrator looks at the difference and lets the site go on: then, in one batch, what runs is meant to run, and every host
//! gets a manifest of the new epoch.

mod compare;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use renkei_policy::Resource;
use renkei_store::noun::contact::Contact;
use renkei_store::noun::manifest::Manifest;
use renkei_store::noun::vm::VmRow;
use renkei_store::{Batch, Stored};
use renkei_types::action::Action;
use renkei_types::agent::{MachineSeen, Part};
use renkei_types::host::{Host, HostState};
use renkei_types::id::{HostId, SiteId, VmId};
use renkei_types::operation::{Operation, OperationState};
use renkei_types::problem::{Problem, ProblemKind};
use renkei_types::recovery::{Difference, DifferenceKind, HostListing};
use renkei_types::site::{Recovery, Site};
use renkei_types::vm::Source;

use self::compare::{Compared, Seen, compare, mend, outbid};
use super::decision::{Decision, Draft};
use super::manifest::{self, Change};
use super::vm::outcome::ended;
use super::{Answer, App, Asked, Versioned};

/// Everything that a decision about a site in recovery rests on.
struct Recovering {
    site: Stored<Site>,
    recovery: Recovery,
    hosts: Vec<Stored<Host>>,
    contacts: BTreeMap<HostId, Stored<Contact>>,
    manifests: BTreeMap<HostId, Stored<Manifest>>,
    rows: BTreeMap<VmId, Stored<VmRow>>,
}

impl App {
    /// What differs at a site in recovery.
    pub async fn difference(&self, asked: &Asked, site: SiteId) -> Result<Difference, Problem> {
        asked.may(Action::HostRead, &Resource::Site(site))?;
        let all = self.in_recovery(site).await?;
        let machines = all.compared().into_iter().map(|compared| compared.told).collect();
        Ok(Difference {
            site,
            hosts: all.listings(),
            machines,
            recovery: all.recovery,
        })
    }

    /// The site goes on: what is seen becomes what is meant where a host knows more than the database.
    pub async fn recovered(&self, asked: &Asked, site: SiteId) -> Result<Answer<Versioned<Site>>, Problem> {
        asked.may(Action::SiteAdminister, &Resource::Site(site))?;
        if asked.mode == super::Mode::Apply {
            // All that will be issued must be later than all that was heard. Whoever put the site into recovery did this; if that
            // hub is gone since, it is done now.
            let all = self.in_recovery(site).await?;
            all.complete()?;
            let heard = all.contacts.values().map(|contact| contact.value.held.epoch).max();
            crate::link::raise_epoch(self, heard.unwrap_or_default()).await?;
        }
        self.decide(asked, || self.end_of_recovery(asked, site)).await
    }

    async fn in_recovery(&self, site: SiteId) -> Result<Recovering, Problem> {
        let row = self.get::<Site>(SiteId::NOUN, site.0).await?;
        let Some(recovery) = row.value.recovery.clone() else {
            let title = format!("site `{}` is not in recovery", row.value.name);
            return Err(Problem::new(ProblemKind::Conflict, title));
        };
        let key = site.to_string();
        let hosts = self.every::<Host>("site", &key).await?;
        let contacts = self.every::<Contact>("site", &key).await?;
        let contacts: BTreeMap<_, _> = contacts
            .into_iter()
            .map(|contact| (contact.value.host, contact))
            .collect();
        let (mut rows, mut manifests) = (BTreeMap::new(), BTreeMap::new());
        for host in &hosts {
            manifests.insert(host.value.id, self.manifest(host.value.id).await?);
            for row in self.every::<VmRow>("host", &VmRow::host_key(host.value.id)).await? {
                rows.insert(row.value.vm.id, row);
            }
        }
        for id in listed(&contacts, &recovery).flat_map(|(_, holding)| holding.machines.keys()) {
            if !rows.contains_key(id)
                && let Some(row) = self.row_of(*id).await?
            {
                rows.insert(*id, row);
            }
        }
        Ok(Recovering {
            site: row,
            recovery,
            hosts,
            contacts,
            manifests,
            rows,
        })
    }

    async fn row_of(&self, id: VmId) -> Result<Option<Stored<VmRow>>, Problem> {
        let row = self.store.state.get::<VmRow>(id.0).await;
        row.map_err(|error| super::state(&error))
    }

    async fn end_of_recovery(&self, asked: &Asked, site: SiteId) -> Result<Decision<Versioned<Site>>, Problem> {
        asked.may(Action::SiteAdminister, &Resource::Site(site))?;
        let mut all = self.in_recovery(site).await?;
        asked.unchanged(all.site.version)?;
        all.complete()?;
        let mut draft = Draft::new();
        let mut changes = Vec::new();
        let mut mended: BTreeMap<VmId, VmRow> = BTreeMap::new();
        for Compared { seen, told } in all.compared() {
            let (Some(seen), Some(row)) = (seen, all.rows.get(&told.vm)) else {
                continue;
            };
            let mut done = mend(&row.value, &seen, asked.now);
            changes.append(&mut done.manifests);
            self.close_operation(&mut draft, (&row.value, &mut done.row), asked)
                .await?;
            mended.insert(told.vm, done.row);
        }
        for (row, machine) in all.gone() {
            if let Some(mut done) = outbid(&row.value, machine).filter(|_| !mended.contains_key(&machine.id)) {
                changes.append(&mut done.manifests);
                match done.row.vm.made && !done.row.vm.meant.tombstone {
                    true => {
                        self.close_operation(&mut draft, (&row.value, &mut done.row), asked)
                            .await?;
                    }
                    false => self.follow(&mut draft, &done.row).await?,
                }
                mended.insert(machine.id, done.row);
            }
        }
        changes.extend(all.reburied(&changes));
        self.unpin(&mut all.rows, &mut mended).await?;
        for (vm, new) in &mended {
            match all.rows.get(vm) {
                Some(old) if old.value != *new => draft.change(old, new),
                Some(old) => draft.expect(old),
                None => {}
            }
        }
        self.anew(draft.aside(), &all, changes).await?;
        for contact in all.contacts.values() {
            draft.expect(contact);
        }
        let new = Site {
            recovery: None,
            ..all.site.value.clone()
        };
        draft.change(&all.site, &new);
        Ok(draft.answer(Versioned::after(&all.site, new)))
    }

    /// What was asked for before is neither done nor failed by anything that this database knows.
    async fn close_operation(
        &self,
        draft: &mut Draft,
        (before, after): (&VmRow, &mut VmRow),
        asked: &Asked,
    ) -> Result<(), Problem> {
        let Some(id) = before.vm.operation else {
            return Ok(());
        };
        if after == before {
            return Ok(());
        }
        after.vm.operation = None;
        let found = self.store.state.get::<Operation>(id.0).await;
        if let Some(operation) = found.map_err(|error| super::state(&error))?
            && !operation.value.state.ended()
        {
            let mut new = ended(&operation.value, OperationState::Superseded, asked.now);
            new.error = Some("the database was set back; the machine is now meant to be as its host has it".to_owned());
            draft.aside().update(&operation, &new);
        }
        Ok(())
    }

    /// What is to make a machine that is not whole, or to destroy one, goes on with the generation that is meant now.
    async fn follow(&self, draft: &mut Draft, row: &VmRow) -> Result<(), Problem> {
        let open = self.open_operation(row.vm.operation).await?;
        if let Some(operation) = open.filter(|operation| !operation.value.state.ended()) {
            let new = Operation {
                generation: row.vm.meant.generation,
                ..operation.value.clone()
            };
            draft.aside().update(&operation, &new);
        }
        Ok(())
    }

    /// A machine that is whole by now holds nothing of the one that it was copied from.
    async fn unpin(
        &self,
        rows: &mut BTreeMap<VmId, Stored<VmRow>>,
        mended: &mut BTreeMap<VmId, VmRow>,
    ) -> Result<(), Problem> {
        let copies: Vec<(VmId, VmId)> = mended
            .values()
            .filter_map(|row| match row.vm.source {
                Source::Clone(source) if row.vm.made => Some((source, row.vm.id)),
                Source::Clone(_) | Source::Template(_) => None,
            })
            .collect();
        for (source, copy) in copies {
            if !rows.contains_key(&source)
                && let Some(row) = self.row_of(source).await?
            {
                rows.insert(source, row);
            }
            if let Some(row) = rows.get(&source) {
                let row = mended.entry(source).or_insert_with(|| row.value.clone());
                row.pinned_by.retain(|pin| *pin != copy.0);
            }
        }
        Ok(())
    }

    /// Every host gets a manifest of the new epoch, whether it differs or not: what it holds was never issued.
    async fn anew(
        &self,
        batch: &mut Batch,
        all: &Recovering,
        changes: Vec<(HostId, (VmId, Change))>,
    ) -> Result<(), Problem> {
        for (host, old) in &all.manifests {
            let mut new: Manifest = old.value.clone();
            for (_, (vm, change)) in changes.iter().filter(|(at, _)| at == host) {
                manifest::change(&mut new.machines, *vm, *change);
            }
            manifest::again(self, batch, old, new).await?;
        }
        Ok(())
    }
}

impl Recovering {
    /// Refuses while a host that is not fenced has not told what it holds.
    fn complete(&self) -> Result<(), Problem> {
        let missing: Vec<String> = self
            .listings()
            .into_iter()
            .filter(|host| !host.listed && !host.fenced)
            .map(|host| format!("`{}`", host.name))
            .collect();
        if !missing.is_empty() {
            let title = format!("not all hosts have told what they hold: {}", missing.join(", "));
            let problem = Problem::new(ProblemKind::Conflict, title);
            return Err(problem
                .hint("wait until they are connected; if one is off for good, fence it: `renkei host fenced HOST`"));
        }
        Ok(())
    }

    fn listings(&self) -> Vec<HostListing> {
        let one = |host: &Stored<Host>| HostListing {
            host: host.value.id,
            name: host.value.name.clone(),
            listed: listed(&self.contacts, &self.recovery).any(|(listed, _)| listed == host.value.id),
            fenced: host.value.state == HostState::Fenced,
        };
        self.hosts.iter().map(one).collect()
    }

    /// Machines that the host which is meant to have them knows, and does not have.
    fn gone(&self) -> impl Iterator<Item = (&Stored<VmRow>, &MachineSeen)> {
        listed(&self.contacts, &self.recovery).flat_map(move |(host, holding)| {
            let machines = holding.machines.values().filter(|machine| !machine.there);
            machines.filter_map(move |machine| {
                let row = self.rows.get(&machine.id)?;
                (row.value.vm.host == Some(host)).then_some((row, machine))
            })
        })
    }

    /// Whether a host is to destroy this copy by what the database has decided, which knows all that became of it.
    fn is_left_over(&self, host: HostId, machine: &MachineSeen) -> bool {
        let manifest = self.manifests.get(&host);
        let entry = manifest.and_then(|manifest| manifest.value.machines.get(&machine.id));
        entry.is_some_and(|entry| entry.part == Part::Gone && entry.generation >= machine.generation)
    }

    /// Copies that are to be destroyed and of which their hosts know more than the database, as far as nothing else becomes of them.
    fn reburied(&self, changes: &[(HostId, (VmId, Change))]) -> Vec<(HostId, (VmId, Change))> {
        let mut reburied = Vec::new();
        for (host, holding) in listed(&self.contacts, &self.recovery) {
            let Some(manifest) = self.manifests.get(&host) else {
                continue;
            };
            for (vm, machine) in &holding.machines {
                let decided = changes.iter().any(|(at, (of, _))| (*at, *of) == (host, *vm));
                let entry = manifest.value.machines.get(vm).filter(|entry| entry.part == Part::Gone);
                let row = self.rows.get(vm).map(|row| &row.value);
                // One under a tombstone at its own host is changed with its row.
                let own = row.is_some_and(|row| [row.vm.host, row.vm.leaving].contains(&Some(host)));
                if let Some(entry) = entry.filter(|_| !decided && !own) {
                    let change = compare::rebury(row, entry.generation, machine);
                    reburied.extend(change.map(|change| (host, (*vm, change))));
                }
            }
        }
        reburied
    }

    fn compared(&self) -> Vec<Compared> {
        let mut seen: BTreeMap<VmId, Vec<Seen>> = BTreeMap::new();
        for (host, holding) in listed(&self.contacts, &self.recovery) {
            let machines = holding.machines.values().filter(|machine| machine.there);
            for machine in machines.filter(|machine| !self.is_left_over(host, machine)) {
                let machine = machine.clone();
                seen.entry(machine.id).or_default().push(Seen { host, machine });
            }
        }
        let rows = self.rows.values().map(|row| &row.value);
        let mut compared = compare(rows, seen, |host| {
            listed(&self.contacts, &self.recovery).any(|(listed, _)| listed == host)
        });
        // Of a machine that is gone a host may still have a copy under a tombstone, if it was fenced: see `reburied`.
        let unknown = compared
            .iter_mut()
            .filter(|one| one.told.kind == DifferenceKind::Unknown);
        for Compared { told, .. } in unknown {
            let manifest = told.host.and_then(|host| self.manifests.get(&host));
            if manifest.is_some_and(|manifest| manifest.value.machines.contains_key(&told.vm)) {
                told.kind = DifferenceKind::Tombstone;
            }
        }
        compared
    }
}

/// Hosts that have listed all that they hold since this recovery began.
fn listed<'a>(
    contacts: &'a BTreeMap<HostId, Stored<Contact>>,
    recovery: &'a Recovery,
) -> impl Iterator<Item = (HostId, &'a renkei_store::noun::contact::Holding)> {
    contacts.values().filter_map(|contact| {
        let contact = &contact.value;
        let holding = contact.holding.as_ref()?;
        (contact.listed && holding.recovery == recovery.since).then_some((contact.host, holding))
    })
}
