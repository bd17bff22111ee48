//! Opening the console of a machine, and reading what it said: who may, and which host is asked.

use jiff::Timestamp;
use renkei_store::noun::contact::Contact;
use renkei_store::noun::stream::StreamRow;
use renkei_types::action::Action;
use renkei_types::host::Host;
use renkei_types::id::{HostId, VmId};
use renkei_types::problem::{Problem, ProblemKind};
use renkei_types::stream::{self, Of};
use renkei_types::vm::{Power, Vm, VmState};

use super::act::Target;
use crate::app::decision::{Decision, Draft};
use crate::app::host::is_heard;
use crate::app::{App, Asked, state};

/// A stream that may be asked for.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// Of what.
    pub of: Of,
    /// The machine's host.
    pub host: Host,
}

impl App {
    /// Whether the caller may have this stream now, and from which host.
    ///
    /// # Errors
    /// When the caller may not, the machine has none, or its host does not answer.
    pub async fn stream(&self, asked: &Asked, of: Of) -> Result<Wanted, Problem> {
        let Target { row, .. } = self.console_of(asked, of.vm()).await?;
        let id = has(&row.vm, of)?;
        let host = self.get::<Host>(HostId::NOUN, id.0).await?.value;
        let contact = self.store.state.get::<Contact>(id.0).await;
        let contact = contact.map_err(|error| state(&error))?.map(|row| row.value);
        answers(&host, contact.as_ref(), asked.now)?;
        Ok(Wanted { of, host })
    }

    /// Whether the caller may still have it.
    ///
    /// # Errors
    /// When that is not so any more.
    pub async fn still_may_look_on(&self, asked: &Asked, vm: VmId) -> Result<(), Problem> {
        self.console_of(asked, vm).await.map(drop)
    }

    /// Writes down that a stream is wanted: whoever holds the host's agent asks it.
    ///
    /// # Errors
    /// When the caller may not any more, or it cannot be written.
    pub async fn want(&self, asked: &Asked, wanted: &StreamRow) -> Result<(), Problem> {
        self.decide(asked, || self.wanting(asked, wanted)).await.map(drop)
    }

    async fn wanting(&self, asked: &Asked, wanted: &StreamRow) -> Result<Decision<()>, Problem> {
        let Target { tenant, row, .. } = self.console_of(asked, wanted.of.vm()).await?;
        let mut draft = Draft::new();
        tenant.expect(&mut draft);
        draft.aside().insert(wanted);
        if let Of::Console(_) = wanted.of {
            draft.console(&row.vm);
        }
        Ok(draft.answer(()))
    }

    /// Whoever may switch a machine on and off may sit down at it.
    async fn console_of(&self, asked: &Asked, vm: VmId) -> Result<Target, Problem> {
        self.target(asked, Action::VmWrite, vm).await
    }
}

/// The host that has the machine, if it is in a state to have such a stream. What its host sees counts in the end.
fn has(vm: &Vm, of: Of) -> Result<HostId, Problem> {
    let conflict = |title: String| Problem::new(ProblemKind::Conflict, title).field("state");
    let (name, stands) = (&vm.name, vm.state());
    let Some(host) = vm.host.filter(|_| stands != VmState::Lost) else {
        let title = format!("machine `{name}` is {stands}: it is on no host that could show its console");
        return Err(conflict(title));
    };
    match of {
        Of::Console(_) if vm.seen.power != Some(Power::On) => {
            let title = format!("machine `{name}` is {stands}: its console is open only while it runs");
            let hint = format!(
                "`renkei vm console {name} --log` prints what it said last, `renkei vm power-on {name}` starts it"
            );
            Err(conflict(title).hint(hint))
        }
        Of::Console(_) | Of::Log(_) => Ok(host),
    }
}

/// Refuses a host whose agent cannot be asked.
fn answers(host: &Host, contact: Option<&Contact>, now: Timestamp) -> Result<(), Problem> {
    let unavailable = |title: String| Problem::new(ProblemKind::Unavailable, title);
    let name = &host.name;
    let Some(contact) = contact.filter(|contact| contact.hub.is_some() && is_heard(Some(contact), now)) else {
        let title = match contact {
            Some(contact) => format!(
                "host `{name}` is not connected: its agent was last heard at {:.0}",
                contact.heard
            ),
            None => format!("host `{name}` is not connected: its agent was never heard"),
        };
        let hint = "its machines go on meanwhile; try again, or ask the operators of the site";
        return Err(unavailable(title).hint(hint));
    };
    if contact.speaks < stream::SINCE {
        let title = format!("the agent of host `{name}` is too old to show consoles");
        return Err(unavailable(title).hint("the operators of the site have to upgrade it"));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
