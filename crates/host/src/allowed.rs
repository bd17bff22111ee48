//! What can be done with a machine as it is: the same for every driver.

use renkei_types::vm::Power;

use crate::driver::DriverError;
use crate::machine::{Form, Machine};
use crate::step::{Act, Verb};

/// Whether a step has anything to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Goes {
    /// It is so already, or under way.
    Already,
    /// It is begun now, and ends what is under way.
    Now,
}

/// Says whether a step can be begun with a machine that is there. `under_way` is what is being done with it.
///
/// # Errors
/// If it cannot be begun; names the machine and what is in the way.
pub(crate) fn allowed(machine: &Machine, under_way: Option<Verb>, act: &Act) -> Result<Goes, DriverError> {
    let Machine { id, power, whole, .. } = machine;
    let verb = act.verb();
    if let Some(under_way) = under_way {
        // A removal that hangs may be begun again.
        if under_way == verb && verb != Verb::Destroy {
            return Ok(Goes::Already);
        }
        if !verb.interrupts() {
            return Err(DriverError::transient(format!(
                "machine {id} is busy: {}",
                under_way.doing()
            )));
        }
        return Ok(Goes::Now);
    }
    let refused = |why: &str| Err(DriverError::permanent(format!("cannot {verb} machine {id}: {why}")));
    match act {
        Act::Destroy => Ok(Goes::Now),
        Act::Abandon => Ok(Goes::Already),
        Act::Create(_) if *whole => Ok(Goes::Already),
        Act::Create(_) => Ok(Goes::Now),
        Act::PowerOff if !whole => Ok(Goes::Already),
        _ if !whole => refused("its disk is not complete"),
        Act::Start | Act::Resume if *power == Power::On => Ok(Goes::Already),
        Act::Start if *power == Power::Suspended => refused("it is suspended: it can be resumed"),
        Act::Resume if *power == Power::Off => refused("it is off"),
        Act::Shutdown | Act::PowerOff if *power == Power::Off => Ok(Goes::Already),
        Act::Suspend if *power == Power::Suspended => Ok(Goes::Already),
        Act::Shutdown | Act::Reboot | Act::Reset | Act::Suspend if *power != Power::On => refused("it does not run"),
        Act::Reconfigure(form) if machine.form == *form => Ok(Goes::Already),
        Act::Reconfigure(_) if *power != Power::Off => refused("it is not off"),
        Act::Reconfigure(form) if shrinks(&machine.form, form) => refused("a disk would become smaller or go away"),
        Act::Label(record) if machine.record == *record => Ok(Goes::Already),
        Act::Save(image) if machine.saved.as_ref().is_some_and(|(saved, _)| saved == image) => Ok(Goes::Already),
        _ => Ok(Goes::Now),
    }
}

fn shrinks(from: &Form, to: &Form) -> bool {
    let kept = |number, gib| to.disks.iter().any(|disk| disk.number == number && disk.gib >= gib);
    !from.disks.iter().all(|disk| kept(disk.number, disk.gib))
}
