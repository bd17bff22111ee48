//! An operation that is given up: because its time is over, because its host cannot, or because somebody cancels it.

use jiff::Timestamp;
use renkei_store::noun::vm::VmRow;
use renkei_types::operation::{Operation, OperationState};

use super::outcome::{Outcome, bury, cancelling, ended, insist, mean, set_back};
use super::verb::Verb;

/// What becomes of a machine whose operation is given up, for the reason `why`.
///
/// | the machine | becomes | the operation |
/// | --- | --- | --- |
/// | is to be gone | the same: what takes away is never set back | the same |
/// | is to give way | to be stopped at once | the same, with a new deadline |
/// | never had a host | gone | failed |
/// | waits for room | what it was | failed: nothing was asked of its host |
/// | was never whole | a tombstone | cancelling, until it is gone |
/// | else | what it was before, as a new generation | cancelling, until that is so |
pub fn give_up(row: &VmRow, operation: &Operation, why: &str, now: Timestamp) -> Outcome {
    if operation.state != OperationState::Running || row.vm.meant.tombstone {
        return Outcome::same(row);
    }
    if Verb::of(operation).is_some_and(Verb::takes_away) {
        return insist(row, operation, now);
    }
    let failed = || {
        let failed = ended(operation, OperationState::Failed, now);
        Some(Operation {
            error: Some(why.to_owned()),
            ..failed
        })
    };
    if row.vm.host.is_none() {
        return Outcome {
            row: None,
            operation: failed(),
            manifests: Vec::new(),
        };
    }
    if row.placing.is_some() {
        // A new generation all the same: the one that waited was told to people, and is not given twice.
        let (mut row, manifests) = mean(row, row.vm.meant.clone());
        row.placing = None;
        row.before = None;
        row.vm.operation = None;
        return Outcome {
            row: Some(row),
            operation: failed(),
            manifests,
        };
    }
    let (row, manifests) = match row.vm.made {
        false => bury(row),
        true => set_back(row),
    };
    Outcome {
        operation: Some(cancelling(operation, row.vm.meant.generation, why)),
        row: Some(row),
        manifests,
    }
}
