//! Gives back addresses that are held for machines that are gone. Whoever deletes a machine gives its addresses back with it; what was
//! issued a moment before may not be seen by then.

use std::collections::BTreeSet;

use renkei_store::noun::vm::VmRow;
use renkei_store::{Batch, CommitError, Noun, Stored};
use renkei_types::lease::Lease;
use renkei_types::problem::Problem;
use uuid::Uuid;

use crate::app::App;

/// Leases in one read.
const AT_ONCE: u32 = 500;

/// Leases, with their versions, that were without a machine at the look before. Reads are some seconds old at most and looks a minute
/// apart: what is without one twice has none.
#[derive(Debug, Default)]
pub struct Leases {
    suspects: BTreeSet<(Uuid, u64)>,
}

impl Leases {
    /// Looks at all.
    pub async fn run(&mut self, app: &App) -> Result<(), Problem> {
        let before = std::mem::take(&mut self.suspects);
        let mut after = None;
        loop {
            let scan = app.store.state.all::<Lease>(after, AT_ONCE).await;
            let some = scan.map_err(|error| crate::app::state(&error))?;
            for lease in &some {
                let Some(vm) = lease.value.vm else { continue };
                let found = app.store.state.get::<VmRow>(vm.0).await;
                if found.map_err(|error| crate::app::state(&error))?.is_some() {
                    continue;
                }
                let suspect = (lease.value.id(), lease.version);
                match before.contains(&suspect) {
                    true => give_back(app, lease).await?,
                    false => _ = self.suspects.insert(suspect),
                }
            }
            match some.last() {
                Some(last) if some.len() == AT_ONCE as usize => after = Some(last.value.id()),
                _ => return Ok(()),
            }
        }
    }
}

async fn give_back(app: &App, lease: &Stored<Lease>) -> Result<(), Problem> {
    let mut batch = Batch::new();
    match lease.value.reserved {
        true => batch.update(
            lease,
            &Lease {
                vm: None,
                ..lease.value.clone()
            },
        ),
        false => batch.delete(lease),
    }
    match app.store.state.commit(batch).await {
        // Whoever changed it meanwhile had a reason.
        Ok(()) | Err(CommitError::Stale { .. }) => Ok(()),
        Err(error) => Err(crate::problem::commit(&error)),
    }
}
