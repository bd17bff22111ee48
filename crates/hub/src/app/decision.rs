//! A decision: what is to be written, what a person is told of it beforehand, and the answer once it is written.
//!
//! Batch, plan and audit come from the same calls, so that a plan cannot tell anything but what would be done.

use renkei_store::noun::idempotency::Idempotency;
use renkei_store::{Batch, Store, Stored};
use renkei_types::agent::MachineSeen;
use renkei_types::change::{Change, ChangeKind, FieldChange, Plan, Taking};
use renkei_types::event::Event;
use renkei_types::host::Host;
use renkei_types::id::VmId;
use renkei_types::problem::{Problem, ProblemKind};
use renkei_types::quota::Amounts;
use renkei_types::reach::OfVm;
use renkei_types::vm::Vm;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use uuid::Uuid;

use super::quota::Share;
use super::subject::Subject;
use super::{Asked, Once};

/// See the module. `T` is what the caller gets.
#[derive(Debug)]
pub struct Decision<T> {
    batch: Batch,
    changes: Vec<Change>,
    events: Vec<Event>,
    takes: Vec<Taking>,
    opens: Vec<OfVm>,
    closes: Vec<OfVm>,
    answer: T,
    /// The answer holds what is shown once.
    secret: Secret,
}

/// Whether an answer may be kept, to be given again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Secret {
    Holds,
    None,
}

/// What a decision is made of, before its answer is known.
#[derive(Debug, Default)]
pub struct Draft {
    batch: Batch,
    changes: Vec<Change>,
    events: Vec<Event>,
    takes: Vec<Taking>,
    opens: Vec<OfVm>,
    closes: Vec<OfVm>,
}

impl Draft {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// This row was read, and the decision rests on it.
    pub fn expect<N: renkei_store::Noun>(&mut self, read: &Stored<N>) {
        self.batch.expect(read);
    }

    /// Two decisions that both touch a row do not happen beside one another.
    pub fn touch<N: renkei_store::Noun>(&mut self, bound: &Stored<N>) {
        self.batch.touch(bound);
    }

    /// Makes an object.
    pub fn create<S: Subject>(&mut self, new: &S) {
        self.batch.insert(new);
        self.tell(ChangeKind::Create, new, None, Some(new.shown()));
    }

    /// Changes an object. Nothing is written when nothing differs.
    pub fn change<S: Subject + PartialEq>(&mut self, old: &Stored<S>, new: &S) {
        if old.value == *new {
            self.batch.expect(old);
            return;
        }
        self.batch.update(old, new);
        // What leaves a project is told in it.
        let left = old.value.project().is_some() && new.project().is_none();
        let told = if left { &old.value } else { new };
        self.tell(ChangeKind::Change, told, Some(old.value.shown()), Some(new.shown()));
    }

    /// Deletes an object.
    pub fn delete<S: Subject>(&mut self, old: &Stored<S>) {
        self.batch.delete(old);
        self.tell(ChangeKind::Delete, &old.value, Some(old.value.shown()), None);
    }

    /// Deletes an object of which a tombstone stays until those who have it say that it is gone.
    pub fn bury<S: Subject>(&mut self, old: &Stored<S>, tombstone: &S) {
        self.batch.update(old, tombstone);
        self.tell(ChangeKind::Delete, &old.value, Some(old.value.shown()), None);
    }

    /// Writes what nobody is told of: counters of failed sign-ins and the like.
    pub fn aside(&mut self) -> &mut Batch {
        &mut self.batch
    }

    /// A machine that a host has and nobody knows of is to be destroyed: it has no row that could tell of it.
    pub(super) fn destroy_unknown(&mut self, host: &Host, seen: &MachineSeen) {
        let before = serde_json::json!({
            "host": host.id,
            "project": seen.project,
            "generation": seen.generation,
            "power": seen.power,
        });
        self.changes.push(Change {
            kind: ChangeKind::Delete,
            noun: VmId::NOUN.to_owned(),
            id: seen.id.0,
            name: seen.name.clone(),
            fields: differences(Some(&before), None),
        });
        self.events.push(Event {
            id: 0,
            at: jiff::Timestamp::UNIX_EPOCH,
            by: renkei_types::event::Doer::default(),
            action: format!("{}:{}", VmId::NOUN, word(ChangeKind::Delete)),
            noun: VmId::NOUN.to_owned(),
            object: seen.id.0,
            object_name: seen.name.clone(),
            project: Some(seen.project),
            organization: None,
            before: Some(before),
            after: None,
        });
    }

