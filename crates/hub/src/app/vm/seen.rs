//! What a host's report does to a machine and its open operation.
//!
//! Reports come late, twice and in any order. What a report may do therefore depends on what its host is to do with the machine by
//! now (its entry in the manifest), and on generations, which never fall.

use jiff::Timestamp;
use renkei_store::noun::manifest::Entry;
use renkei_store::noun::vm::VmRow;
use renkei_types::agent::{MachineSeen, Part};
use renkei_types::id::HostId;
use renkei_types::operation::{Operation, OperationState};
use renkei_types::vm::{Power, Seen, Vm};

use super::deadline::give_up;
use super::outcome::{Outcome, ended};
use super::verb::Verb;
use crate::app::manifest::{Change, takes};

/// Who reports what.
#[derive(Clone, Copy, Debug)]
pub struct Heard<'a> {
    /// The host.
    pub host: HostId,
    /// What it is to do with the machine by now; nothing if it is not to have it.
    pub entry: Option<Entry>,
    /// What it sees.
    pub seen: &'a MachineSeen,
}

/// What a report does.
///
/// | the host is to | and it says | then |
/// | --- | --- | --- |
/// | nothing | anything | nothing: what it has is unknown, or a report came late |
/// | run it | an older generation than another report did | an open operation shows how far it is |
/// | run it | a generation that was not meant yet | nothing: the database was set back, see recovery |
/// | run it | any other | it is seen so |
/// | | the generation that an operation waits for | done; `cancelling`: failed |
/// | | a fault for that generation | given up; `cancelling`: failed, as the host no longer tries |
/// | | the generation that is meant | a move is over: the host that it leaves destroys its copy |
/// | | that it is not there | lost, if it was once whole here; what was asked of it has failed |
/// | keep it | anything | nothing |
/// | destroy it | that generation, and that it is gone | the entry goes; with the last one, a machine under a tombstone |
pub fn report(row: &VmRow, open: Option<&Operation>, heard: Heard<'_>, now: Timestamp) -> Outcome {
    match heard.entry {
        None => Outcome::same(row),
        Some(Entry { part: Part::Keep, .. }) => Outcome::same(row),
        Some(entry @ Entry { part: Part::Gone, .. }) => gone(row, open, (entry, heard), now),
        Some(Entry { part: Part::Run, .. }) => run(row, open, heard, now),
    }
}

/// Whether the host confirms that what it was to destroy is not there any more.
pub fn is_gone(entry: &Entry, seen: &MachineSeen) -> bool {
    entry.part == Part::Gone && seen.part == Part::Gone && !seen.there && seen.generation >= entry.generation
}

fn run(row: &VmRow, open: Option<&Operation>, heard: Heard<'_>, now: Timestamp) -> Outcome {
    let (vm, seen) = (&row.vm, heard.seen);
    if vm.host != Some(heard.host) {
        return Outcome::same(row);
    }
    if is_lost(vm, seen) {
        return lose(row, open, heard.host, now);
    }
    if seen.generation > vm.meant.generation {
        return Outcome::same(row);
    }
    let mut row = row.clone();
    // A host to which a machine moves, or came back, has its own or an older past with it.
    let fresh = seen.part == Part::Run && seen.generation >= vm.seen.generation;
    if fresh {
        look(&mut row, seen, now);
    } else if open.is_some() {
        row.vm.seen.doing.clone_from(&seen.doing);
        row.vm.seen.progress = seen.progress;
    }
    let mut outcome = Outcome::same(&row);
    if fresh && seen.there && seen.generation == row.vm.meant.generation {
        outcome
            .manifests
            .push((heard.host, Change::Settle(takes(&row.vm.meant))));
        if let Some(left) = row.vm.leaving.take() {
            outcome.manifests.push((left, Change::Gone(row.vm.meant.generation)));
        }
        outcome.row = Some(row.clone());
    }
    match open {
        Some(operation) if operation.state.ended() => outcome,
        Some(operation) => {
            let so = fresh && seen.there && seen.generation >= operation.generation;
            operated(outcome, row, operation, (seen, so, now))
        }
        None => outcome,
    }
}

/// Whether the host that is to run a machine does not have it any more. A host that never heard of it says generation 0, since it
/// destroyed it in a past of which this database knows nothing; one that kept the disk for a move that was set back says what it
/// last kept. That it cannot make so what is meant now shows that it was told.
fn is_lost(vm: &Vm, seen: &MachineSeen) -> bool {
    let told = seen
        .fault
        .as_ref()
        .is_some_and(|fault| fault.generation == vm.meant.generation);
    let fresh = seen.part == Part::Run && seen.generation.0 > 0 && seen.generation >= vm.seen.generation;
    vm.made && vm.leaving.is_none() && !seen.there && (fresh || told)
}

