//! What is done next with a machine: a function of what is meant, what was done, and what is seen. At most one step is under way.
//!
//! A guest that ends by itself after it was once as it was meant stays off: its owner has shut it down from inside. One that
//! crashed, or whose host stopped, is started again.

use jiff::{SignedDuration, Timestamp};
use renkei_host::{Act, Doing, Form, Lasting, Machine, Record, Verb};
use renkei_types::agent::{MachineIntent, Part};
use renkei_types::vm::{Fault, Power, Stop};

use crate::fruitless::Fruitless;
use crate::keep::{Marks, Reached};
use crate::trouble::Trouble;

/// After so long a removal that is under way is begun again: nothing else would ever end it.
const REMOVAL_PATIENCE: SignedDuration = SignedDuration::from_mins(5);
/// After so long a step that moves a whole disk is given up.
const DISK_PATIENCE: SignedDuration = SignedDuration::from_hours(2);
/// After so long any other step is given up: as long as a hub waits for it.
const PATIENCE: SignedDuration = SignedDuration::from_mins(10);

/// What is asked.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// What is meant.
    pub intent: &'a MachineIntent,
    /// What was done about it; nothing is known of a machine that was here before the agent's memory.
    pub marks: Option<&'a Marks>,
    /// What is seen.
    pub machine: Option<&'a Machine>,
    /// What went wrong so far.
    pub trouble: Option<&'a Trouble>,
    /// The step that was begun and has brought nothing so far.
    pub fruitless: Option<&'a Fruitless>,
    /// Whether machines may be made and started.
    pub powering: Powering,
    /// The time.
    pub now: Timestamp,
}

/// Whether machines may be made and started. After a new start of the host they may not until the hub has been heard: while it
/// was off, its machines may have been given to another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Powering {
    /// They may.
    Allowed,
    /// Not yet.
    Held,
}

/// What is done next. The marks are kept before it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Next {
    /// What was done, with what is going to be done.
    pub marks: Marks,
    /// What is done.
    pub then: Then,
}

/// What is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Then {
    /// Nothing: it is so.
    Nothing,
    /// This step is begun.
    Begin(Act),
    /// It is waited for what is under way, for the next attempt, or for the hub.
    Wait,
    /// Nothing: it cannot be made so, as the marks say.
    Stuck,
    /// Nothing: it is not there, and may not be made.
    Missing,
    /// Nothing: a later generation was so already. The hub's memory is older than the host's.
    Older,
}