    /// The console of a machine is opened, by which nothing of its row changes.
    pub(super) fn console(&mut self, vm: &Vm) {
        self.events.push(Event {
            id: 0,
            at: jiff::Timestamp::UNIX_EPOCH,
            by: renkei_types::event::Doer::default(),
            action: format!("{}:console", VmId::NOUN),
            noun: VmId::NOUN.to_owned(),
            object: vm.id.0,
            object_name: vm.name.to_string(),
            project: Some(vm.project),
            organization: None,
            before: None,
            after: None,
        });
    }

    /// Something is taken from a quota, whose row is touched.
    pub(super) fn take(&mut self, taking: Taking) {
        let same = |known: &&mut Taking| known.project == taking.project && known.site == taking.site;
        match self.takes.iter_mut().find(same) {
            Some(known) => known.amounts = super::quota::sum(known.amounts, taking.amounts),
            None => self.takes.push(taking),
        }
    }

    /// What a plan tells that would come in to machines and does not now.
    pub(super) fn open(&mut self, ways: impl IntoIterator<Item = OfVm>) {
        self.opens.extend(ways);
    }

    /// What a plan tells that comes in to machines and would not.
    pub(super) fn close(&mut self, ways: impl IntoIterator<Item = OfVm>) {
        self.closes.extend(ways);
    }

    /// What was taken from a quota so far.
    pub(super) fn taken(&self, share: Share) -> Amounts {
        let of = |taking: &&Taking| taking.project == share.project && taking.site == share.site;
        let takings = self.takes.iter().filter(of);
        takings
            .map(|taking| taking.amounts)
            .fold(Amounts::default(), super::quota::sum)
    }

    /// What is committed when the hub does it by itself.
    pub fn by_itself(self, now: jiff::Timestamp) -> Batch {
        let mut batch = self.batch;
        for event in self.events {
            batch.append(Event { at: now, ..event });
        }
        batch
    }

    /// The decision with this answer.
    pub fn answer<T>(self, answer: T) -> Decision<T> {
        let Self {
            batch,
            changes,
            events,
            takes,
            opens,
            closes,
        } = self;
        Decision {
            batch,
            changes,
            events,
            takes,
            opens,
            closes,
            answer,
            secret: Secret::None,
        }
    }

    /// The decision with an answer that is shown once and kept nowhere.
    pub fn secret<T>(self, answer: T) -> Decision<T> {
        Decision {
            secret: Secret::Holds,
            ..self.answer(answer)
        }
    }

    fn tell<S: Subject>(&mut self, kind: ChangeKind, object: &S, before: Option<Value>, after: Option<Value>) {
        self.changes.push(Change {
            kind,
            noun: S::NOUN.to_owned(),
            id: object.id(),
            name: object.name(),
            fields: differences(before.as_ref(), after.as_ref()),
        });
        let event = Event {
            id: 0,
            at: jiff::Timestamp::UNIX_EPOCH,
            by: renkei_types::event::Doer::default(),
            action: format!("{}:{}", S::NOUN, word(kind)),
            noun: S::NOUN.to_owned(),
            object: object.id(),
            object_name: object.name(),
            project: object.project(),
            organization: object.organization(),
            before,
            after,
        };
        self.events.push(event);
    }
}

impl<T> Decision<T> {
    /// What would happen.
    pub fn into_plan(self) -> Plan {
        Plan {
            changes: self.changes,
            refused: Vec::new(),
            takes: self.takes,
            opens: self.opens,
            closes: self.closes,
        }
    }
}

