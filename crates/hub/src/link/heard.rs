//! What a host tells of its machines.

use renkei_store::noun::vm::VmRow;
use renkei_types::agent::MachineSeen;
use renkei_types::id::VmId;
use renkei_types::problem::Problem;

use crate::app::App;

/// Those of which the hub knows nothing.
pub(super) async fn machines(app: &App, seen: &[MachineSeen]) -> Result<Vec<VmId>, Problem> {
    let mut unknown = Vec::new();
    for machine in seen {
        let row = app.store.state.get::<VmRow>(machine.id.0).await;
        if row.map_err(|error| crate::app::state(&error))?.is_none() {
            unknown.push(machine.id);
        }
    }
    Ok(unknown)
}