/// Nothing can be done with it until a person has decided.
fn lose(row: &VmRow, open: Option<&Operation>, host: HostId, now: Timestamp) -> Outcome {
    let mut row = row.clone();
    if !row.vm.lost {
        row.vm.lost = true;
        row.vm.seen = Seen {
            power: None,
            doing: None,
            addresses: Default::default(),
            at: Some(now),
            ..row.vm.seen
        };
    }
    let outcome = Outcome::same(&row);
    match open.filter(|open| !open.state.ended()) {
        Some(open) => {
            row.placing = None;
            let error = Some(format!("host {host} does not have it any more"));
            let failed = ended(open, OperationState::Failed, now);
            close(outcome, row, Operation { error, ..failed })
        }
        None => outcome,
    }
}

/// What an open operation makes of it.
fn operated(
    outcome: Outcome,
    row: VmRow,
    operation: &Operation,
    (seen, so, now): (&MachineSeen, bool, Timestamp),
) -> Outcome {
    let verb = Verb::of(operation);
    let so = so && saved(verb, &row, seen);
    let fault = seen.fault.as_ref();
    let fault = fault.filter(|fault| fault.generation == operation.generation);
    match (operation.state, so, fault) {
        // It waits for room: nothing that is reported is about it yet.
        (OperationState::Running, ..) if row.placing.is_some() => outcome,
        (OperationState::Running, true, _) => close(outcome, row, ended(operation, OperationState::Done, now)),
        (OperationState::Cancelling, true, _) => close(outcome, row, ended(operation, OperationState::Failed, now)),
        (OperationState::Cancelling, false, Some(fault)) => {
            let error = operation.error.as_deref().unwrap_or("it was cancelled");
            let error = Some(format!("{error}; and it could not be set back: {}", fault.message));
            let failed = ended(operation, OperationState::Failed, now);
            close(outcome, row, Operation { error, ..failed })
        }
        (OperationState::Running, false, Some(fault)) if !verb.is_some_and(Verb::takes_away) => {
            give_up(&row, operation, &fault.message, now)
        }
        _ => {
            let progress = seen.progress.min(99);
            let further = progress != operation.progress;
            let further = further.then(|| Operation {
                progress,
                ..operation.clone()
            });
            Outcome {
                operation: further,
                ..outcome
            }
        }
    }
}

fn close(outcome: Outcome, mut row: VmRow, operation: Operation) -> Outcome {
    row.vm.operation = None;
    row.before = None;
    Outcome {
        row: Some(row),
        operation: Some(operation),
        ..outcome
    }
}

/// A machine is saved when its image is there too.
fn saved(verb: Option<Verb>, row: &VmRow, seen: &MachineSeen) -> bool {
    let wanted = row.vm.meant.save.as_ref().map(|save| save.image);
    let has = seen.saved.as_ref().map(|(image, _)| *image);
    verb != Some(Verb::Save) || wanted == has
}

/// What is seen of a machine that its host is to run.
fn look(row: &mut VmRow, seen: &MachineSeen, now: Timestamp) {
    let vm = &mut row.vm;
    let whole = seen.generation.0 > 0;
    let was_on = vm.seen.power == Some(Power::On);
    vm.made |= whole && seen.there;
    vm.lost = vm.made && whole && !seen.there;
    if seen.there && seen.power == Power::On {
        vm.ran = true;
        if !was_on {
            vm.started = Some(now);
        }
        // While it is being stopped to give way it still runs.
        vm.deallocated &= vm.meant.power != Power::On;
    }
    let new = Seen {
        generation: seen.generation,
        power: seen.there.then_some(seen.power),
        doing: seen.doing.clone(),
        progress: seen.progress.min(100),
        fault: seen.fault.clone(),
        addresses: seen.addresses.clone(),
        at: vm.seen.at,
    };
    // A report that says nothing new is not worth a write.
    if new != vm.seen {
        vm.seen = Seen { at: Some(now), ..new };
    }
}

fn gone(row: &VmRow, open: Option<&Operation>, (entry, heard): (Entry, Heard<'_>), now: Timestamp) -> Outcome {
    let mut outcome = Outcome::same(row);
    let mut row = row.clone();
    let ours = row.vm.meant.tombstone && row.vm.host == Some(heard.host);
    if !is_gone(&entry, heard.seen) {
        if ours {
            let fault = heard.seen.fault.clone();
            let (doing, progress) = (heard.seen.doing.clone(), heard.seen.progress.min(100));
            let told = (&row.vm.seen.fault, &row.vm.seen.doing, row.vm.seen.progress);
            if told != (&fault, &doing, progress) {
                row.vm.seen = Seen {
                    fault,
                    doing,
                    progress,
                    at: Some(now),
                    ..row.vm.seen
                };
            }
            outcome.row = Some(row);
        }
        return outcome;
    }
    outcome.manifests.push((heard.host, Change::Remove));
    if ours {
        row.vm.host = None;
    }
    if row.vm.leaving == Some(heard.host) {
        row.vm.leaving = None;
    }
    outcome.row = Some(row.clone());
    if row.vm.meant.tombstone && row.vm.host.is_none() && row.vm.leaving.is_none() {
        outcome.row = None;
        outcome.operation = open.filter(|operation| !operation.state.ended()).map(|operation| {
            let state = match operation.state {
                OperationState::Cancelling => OperationState::Failed,
                _ => OperationState::Done,
            };
            ended(operation, state, now)
        });
    }
    outcome
}