impl<T: Serialize> Decision<T> {
    /// What is committed, and what is answered then.
    pub fn into_batch(self, asked: &Asked) -> Result<(Batch, T), Problem> {
        let mut batch = self.batch;
        for event in self.events {
            batch.append(Event {
                at: asked.now,
                by: asked.doer.clone(),
                ..event
            });
        }
        if let Some(once) = &asked.once {
            let answer = match self.secret {
                Secret::Holds => None,
                Secret::None => serde_json::to_value(&self.answer).ok(),
            };
            batch.insert(&Idempotency {
                id: Uuid::now_v7(),
                user: asked.actor()?.user,
                key: once.key.clone(),
                request: once.request.clone(),
                answer,
                created: asked.now,
            });
        }
        Ok((batch, self.answer))
    }
}

/// The answer that was given to the same key before.
pub(super) async fn earlier<T: DeserializeOwned>(
    store: &Store,
    asked: &Asked,
    once: &Once,
) -> Result<Option<T>, Problem> {
    // A key is the caller's own: another's may be the same.
    let key = Idempotency::index_key(asked.actor()?.user, &once.key);
    let found = store.state.find::<Idempotency>("key", &key).await;
    let Some(earlier) = found.map_err(|error| super::state(&error))? else {
        return Ok(None);
    };
    if earlier.value.request != once.request {
        let problem = Problem::new(
            ProblemKind::KeyReused,
            "the `Idempotency-Key` has come with another request before",
        );
        return Err(problem.hint("a new request needs a new key"));
    }
    match earlier
        .value
        .answer
        .and_then(|answer| serde_json::from_value(answer).ok())
    {
        Some(answer) => Ok(Some(answer)),
        None => Err(Problem::new(
            ProblemKind::Conflict,
            "this was done before, and its answer, which holds a secret, was not kept",
        )
        .hint("look whether it is there; if its secret was lost, revoke it and make another")),
    }
}

/// As the audit writes it.
fn word(kind: ChangeKind) -> &'static str {
    match kind {
        ChangeKind::Create => "create",
        ChangeKind::Change => "change",
        ChangeKind::Delete => "delete",
    }
}

/// Field by field; what is the same is left out.
fn differences(before: Option<&Value>, after: Option<&Value>) -> Vec<FieldChange> {
    let mut changes = Vec::new();
    walk(&mut String::new(), before, after, &mut changes);
    changes
}

fn walk(path: &mut String, before: Option<&Value>, after: Option<&Value>, changes: &mut Vec<FieldChange>) {
    if before == after {
        return;
    }
    let nothing = serde_json::Map::new();
    let fields = |value: Option<&Value>| value.is_none_or(Value::is_object);
    if fields(before) && fields(after) {
        let old = before.and_then(Value::as_object).unwrap_or(&nothing);
        let new = after.and_then(Value::as_object).unwrap_or(&nothing);
        let names: std::collections::BTreeSet<&String> = old.keys().chain(new.keys()).collect();
        for name in names {
            let length = path.len();
            if length > 0 {
                path.push('.');
            }
            path.push_str(name);
            walk(path, old.get(name), new.get(name), changes);
            path.truncate(length);
        }
        return;
    }
    changes.push(FieldChange {
        field: path.clone(),
        before: before.cloned(),
        after: after.cloned(),
    });
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_differs_is_told_with_its_path() {
        let before = json!({"name": "a", "limit": {"vms": 1, "vcpus": 2}});
        let after = json!({"name": "a", "limit": {"vms": 1, "vcpus": 4}, "note": "x"});
        let changes = differences(Some(&before), Some(&after));
        let told: Vec<_> = changes.iter().map(|change| change.field.as_str()).collect();
        assert_eq!(told, ["limit.vcpus", "note"]);
        assert_eq!(changes[0].before, Some(json!(2)));
        assert_eq!(changes[1].before, None);
    }

    #[test]
    fn what_is_made_tells_every_field_and_what_is_gone_too() {
        let object = json!({"name": "a", "limit": {"vms": 1}});
        assert_eq!(differences(None, Some(&object)).len(), 2);
        assert_eq!(differences(Some(&object), None).len(), 2);
        assert!(differences(Some(&object), Some(&object)).is_empty());
    }
}
