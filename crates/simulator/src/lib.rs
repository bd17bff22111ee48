//! Hubs, agents and hosts in virtual time from a seed: what goes wrong in years happens here in a second.
//!
//! The hubs are the real application over the simulated store in memory, the agents the real ones over the fake driver. What is
//! simulated is what lies between and below: wires that delay, double and break, processes that die at any commit or save,
//! drivers that fail, hang, forget and lie, clocks that are an hour apart, a database that is set back. After the storm comes a calm
//! in which nothing goes wrong, and in the end all that is meant must be so, and nothing else: [`check`].
//!
//! There is no thread, no runtime and no real clock in it: the same seed gives the same trace.

mod check;
mod client;
mod dice;
mod host;
mod hub;
mod time;
mod trace;
mod trouble;
mod world;

use std::time::Duration;

pub use self::check::Broken;
pub use self::trace::{Detail, Trace};
use self::world::{CALM, STORM, World};

/// From one look at what is not yet so to the next.
const LOOK: Duration = Duration::from_secs(10);

/// Whether the database is set back to an earlier state now and then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Database {
    /// Never.
    GoesOn,
    /// Now and then.
    IsSetBack,
}

/// A run and how it ended.
#[derive(Debug)]
pub struct Run {
    /// From which it can be made again.
    pub seed: u64,
    /// What happened.
    pub trace: Trace,
    /// What must not be, if it came to that.
    pub outcome: Result<(), Broken>,
}

/// Lets a storm pass over a world, and looks what is left.
pub fn run(seed: u64, detail: Detail, database: Database) -> Run {
    match World::new(seed, detail, database) {
        Ok(mut world) => {
            let outcome = weather(&mut world);
            let trace = world.trace;
            Run { seed, trace, outcome }
        }
        Err(_) => Run {
            seed,
            trace: Trace::default(),
            outcome: Err(Broken("the world could not be made".to_owned())),
        },
    }
}

fn weather(world: &mut World) -> Result<(), Broken> {
    while world.clock.elapsed() < STORM {
        world.step().ok_or_else(stands_still)?;
        world.broken.take().map_or(Ok(()), Err)?;
    }
    world.calm();
    let (end, mut settled) = (world.clock.elapsed() + CALM, 0);
    loop {
        let look = world.clock.elapsed() + LOOK;
        while world.clock.elapsed() < look {
            world.step().ok_or_else(stands_still)?;
            world.broken.take().map_or(Ok(()), Err)?;
        }
        world.recover();
        let open = check::unsettled(world);
        settled = if open.is_empty() { settled + 1 } else { 0 };
        // Three times, so that what is so stays so.
        if settled == 3 {
            return check::broken(world);
        }
        if world.clock.elapsed() > end {
            return Err(Broken(open.join("; ")));
        }
    }
}

fn stands_still() -> Broken {
    Broken("nothing happens any more".to_owned())
}
