//! Changing a host, and deleting one that has nothing.

use jiff::Timestamp;
use renkei_store::noun::contact::Contact;
use renkei_store::noun::manifest::{Issued, Manifest};
use renkei_store::{Noun, Stored};
use renkei_types::action::Action;
use renkei_types::agent::Part;
use renkei_types::host::{Host, HostPatch, HostSettings, HostState, HostStatus};
use renkei_types::id::{HostId, SiteId};
use renkei_types::name::Name;
use renkei_types::problem::{Problem, ProblemKind};
use renkei_types::site::Site;

use super::NOUN;
use super::status::is_heard;
use crate::app::decision::{Decision, Draft};
use crate::app::{Answer, App, Asked, Versioned, state};

const VERB: Action = Action::HostWrite;

/// Rows that are deleted with a host in one batch.
const AT_ONCE: u32 = 15_000;

impl App {
    /// Changes its name, state or settings.
    pub async fn change_host(
        &self,
        asked: &Asked,
        id: HostId,
        patch: HostPatch,
    ) -> Result<Answer<Versioned<HostStatus>>, Problem> {
        if let Some(settings) = &patch.settings {
            sound(settings)?;
        }
        self.decide(asked, || self.host_change(asked, id, &patch)).await
    }

    /// Deletes one that has nothing.
    pub async fn delete_host(&self, asked: &Asked, id: HostId) -> Result<Answer<()>, Problem> {
        self.decide(asked, || self.host_deletion(asked, id)).await
    }

    async fn host_change(
        &self,
        asked: &Asked,
        id: HostId,
        patch: &HostPatch,
    ) -> Result<Decision<Versioned<HostStatus>>, Problem> {
        let old = self.host_for(asked, VERB, id).await?;
        asked.unchanged(old.version)?;
        if let Some(name) = &patch.name {
            self.host_name_is_free(&old.value, name).await?;
        }
        if let Some(to) = patch.state.filter(|to| *to != old.value.state) {
            may_become(&old.value, to)?;
            if to == HostState::Fenced {
                self.is_silent(&old.value, asked.now).await?;
            }
        }
        let (patch, was) = (patch.clone(), old.value.clone());
        let new = Host {
            name: patch.name.unwrap_or(was.name),
            state: patch.state.unwrap_or(was.state),
            settings: patch.settings.unwrap_or(was.settings),
            ..was
        };
        let mut draft = Draft::new();
        draft.change(&old, &new);
        let Versioned { version, value } = Versioned::after(&old, new);
        let value = self.host_status(value, asked.now).await?;
        Ok(draft.answer(Versioned { version, value }))
    }

    pub(super) async fn host_deletion(&self, asked: &Asked, id: HostId) -> Result<Decision<()>, Problem> {
        let old = self.host_for(asked, VERB, id).await?;
        asked.unchanged(old.version)?;
        let conflict = |problem: String| Problem::new(ProblemKind::Conflict, problem);
        let name = &old.value.name;
        let contact = self.of_host::<Contact>(id).await?;
        let manifest = self.of_host::<Manifest>(id).await?;
        if let Some(manifest) = &manifest {
            let fenced = old.value.state == HostState::Fenced;
            // Of a host that is off for good, those that were to be destroyed are.
            let has = |entry: &renkei_store::noun::manifest::Entry| !fenced || entry.part != Part::Gone;
            let machines = manifest.value.machines.values().filter(|entry| has(entry)).count();
            if machines > 0 {
                let problem = conflict(format!("host `{name}` still has {machines} machines"));
                return Err(problem.hint("set it to `draining`, and shut down or destroy what stays on it"));
            }
            if !manifest.value.segments.is_empty() {
                let problem = conflict(format!("host `{name}` holds the gateways of the site's networks"));
                return Err(problem.hint("delete the networks of the site first"));
            }
        }
        if let Some(contact) = &contact {
            let unknown = contact.value.unknown.len();
            if unknown > 0 {
                let problem = conflict(format!("host `{name}` has {unknown} machines that nobody knows of"));
                return Err(problem.hint("`renkei host unknown` lists them: adopt them or destroy them"));
            }
            if contact.value.hub.is_some() && is_heard(Some(&contact.value), asked.now) {
                let problem = conflict(format!("the agent of host `{name}` is connected"));
                return Err(problem.hint("stop it first, or it would come back as a stranger"));
            }
        }
        let mut draft = Draft::new();
        self.move_gateway(&mut draft, &old.value).await?;
        draft.delete(&old);
        if let Some(manifest) = &manifest {
            draft.aside().delete(manifest);
        }
        if let Some(contact) = &contact {
            draft.aside().delete(contact);
        }
        let key = id.to_string();
        let issued = self.store.state.scan::<Issued>("host", &key, None, AT_ONCE).await;
        for issued in issued.map_err(|error| state(&error))? {
            draft.aside().delete(&issued);
        }
        Ok(draft.answer(()))
    }

