//! A manifest with all that the agent has to be told of it, in frames.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use renkei_store::Noun;
use renkei_store::noun::manifest::{Entry, Manifest};
use renkei_store::noun::vm::VmRow;
use renkei_types::agent::{self, FromHub, Held, LARGEST_FRAME, MachineIntent, Part, SegmentIntent};
use renkei_types::id::{SegmentId, VmId};
use renkei_types::operation::Generation;
use renkei_types::problem::Problem;
use renkei_types::template::Template;
use renkei_types::vm::Source;
use serde::Serialize;
use uuid::Uuid;

use crate::app::App;
use crate::app::vm::intent::{burial, intent};

/// How long a read may see what was there before.
const EARLY: SignedDuration = SignedDuration::from_secs(10);

/// What was meant in a manifest.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Known {
    machines: BTreeMap<VmId, (Generation, Part)>,
    segments: BTreeMap<SegmentId, Generation>,
}

impl Known {
    pub fn of(manifest: &Manifest) -> Self {
        let machine = |(vm, entry): (&VmId, &Entry)| (*vm, (entry.generation, entry.part));
        Self {
            machines: manifest.machines.iter().map(machine).collect(),
            segments: manifest.segments.clone(),
        }
    }
}

/// A manifest for an agent that holds `follows` and knows what was meant in that.
pub(super) struct Page<'a> {
    pub manifest: &'a Manifest,
    pub follows: &'a Held,
    pub known: &'a Known,
}

impl Page<'_> {
    /// Nothing if a row is not of the generation that the manifest names: what was read does not go together, and has to be read
    /// again. What a generation means never changes, so all that goes together is what was decided.
    pub async fn fill(&self, app: &App, now: Timestamp) -> Result<Option<Vec<FromHub>>, Problem> {
        let mut intents = Vec::new();
        for (vm, entry) in &self.manifest.machines {
            if self.known.machines.get(vm) == Some(&(entry.generation, entry.part)) {
                continue;
            }
            match machine(app, (*vm, entry), now).await? {
                Some(intent) => intents.push(intent),
                None => return Ok(None),
            }
        }
        let mut networks = Vec::new();
        for (segment, generation) in &self.manifest.segments {
            if self.known.segments.get(segment) == Some(generation) {
                continue;
            }
            match app.segment_intent(*segment, now).await? {
                Some(intent) if intent.generation == *generation => networks.push(intent),
                _ => return Ok(None),
            }
        }
        Ok(Some(self.cut(intents, networks)))
    }

    /// In frames that are not too large. What is told once in each is cut nowhere: it is 50 bytes a machine.
    fn cut(&self, intents: Vec<MachineIntent>, networks: Vec<SegmentIntent>) -> Vec<FromHub> {
        let empty = self.empty();
        let room = LARGEST_FRAME.saturating_sub(length(&FromHub::Manifest(empty.clone())));
        let mut pages = vec![empty];
        let mut left = room;
        let mut fits = |length: usize, pages: &mut Vec<agent::Manifest>| {
            // One for the comma.
            let length = length + 1;
            let full = pages.last().is_none_or(|page| page.intents.len() >= agent::PAGE);
            if length > left || full {
                pages.push(self.empty());
                left = room;
            }
            left = left.saturating_sub(length);
        };
        for intent in intents {
            fits(length(&intent), &mut pages);
            pages.extend_last(|page| page.intents.push(intent));
        }
        for network in networks {
            fits(length(&network), &mut pages);
            pages.extend_last(|page| page.networks.push(network));
        }
        pages.extend_last(|page| page.last = true);
        pages.into_iter().map(FromHub::Manifest).collect()
    }

    fn empty(&self) -> agent::Manifest {
        let machines = self.manifest.machines.iter();
        agent::Manifest {
            is: self.manifest.is.clone(),
            follows: self.follows.clone(),
            machines: machines.map(|(vm, entry)| (*vm, entry.generation)).collect(),
            segments: self.manifest.segments.clone(),
            intents: Vec::new(),
            networks: Vec::new(),
            last: false,
        }
    }
}

/// Does something to the last of a list that is never empty.
trait ExtendLast<T> {
    fn extend_last(&mut self, change: impl FnOnce(&mut T));
}

impl<T> ExtendLast<T> for Vec<T> {
    fn extend_last(&mut self, change: impl FnOnce(&mut T)) {
        if let Some(last) = self.last_mut() {
            change(last);
        }
    }
}

/// What is meant for a machine in this generation, if that is what the rows say.
async fn machine(app: &App, (vm, entry): (VmId, &Entry), now: Timestamp) -> Result<Option<MachineIntent>, Problem> {
    let row = read::<VmRow>(app, vm.0).await?;
    let Some(row) = row.filter(|row| row.vm.meant.generation == entry.generation) else {
        // A copy that is left over somewhere is destroyed whatever has become of the machine.
        return Ok((entry.part == Part::Gone).then(|| burial(vm, entry.generation)));
    };
    let (mut template, mut host) = (None, None);
    let found = match row.vm.source {
        // It has what it needs of them.
        _ if row.vm.made => true,
        Source::Template(id) => {
            template = read::<Template>(app, id.0).await?;
            template.is_some()
        }
        Source::Clone(id) => {
            host = read::<VmRow>(app, id.0).await?.and_then(|source| source.vm.host);
            host.is_some()
        }
    };
    // What was there when the machine was asked for, and is not, was read too early, or is gone by now.
    if !found && now < row.vm.created + EARLY {
        return Ok(None);
    }
    Ok(Some(intent(&row, template.as_ref(), entry.part, host)))
}

async fn read<N: Noun>(app: &App, id: Uuid) -> Result<Option<N>, Problem> {
    let row = app.store.state.get::<N>(id).await;
    Ok(row.map_err(|error| crate::app::state(&error))?.map(|row| row.value))
}

/// As it goes over the wire, bytes.
fn length(value: &impl Serialize) -> usize {
    serde_json::to_vec(value).map_or(usize::MAX, |bytes| bytes.len())
}
