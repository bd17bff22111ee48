//! Verbs on one machine, from who asks to what is written.

use renkei_store::Stored;
use renkei_store::noun::vm::VmRow;
use renkei_types::action::Action;
use renkei_types::freeze::{Freeze, NewFreeze};
use renkei_types::id::{OperationId, VmId};
use renkei_types::operation::{Generation, Object, Operation, OperationState};
use renkei_types::problem::{Problem, ProblemKind};
use renkei_types::vm::Vm;

use super::outcome::{Outcome, begin, destroy, ended};
use super::verb::{Act, Verb, allowed};
use super::work::{Step, Telling, Work};
use crate::app::decision::Decision;
use crate::app::operation::done;
use crate::app::project::Tenant;
use crate::app::{Answer, App, Asked, Versioned, missing};

/// A machine of which something is asked.
#[derive(Debug)]
pub struct Target {
    /// What decides about it.
    pub tenant: Tenant,
    /// The machine, as it is.
    pub row: VmRow,
    /// Its open operation.
    pub open: Option<Stored<Operation>>,
    /// What will be written.
    pub work: Work,
}

impl App {
    /// Asks a machine for something.
    pub async fn act(&self, asked: &Asked, id: VmId, act: Act) -> Result<Answer<Versioned<Operation>>, Problem> {
        self.decide(asked, || self.acting(asked, id, act)).await
    }

    /// Freezes a machine, or lifts its freeze: nothing may be asked of it meanwhile. It goes on as it is.
    pub async fn freeze_vm(
        &self,
        asked: &Asked,
        id: VmId,
        freeze: Option<NewFreeze>,
    ) -> Result<Answer<Versioned<Vm>>, Problem> {
        let freeze = freeze.map(|freeze| crate::app::freeze(asked, freeze)).transpose()?;
        self.decide(asked, || self.vm_freeze(asked, id, freeze.as_ref())).await
    }

    async fn acting(&self, asked: &Asked, id: VmId, act: Act) -> Result<Decision<Versioned<Operation>>, Problem> {
        let target = self.target(asked, Action::VmWrite, id).await?;
        target.for_verb(asked, act.verb())?;
        let operation = self.operation_on(asked, act.verb(), &target.row.vm)?;
        let outcome = match act {
            Act::Destroy => destroy(&target.row, operation, asked.now),
            _ => begin(&target.row, operation, act.meant(&target.row.vm.meant), asked.now),
        };
        target.begun(self, asked, outcome).await
    }

    async fn vm_freeze(
        &self,
        asked: &Asked,
        id: VmId,
        freeze: Option<&Freeze>,
    ) -> Result<Decision<Versioned<Vm>>, Problem> {
        let Target {
            tenant,
            mut row,
            mut work,
            ..
        } = self.target(asked, Action::Freeze, id).await?;
        asked.unchanged(row.generation().0)?;
        tenant.expect(&mut work.draft);
        if row.vm.freeze.as_ref() != freeze {
            row.vm.freeze = freeze.cloned();
            let told = done(asked, Action::Freeze, &row, row.generation().0)?;
            work.draft.aside().insert(&told);
        }
        work.put(id, Some(row.clone()), Telling::Aloud);
        Ok(work.finish(self).await?.answer(shown(row)))
    }

    /// A machine on which the caller may do this. Whoever may not know of it reads the same as if there were none.
    pub(super) async fn target(&self, asked: &Asked, action: Action, id: VmId) -> Result<Target, Problem> {
        asked.actor()?;
        let mut work = Work::default();
        let row = work.row(self, id).await?.ok_or_else(|| missing(VmId::NOUN, id.0))?;
        let tenant = match self.tenant(row.vm.project).await {
            Ok(tenant) => tenant
                .may_machine(asked, action, row.vm.freeze.as_ref())
                .map(|()| tenant),
            Err(problem) => Err(problem),
        };
        let tenant = tenant.map_err(|problem| match problem.kind {
            ProblemKind::NotFound => missing(VmId::NOUN, id.0),
            _ => problem,
        })?;
        let open = self.open_operation(row.vm.operation).await?;
        Ok(Target {
            tenant,
            row,
            open,
            work,
        })
    }

    /// An operation on a machine that begins now.
    pub(super) fn operation_on(&self, asked: &Asked, verb: Verb, vm: &Vm) -> Result<Operation, Problem> {
        Ok(Operation {
            id: OperationId(self.draw(asked.now)),
            verb: verb.as_str().to_owned(),
            object: Object {
                noun: VmId::NOUN.to_owned(),
                id: vm.id.0,
                name: vm.name.to_string(),
            },
            project: Some(vm.project),
            by: Some(asked.actor()?.user),
            generation: Generation::default(),
            through: None,
            state: OperationState::Running,
            progress: 0,
            waiting: None,
            error: None,
            created: asked.now,
            deadline: None,
            ended: None,
        })
    }
}

impl Target {
    /// Refuses what was changed since the caller saw it, and what does not go with where the machine stands.
    pub fn for_verb(&self, asked: &Asked, verb: Verb) -> Result<(), Problem> {
        asked.unchanged(self.row.generation().0)?;
        allowed(&self.row, self.open.as_ref().map(|open| &open.value), verb)
    }

    /// The decision that begins an operation, in the place of one that is open.
    pub async fn begun(
        mut self,
        app: &App,
        asked: &Asked,
        outcome: Outcome,
    ) -> Result<Decision<Versioned<Operation>>, Problem> {
        self.tenant.expect(&mut self.work.draft);
        if let Some(open) = &self.open {
            let superseded = ended(&open.value, OperationState::Superseded, asked.now);
            self.work.draft.aside().update(open, &superseded);
            if Verb::of(open) == Some(Verb::Save) {
                self.work.saved(app, &self.row.vm, (None, asked.now)).await?;
            }
        }
        let operation = outcome.operation.clone();
        let (vm, row) = (self.row.vm.id, outcome.row.clone());
        let step = Step {
            vm,
            open: None,
            outcome,
            saved: None,
            now: asked.now,
        };
        self.work.take(app, step).await?;
        self.work.put(vm, row, Telling::Aloud);
        let draft = self.work.finish(app).await?;
        match operation {
            Some(operation) => Ok(draft.answer(Versioned::first(operation))),
            None => Err(Problem::new(ProblemKind::Internal, "nothing was begun")),
        }
    }
}

/// A machine as people see it. Its version is the generation that was given last, so that what its host reports makes nobody's
/// `If-Match` fail.
pub fn shown(row: VmRow) -> Versioned<Vm> {
    Versioned {
        version: row.generation().0,
        value: row.vm,
    }
}