/// What would have to be done if nothing were under way.
#[derive(Debug)]
enum Due {
    So,
    Missing,
    Do(Act),
    Never(&'static str),
}

/// Says what is done next.
pub fn reconcile(asked: &Question<'_>) -> Next {
    let Question { intent, machine, .. } = *asked;
    let mut marks = match (asked.marks, machine) {
        (Some(marks), _) => marks.clone(),
        // Whatever was asked of it, it may have been obeyed.
        (None, Some(machine)) => Marks {
            whole: machine.whole,
            ..obeyed(Marks::default(), intent)
        },
        (None, None) => Marks::default(),
    };
    if marks
        .reached
        .is_some_and(|reached| reached.generation > intent.generation)
    {
        return Next {
            marks,
            then: Then::Older,
        };
    }
    marks.whole |= machine.is_some_and(|machine| machine.whole);
    marks.fault = marks.fault.filter(|fault| fault.generation == intent.generation);
    if let Some((image, _)) = machine.and_then(|machine| machine.saved.as_ref()) {
        marks.saves.insert(*image);
    }
    let mut after = marks.clone();
    let due = due(asked, &mut after);
    if let Some(doing) = machine.and_then(|machine| machine.doing.as_ref()) {
        return match meanwhile(asked, doing, &due) {
            Some(Act::Abandon) => attempt(asked, hung(asked, doing, marks), Act::Abandon),
            Some(act) => attempt(asked, after, act),
            None => Next {
                marks,
                then: Then::Wait,
            },
        };
    }
    match due {
        Due::So => reached(after, asked),
        Due::Missing => missing(marks, intent),
        Due::Never(why) => stuck(marks, intent, why),
        Due::Do(act) => match permanent(asked, &marks) {
            Some(why) => stuck(marks, intent, &why),
            None => {
                let next = attempt(asked, after, act);
                // What is not begun is not obeyed.
                match next.then {
                    Then::Begin(_) => next,
                    _ => Next { marks, ..next },
                }
            }
        },
    }
}

/// What to do while something is under way: nothing, end it by something stronger, or give it up because it is no longer meant.
fn meanwhile(asked: &Question<'_>, doing: &Doing, due: &Due) -> Option<Act> {
    let ours = doing.generation == asked.intent.generation;
    let late = is_late(asked, doing);
    match due {
        Due::Do(Act::Destroy) if doing.verb == Verb::Destroy => late.then_some(Act::Destroy),
        Due::Do(act) if act.verb() == doing.verb => late.then_some(Act::Abandon),
        Due::Do(act @ (Act::PowerOff | Act::Destroy)) => Some(act.clone()),
        _ if ours && !late => None,
        _ => Some(Act::Abandon),
    }
}

/// Whether a step has taken so long that it will never end.
fn is_late(asked: &Question<'_>, doing: &Doing) -> bool {
    let patience = match doing.verb {
        Verb::Destroy => REMOVAL_PATIENCE,
        Verb::Create | Verb::Save | Verb::Reconfigure => DISK_PATIENCE,
        _ => PATIENCE,
    };
    asked.now.duration_since(doing.since) >= patience
}

/// A step for what is meant that never ended is not tried again until something else is meant: whoever waits for it is told. One
/// that was begun for something before says nothing about what is meant now.
fn hung(asked: &Question<'_>, doing: &Doing, mut marks: Marks) -> Marks {
    let generation = asked.intent.generation;
    if doing.generation == generation && is_late(asked, doing) && asked.intent.part != Part::Gone {
        let message = format!("cannot {}: it does not come to an end", doing.verb);
        marks.fault = Some(Fault { generation, message });
    }
    marks
}

fn attempt(asked: &Question<'_>, marks: Marks, act: Act) -> Next {
    let makes = matches!(act, Act::Create(_) | Act::Start | Act::Resume);
    let failed = asked.trouble.is_some_and(|trouble| trouble.waits(asked.now));
    let fruitless = asked
        .fruitless
        .is_some_and(|fruitless| fruitless.waits(act.verb(), asked.now));
    let too_early = failed || fruitless;
    let then = if too_early || (makes && asked.powering == Powering::Held) {
        Then::Wait
    } else {
        Then::Begin(act)
    };
    Next { marks, then }
}

fn reached(mut marks: Marks, asked: &Question<'_>) -> Next {
    let MachineIntent { generation, part, .. } = *asked.intent;
    marks.reached = Some(Reached { generation, part });
    marks.fault = None;
    if part == Part::Gone {
        marks.whole = false;
        marks.saves.clear();
    }
    Next {
        marks,
        then: Then::Nothing,
    }
}

fn stuck(mut marks: Marks, intent: &MachineIntent, why: &str) -> Next {
    marks.fault = Some(Fault {
        generation: intent.generation,
        message: why.to_owned(),
    });
    Next {
        marks,
        then: Then::Stuck,
    }
}

/// What was so stays told; what is asked of a machine that is not there cannot be done.
fn missing(mut marks: Marks, intent: &MachineIntent) -> Next {
    if !was_so(&marks, intent) {
        marks.fault = Some(Fault {
            generation: intent.generation,
            message: "the host has no such machine".to_owned(),
        });
    }
    Next {
        marks,
        then: Then::Missing,
    }
}

/// Why it is not tried any more. What takes away is tried for ever.
fn permanent(asked: &Question<'_>, marks: &Marks) -> Option<String> {
    if asked.intent.part == Part::Gone {
        return None;
    }
    let fault = asked.machine.and_then(|machine| machine.fault.as_ref());
    let fault = fault.filter(|fault| {
        fault.generation == asked.intent.generation
            && fault.lasting == Lasting::Permanent
            && fault.verb != Verb::Abandon
    });
    let told = marks.fault.as_ref().map(|fault| fault.message.clone());
    told.or_else(|| fault.map(|fault| format!("cannot {}: {}", fault.verb, fault.message)))
}

/// Everything that was asked for as a counter counts as done. A lower value than before comes from a hub that has set back what
/// was meant, or its database: then the next higher one is a new wish.
fn obeyed(marks: Marks, intent: &MachineIntent) -> Marks {
    Marks {
        reboots: intent.reboots,
        resets: intent.resets,
        ..marks
    }
}

fn due(asked: &Question<'_>, marks: &mut Marks) -> Due {
    let Question { intent, machine, .. } = *asked;
    match (intent.part, machine) {
        (Part::Gone, None) => Due::So,
        (Part::Gone, Some(_)) => Due::Do(Act::Destroy),
        (Part::Keep, None) => Due::Missing,
        (Part::Keep, Some(machine)) if !machine.whole => Due::So,
        (Part::Keep, Some(machine)) => off(intent, machine).map_or(Due::So, Due::Do),
        (Part::Run, machine) => match machine.filter(|machine| machine.whole) {
            Some(machine) => run(intent, machine, marks),
            None if intent.make && !marks.whole => {
                *marks = obeyed(std::mem::take(marks), intent);
                // What is made from a disk that was saved before needs not be saved again.
                marks.saves.extend(intent.save);
                Due::Do(Act::Create(Box::new(intent.clone())))
            }
            None => Due::Missing,
        },
    }
}

/// The next step towards off.
fn off(intent: &MachineIntent, machine: &Machine) -> Option<Act> {
    match (machine.power, intent.stop) {
        (Power::Off, _) => None,
        (_, Stop::PowerOff) => Some(Act::PowerOff),
        (Power::On, Stop::Shutdown) => Some(Act::Shutdown),
        // A guest that stands still cannot be asked.
        (Power::Suspended, Stop::Shutdown) => Some(Act::Resume),
    }
}

fn run(intent: &MachineIntent, machine: &Machine, marks: &mut Marks) -> Due {
    let form = Form::of(intent);
    if machine.form != form {
        return match (machine.power, intent.power) {
            (Power::Off, _) => Due::Do(Act::Reconfigure(form)),
            (_, Power::Off) => off(intent, machine).map_or(Due::So, Due::Do),
            _ => Due::Never("what it is made of changes only while it is off"),
        };
    }
    if let Some(act) = power(intent, machine, marks) {
        return Due::Do(act);
    }
    let record = Record::of(intent);
    if machine.record != record {
        return Due::Do(Act::Label(record));
    }
    match intent.save {
        Some(image) if !marks.saves.contains(&image) => Due::Do(Act::Save(image)),
        _ => Due::So,
    }
}

fn power(intent: &MachineIntent, machine: &Machine, marks: &mut Marks) -> Option<Act> {
    let (reboots, resets) = (intent.reboots > marks.reboots, intent.resets > marks.resets);
    match (machine.power, intent.power) {
        (Power::Off, Power::On) if machine.halted && was_so(marks, intent) => None,
        // Suspended memory that was lost: what is meant is had again by way of a start.
        (Power::Off, Power::On | Power::Suspended) => {
            *marks = obeyed(std::mem::take(marks), intent);
            Some(Act::Start)
        }
        (Power::Suspended, Power::On) => Some(Act::Resume),
        (Power::On, Power::On) if resets || reboots => {
            *marks = obeyed(std::mem::take(marks), intent);
            Some(if resets { Act::Reset } else { Act::Reboot })
        }
        (Power::On, Power::Suspended) => Some(Act::Suspend),
        (_, Power::Off) => {
            *marks = obeyed(std::mem::take(marks), intent);
            off(intent, machine)
        }
        (Power::On, Power::On) | (Power::Suspended, Power::Suspended) => {
            *marks = obeyed(std::mem::take(marks), intent);
            None
        }
    }
}

fn was_so(marks: &Marks, intent: &MachineIntent) -> bool {
    let is = Reached {
        generation: intent.generation,
        part: intent.part,
    };
    marks.reached == Some(is)
}

#[cfg(test)]
mod tests;