    /// The oldest of the other hosts gets the site's gateways, if it was the one that had them.
    async fn move_gateway(&self, draft: &mut Draft, host: &Host) -> Result<(), Problem> {
        let site = self.get::<Site>(SiteId::NOUN, host.site.0).await?;
        if site.value.gateway != Some(host.id) {
            return Ok(());
        }
        let others = self.every::<Host>("site", &host.site.to_string()).await?;
        let others = others.iter().filter(|other| other.value.id != host.id);
        let next = others.min_by_key(|other| (other.value.created, other.value.id));
        // It must not be deleted beside this.
        next.inspect(|next| draft.expect(*next));
        let new = Site {
            gateway: next.map(|next| next.value.id),
            ..site.value.clone()
        };
        draft.change(&site, &new);
        Ok(())
    }

    /// A row that is kept by host.
    pub(super) async fn of_host<N: Noun>(&self, id: HostId) -> Result<Option<Stored<N>>, Problem> {
        let found = self.store.state.get::<N>(id.0).await;
        found.map_err(|error| state(&error))
    }

    /// A host that speaks is not off.
    async fn is_silent(&self, host: &Host, now: Timestamp) -> Result<(), Problem> {
        let contact = self.of_host::<Contact>(host.id).await?;
        let speaks = |contact: &&Stored<Contact>| contact.value.hub.is_some() && is_heard(Some(&contact.value), now);
        let Some(contact) = contact.as_ref().filter(speaks) else {
            return Ok(());
        };
        let problem = format!("the agent of host `{}` was heard at {}", host.name, contact.value.heard);
        Err(Problem::new(ProblemKind::Conflict, problem)
            .field("state")
            .hint("`fenced` says that it is off and stays off: switch it off first"))
    }

    async fn host_name_is_free(&self, host: &Host, name: &Name) -> Result<(), Problem> {
        let key = format!("{}/{}", host.site, name.folded());
        match self.find::<Host>("name", &key).await? {
            Some(other) if other.value.id != host.id => Err(crate::app::taken(NOUN, name.as_str())),
            _ => Ok(()),
        }
    }
}

fn may_become(host: &Host, to: HostState) -> Result<(), Problem> {
    let refused = |kind, problem: String| Err(Problem::new(kind, problem).field("state"));
    match (host.state, to) {
        (_, HostState::Joining | HostState::Unreachable) => refused(
            ProblemKind::Invalid,
            format!("nobody can make a host {to}: it must be ready, draining, disabled or fenced"),
        ),
        (HostState::Joining, HostState::Ready | HostState::Draining | HostState::Disabled) => refused(
            ProblemKind::Conflict,
            format!("host `{}` is joining: its agent has not reported yet", host.name),
        ),
        _ => Ok(()),
    }
}

fn sound(settings: &HostSettings) -> Result<(), Problem> {
    let HostSettings {
        vcpu_percent,
        memory_percent,
        disk_percent,
        keep_memory_mib,
        free_disk_floor_gib,
    } = *settings;
    crate::app::within("settings.vcpu_percent", vcpu_percent.into(), 1..=100_000)?;
    crate::app::within("settings.memory_percent", memory_percent.into(), 1..=10_000)?;
    crate::app::within("settings.disk_percent", disk_percent.into(), 1..=10_000)?;
    crate::app::within("settings.keep_memory_mib", keep_memory_mib, 0..=1 << 40)?;
    crate::app::within("settings.free_disk_floor_gib", free_disk_floor_gib, 0..=1 << 40)
}
