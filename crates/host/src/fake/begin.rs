//! Whether the fake driver begins a step, and for how long.

use jiff::{SignedDuration, Timestamp};

use super::script::{Does, Rule, Script, Trouble};
use super::world::{Made, Work, World};
use crate::allowed::{Goes, allowed};
use crate::driver::DriverError;
use crate::machine::Machine;
use crate::step::{Act, Step, Verb};

impl World {
    /// Begins a step. `disk` is what will be on the disk that it makes.
    pub fn begin(&mut self, script: &Script, step: Step, disk: String, now: Timestamp) -> Result<(), DriverError> {
        let Step { id, generation, act } = step;
        let verb = act.verb();
        let Some(made) = self.machines.get(&id) else {
            return match act {
                Act::Create(intent) => {
                    let how = self.how(script, &intent.name, verb)?;
                    let work = how.work(Act::Create(intent.clone()), now);
                    self.machines.insert(
                        id,
                        Made::of(
                            Machine::blank(&intent),
                            Work {
                                generation,
                                disk,
                                ..work
                            },
                        ),
                    );
                    Ok(())
                }
                Act::Destroy => Ok(()),
                _ => Err(DriverError::permanent(format!("there is no machine {id} to {verb}"))),
            };
        };
        let name = made.machine.record.name.clone();
        match allowed(&made.machine, made.work.as_ref().map(|work| work.act.verb()), &act)? {
            Goes::Already => {
                if let Some(made) = self.machines.get_mut(&id) {
                    made.machine.fault = None;
                }
                return Ok(());
            }
            Goes::Now => {}
        }
        let how = self.how(script, &name, verb)?;
        if let Some(made) = self.machines.get_mut(&id) {
            made.machine.fault = None;
            let work = how.work(act, now);
            made.work = Some(Work {
                generation,
                disk,
                ..work
            })
            .filter(|_| verb != Verb::Abandon);
        }
        Ok(())
    }

    /// What the script says about this step.
    fn how(&mut self, script: &Script, machine: &str, verb: Verb) -> Result<How, DriverError> {
        let mut how = How::default();
        let mut ended = Ended::Open;
        for (number, rule) in script.rules.iter().enumerate() {
            let fits = rule.fits(machine) && rule.step.is_none_or(|step| step == verb);
            if !fits || !wanted(rule, &how, ended) || !self.uses(number, rule) {
                continue;
            }
            match &rule.does {
                Does::Takes(ms) => how.takes = i64::try_from(*ms).ok().map(SignedDuration::from_millis),
                Does::Fails(trouble) => how.fails = Some(trouble.clone()),
                Does::Hangs => how.hangs = true,
                Does::Refuses(Trouble { message, lasting }) => {
                    return Err(DriverError {
                        message: message.clone(),
                        lasting: *lasting,
                    });
                }
                _ => {}
            }
            if !matches!(rule.does, Does::Takes(_)) {
                ended = Ended::Told;
            }
        }
        Ok(how)
    }
}

/// Whether a rule has already said how the step ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ended {
    Told,
    Open,
}

/// The first rule of each kind counts, so the others are not used up.
fn wanted(rule: &Rule, how: &How, ended: Ended) -> bool {
    match rule.does {
        Does::Takes(_) => how.takes.is_none(),
        Does::Fails(_) | Does::Refuses(_) | Does::Hangs => ended == Ended::Open,
        Does::Forgets | Does::Lies(_) | Does::Uses { .. } => false,
    }
}

/// How a step will go.
#[derive(Debug, Default)]
struct How {
    takes: Option<SignedDuration>,
    fails: Option<Trouble>,
    hangs: bool,
}

impl How {
    fn work(self, act: Act, now: Timestamp) -> Work {
        let until = now
            .saturating_add(self.takes.unwrap_or_default())
            .unwrap_or(Timestamp::MAX);
        Work {
            act,
            generation: Default::default(),
            since: now,
            until: Some(until).filter(|_| !self.hangs),
            fails: self.fails,
            disk: String::new(),
        }
    }
}

impl Made {
    fn of(machine: Machine, work: Work) -> Self {
        Self {
            machine,
            disk: String::new(),
            work: Some(work),
            line: Default::default(),
        }
    }
}
