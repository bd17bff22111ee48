//! Cancelling what was asked of a machine.

use renkei_store::noun::vm::VmRow;
use renkei_types::id::{OperationId, VmId};
use renkei_types::operation::{Operation, OperationState};
use renkei_types::problem::{Problem, ProblemKind};

use super::deadline::give_up;
use super::verb::Verb;
use super::work::{Step, Telling, Work};
use crate::app::decision::Decision;
use crate::app::{Answer, App, Asked, Versioned, missing};

impl App {
    /// Cancels an operation on a machine: what is meant is set back, and it fails once that is so.
    pub async fn cancel_operation(
        &self,
        asked: &Asked,
        id: OperationId,
    ) -> Result<Answer<Versioned<Operation>>, Problem> {
        self.decide(asked, || self.cancelling(asked, id)).await
    }

    async fn cancelling(&self, asked: &Asked, id: OperationId) -> Result<Decision<Versioned<Operation>>, Problem> {
        // Whoever may not know of it reads that there is none.
        self.operation(asked, id).await?;
        let open = self.get::<Operation>(OperationId::NOUN, id.0).await?;
        let mut work = Work::default();
        let row = match open.object.noun == VmId::NOUN {
            true => work.row(self, VmId(open.object.id)).await?,
            false => None,
        };
        if let Some(project) = open.project {
            let tenant = self.tenant(project).await?;
            let freeze = row.as_ref().and_then(|row| row.vm.freeze.as_ref());
            tenant
                .may_operation(asked, &open.value, freeze)
                .map_err(|problem| match problem.kind {
                    ProblemKind::NotFound => missing(OperationId::NOUN, id.0),
                    _ => problem,
                })?;
            tenant.expect(&mut work.draft);
        }
        asked.unchanged(open.version)?;
        let Some(row) = stoppable(row, &open.value)? else {
            work.draft.expect(&open);
            return Ok(work.draft.answer(open.into()));
        };
        let why = format!("cancelled by {}", asked.actor()?.name);
        let outcome = give_up(&row, &open.value, &why, asked.now);
        let (vm, left) = (row.vm.id, outcome.row.clone());
        let cancelled = outcome.operation.clone().unwrap_or_else(|| open.value.clone());
        let step = Step {
            vm,
            open: Some(&open),
            outcome,
            saved: None,
            now: asked.now,
        };
        work.take(self, step).await?;
        work.put(vm, left, Telling::Aloud);
        let cancelled = Versioned::after(&open, cancelled);
        Ok(work.finish(self).await?.answer(cancelled))
    }
}

/// The machine, if there is still something to cancel; nothing if that was done already.
fn stoppable(row: Option<VmRow>, operation: &Operation) -> Result<Option<VmRow>, Problem> {
    let conflict = |title: String| Problem::new(ProblemKind::Conflict, title);
    let (id, verb) = (operation.id, &operation.verb);
    match operation.state {
        OperationState::Cancelling => return Ok(None),
        OperationState::Done | OperationState::Failed | OperationState::Superseded => {
            let title = format!("operation `{id}` ({verb}) is {}: it has ended", operation.state);
            return Err(conflict(title));
        }
        OperationState::Running => {}
    }
    let taking = Verb::of(operation).is_none_or(Verb::takes_away);
    match row.filter(|row| !taking && row.vm.operation == Some(id)) {
        Some(row) => Ok(Some(row)),
        None => {
            let title = format!("operation `{id}` ({verb}) cannot be cancelled: it goes on until it is so");
            Err(conflict(title).hint("`renkei operation show` says what it waits for"))
        }
    }
}
