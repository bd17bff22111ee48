//! What goes wrong beside what the database, the wires and the processes do by themselves.

use std::time::Duration;

use renkei_host::fake::{Does, Rule};
use renkei_host::{Act, Driver as _, Step, Verb};
use renkei_types::vm::Power;

use crate::Database;
use crate::host::Host;
use crate::world::{HOSTS, HUBS, Happening, World};

/// See the module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// A hub's process ends.
    KillHub,
    /// An agent's process ends.
    KillAgent,
    /// A wire breaks.
    BreakWire,
    /// A host's computer starts anew.
    Reboot,
    /// A host's computer is off for a while, and an operator may say that it stays off.
    SwitchOff,
    /// A host's driver behaves in another way.
    Behave,
    /// A guest ends by itself, or crashes.
    Guest,
    /// Somebody puts a machine there of which nobody knows.
    Plant,
    /// The database is copied aside.
    SetAside,
    /// The copy is put back.
    PutBack,
}

impl Trouble {
    const ALL: [Self; 11] = [
        Self::KillHub,
        Self::KillAgent,
        Self::BreakWire,
        Self::Reboot,
        Self::SwitchOff,
        Self::Behave,
        Self::Behave,
        Self::Guest,
        Self::Plant,
        Self::SetAside,
        Self::PutBack,
    ];

    /// Lets one of them happen.
    pub fn strike(world: &mut World) {
        let Some(trouble) = world.dice.pick(&Self::ALL).copied() else {
            return;
        };
        let host = world.dice.below(HOSTS as u64) as usize;
        match trouble {
            Self::KillHub => {
                let hub = world.dice.below(HUBS as u64) as usize;
                if world.hubs.get(hub).is_some_and(Option::is_some) {
                    world.note(format_args!("hub {hub} is killed"));
                    world.kill_hub(hub);
                }
            }
            Self::KillAgent => {
                world.note(format_args!("agent {host} is killed"));
                world.kill_agent(host);
            }
            Self::BreakWire => world.break_wire(host),
            Self::Reboot => {
                world.note(format_args!("host {host} starts anew"));
                if let Some(host) = world.hosts.get_mut(host) {
                    host.reboot();
                }
                world.kill_agent(host);
            }
            Self::SwitchOff => {
                // One at a time, or there is nobody left to do anything.
                if !world.hosts.iter().any(|host| host.off) {
                    world.switch_off(host);
                }
            }
            Self::Behave => behave(world, host),
            Self::Guest => guest(world, host),
            Self::Plant => {
                let planted = world.client.plant(&mut world.dice);
                if let Some(there) = world.hosts.get(host) {
                    let step = Step {
                        id: planted.id,
                        generation: planted.generation,
                        act: Act::Create(Box::new(planted.clone())),
                    };
                    // By hand, past the agent. If it is refused there is nothing to look after.
                    if there.fake.clone().begin(step, world.clock.now()).is_ok() {
                        world.client.planted.push((there.id, planted.id));
                    }
                }
                world.note(format_args!("host {host} has a machine that nobody knows"));
            }
            Self::SetAside => {
                // Once: what is put back should be old.
                if world.database == Database::IsSetBack && world.aside.is_none() && world.dice.chance(300) {
                    world.aside = world.store.set_aside();
                    world.note("the database is copied");
                }
            }
            Self::PutBack => put_back(world),
        }
    }
}

fn behave(world: &mut World, which: usize) {
    let name = world.client.some_name(&mut world.dice);
    let step = [
        Verb::Create,
        Verb::Start,
        Verb::Shutdown,
        Verb::PowerOff,
        Verb::Destroy,
        Verb::Reconfigure,
    ];
    let step = world.dice.pick(&step).copied().unwrap_or(Verb::Start);
    let does = match world.dice.below(7) {
        0 => Does::Takes(world.dice.below(120_000)),
        1 => Does::fails("the disk had a bad day"),
        2 => Does::fails_for_good("it does not boot"),
        3 => Does::Hangs,
        4 => Does::Lies(Power::Off),
        5 => Does::Lies(Power::On),
        _ => Does::Forgets,
    };
    let mut script = Host::sound();
    let mut rule = Rule::always(does.clone());
    if let Some(name) = name {
        rule = rule.on(&name);
    }
    // A host that forgets all of its machines is not worth a simulation.
    if matches!(does, Does::Forgets | Does::Lies(_)) && rule.machine.is_none() {
        return;
    }
    if !matches!(does, Does::Forgets | Does::Lies(_)) {
        rule = rule.at(step);
    }
    if world.dice.chance(500) {
        rule = rule.times(1 + world.dice.below(3) as u32);
    }
    script.rules.push(rule);
    world.note(format_args!("host {which} behaves: {step} {does:?}"));
    if let Some(host) = world.hosts.get(which) {
        host.fake.behave(script);
    }
}

fn guest(world: &mut World, which: usize) {
    let Some(host) = world.hosts.get(which) else { return };
    let running: Vec<_> = host
        .fake
        .truth()
        .into_iter()
        .filter(|(_, machine)| machine.power == Power::On)
        .collect();
    let Some((id, _)) = world.dice.pick(&running) else {
        return;
    };
    let name = world.client.called(*id);
    if world.dice.chance(500) {
        host.fake.halt(*id);
        world.note(format_args!("guest {name} ends"));
    } else {
        host.fake.crash(*id);
        world.note(format_args!("guest {name} crashes"));
    }
}

fn put_back(world: &mut World) {
    let Some(aside) = world.aside.take() else { return };
    world.store.put_back(&aside);
    world.set_back = true;
    world.note("the database is put back");
    world.client.set_back();
    // With the hubs running, as when a file is copied under them, or with all of them down, as it should be.
    if world.dice.chance(500) {
        for hub in 0..HUBS {
            if world.hubs.get(hub).is_some_and(Option::is_some) {
                world.kill_hub(hub);
            }
        }
    }
    world.agenda.put(Duration::from_secs(1), Happening::Trouble);
}
