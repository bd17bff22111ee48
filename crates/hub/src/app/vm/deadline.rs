//! An operation that is given up: because its time is over, because its host cannot, or because somebody cancels it.

use jiff::{SignedDuration, Timestamp};
use renkei_store::noun::vm::VmRow;
use renkei_types::operation::{Operation, OperationState, Waiting};

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

/// How long what takes away and has failed is left alone before it is asked for once more.
const PAUSE: SignedDuration = SignedDuration::from_mins(1);

/// What the passing of time does to a machine with an open operation. `silent` names a host that it needs and that is not connected.
///
/// A deadline does not run while a host is away, and begins anew when it is back; while a machine waits for room there is none.
pub fn watch(row: &VmRow, operation: &Operation, silent: Option<&str>, now: Timestamp) -> Outcome {
    let changed = |operation: Operation| Outcome {
        operation: Some(operation),
        ..Outcome::same(row)
    };
    if operation.state.ended() || row.placing.is_some() {
        return Outcome::same(row);
    }
    if let Some(host) = silent {
        let what = format!("host `{host}`, which is not connected");
        let known = operation.waiting.as_ref().is_some_and(|waiting| waiting.what == what);
        if known && operation.deadline.is_none() {
            return Outcome::same(row);
        }
        return changed(Operation {
            waiting: Some(Waiting { what, since: now }),
            deadline: None,
            ..operation.clone()
        });
    }
    let verb = Verb::of(operation);
    let limit = verb
        .and_then(Verb::limit)
        .filter(|_| operation.state == OperationState::Running);
    if operation.waiting.is_some() || (operation.deadline.is_none() && limit.is_some()) {
        return changed(Operation {
            waiting: None,
            deadline: operation.deadline.or(limit.map(|limit| now + limit)),
            ..operation.clone()
        });
    }
    let (seen, meant) = (&row.vm.seen, &row.vm.meant);
    let failed = seen
        .fault
        .as_ref()
        .is_some_and(|fault| fault.generation == meant.generation);
    let rested = seen.at.is_none_or(|at| at + PAUSE <= now);
    if (meant.tombstone || verb.is_some_and(Verb::takes_away)) && failed && rested {
        return insist(row, operation, now);
    }
    match (operation.deadline, limit) {
        (Some(deadline), Some(limit)) if deadline <= now => {
            let why = format!("it was not so within {} minutes", limit.as_mins());
            give_up(row, operation, &why, now)
        }
        _ => Outcome::same(row),
    }
}

#[cfg(test)]
mod tests {
    use renkei_types::operation::Generation;
    use renkei_types::vm::{Fault, Power};

    use super::super::outcome::placed;
    use super::super::trial::{HOST, machine};
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn no_time_runs_while_a_host_is_away_or_there_is_no_room() {
        let (row, open) = machine(Power::On);
        assert_eq!(watch(&row, &open, None, at(0)), Outcome::same(&row));
        let (row, _) = placed(&row, HOST);
        let told = watch(&row, &open, None, at(0)).operation.unwrap();
        assert_eq!(told.deadline, Some(at(30 * 60)));
        let away = watch(&row, &told, Some("h1"), at(60)).operation.unwrap();
        assert_eq!(away.deadline, None);
        let waiting = away.waiting.clone().unwrap();
        assert!(waiting.what.contains("`h1`"), "{}", waiting.what);
        assert_eq!(waiting.since, at(60));
        assert_eq!(watch(&row, &away, Some("h1"), at(3600)), Outcome::same(&row));
        let back = watch(&row, &away, None, at(7200)).operation.unwrap();
        assert_eq!((back.waiting.clone(), back.deadline), (None, Some(at(7200 + 30 * 60))));
        assert_eq!(watch(&row, &back, None, at(7201)), Outcome::same(&row));
        let over = watch(&row, &back, None, at(7200 + 30 * 60));
        assert_eq!(over.operation.unwrap().state, OperationState::Cancelling);
        assert!(over.row.unwrap().vm.meant.tombstone);
    }

    #[test]
    fn what_takes_away_is_asked_for_until_it_is_so() {
        let (row, open) = machine(Power::On);
        let (row, _) = placed(&row, HOST);
        let (mut row, _) = bury(&row);
        let destroy = Operation {
            verb: Verb::Destroy.as_str().to_owned(),
            generation: Generation(2),
            ..open
        };
        assert_eq!(watch(&row, &destroy, None, at(1_000_000)), Outcome::same(&row));
        row.vm.seen.at = Some(at(0));
        let message = "busy".to_owned();
        let generation = row.vm.meant.generation;
        row.vm.seen.fault = Some(Fault { generation, message });
        assert_eq!(watch(&row, &destroy, None, at(59)), Outcome::same(&row));
        let again = watch(&row, &destroy, None, at(60));
        assert_eq!(again.operation.unwrap().generation, Generation(3));
        let row = again.row.unwrap();
        assert_eq!(row.vm.meant.generation, Generation(3));
        assert!(row.vm.meant.tombstone);
        assert_eq!(give_up(&row, &destroy, "cancelled", at(61)), Outcome::same(&row));
    }
}
