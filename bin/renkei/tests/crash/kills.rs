//! SIGKILL at random moments, while a script works.

use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;

use renkei_testkit::seed::Rng;
use renkei_testkit::{Postgres, wait};

use crate::api::PATIENCE;
use crate::at_rest;
use crate::stand::{Role, Stand};
use crate::work::Worker;

/// Scripts that work at the same time.
const SCRIPTS: [&str; 2] = ["ann", "bob"];
/// After so many kills an operation comes to its end.
const PAUSE: u64 = 5;
/// Without a kill in between, milliseconds: at most.
const LONGEST: u64 = 2500;

fn kills() -> u64 {
    std::env::var("RENKEI_HUB_KILLS").map_or(15, |text| text.parse().expect("`RENKEI_HUB_KILLS` is a number"))
}

#[test]
fn a_script_works_with_a_hub_on_postgresql_and_a_real_agent() {
    let server = Postgres::start().unwrap();
    let stand = Stand::start(1, Some(&server.url(&server.create().unwrap())));
    let ledger = Worker::new(&stand, "ann").steps(25);
    at_rest::check(&stand, &[ledger]);
    stand.agent.stop();
    stand.hubs.iter().for_each(Role::stop);
}

#[test]
fn two_hubs_on_postgresql_and_an_agent_are_killed_and_nothing_is_lost() {
    let server = Postgres::start().unwrap();
    let stand = Stand::start(2, Some(&server.url(&server.create().unwrap())));
    storm(&stand, "postgresql");
}

#[test]
fn a_hub_on_sqlite_and_an_agent_are_killed_and_nothing_is_lost() {
    storm(&Stand::start(1, None), "sqlite");
}

fn storm(stand: &Stand, purpose: &str) {
    let stop = AtomicBool::new(false);
    let ledgers: Vec<_> = std::thread::scope(|scope| {
        let stop = &stop;
        let work = |name| scope.spawn(move || Worker::new(stand, name).until(stop));
        let scripts = SCRIPTS.map(work);
        let killed = scope.spawn(move || {
            // Also if this fails.
            let _stop = Stop(stop);
            kill(stand, Rng::for_purpose(purpose));
        });
        // Whoever has failed first says why.
        let ledgers = scripts.map(|script| script.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        killed.join().unwrap();
        ledgers.into()
    });
    at_rest::check(stand, &ledgers);
}

/// Kills one or several of all processes, starts them anew, and again.
fn kill(stand: &Stand, mut rng: Rng) {
    let roles: Vec<&Role> = stand.hubs.iter().chain([&stand.agent]).collect();
    let mut left = kills();
    while left > 0 {
        if left.is_multiple_of(PAUSE) {
            // A hub that takes over what another one did waits until that one was silent for a while: once in a while there is time.
            let ended = stand.api.ended();
            wait::until_some("an operation to end", PATIENCE, || {
                (stand.api.ended() > ended).then_some(())
            })
            .unwrap();
        }
        let changes = stand.api.changes() + rng.within(1..8) as usize;
        let longest = Duration::from_millis(rng.within(200..LONGEST));
        // While the script waits for what the last kill has delayed it asks for nothing: then the time decides.
        let _ = wait::until_some("some changes", longest, || {
            (stand.api.changes() >= changes).then_some(())
        });
        let drawn = rng.within(1..1 << roles.len());
        let victims = roles.iter().enumerate().filter(|(number, _)| drawn >> number & 1 == 1);
        let victims: Vec<&&Role> = victims.map(|(_, role)| role).take(left as usize).collect();
        left -= victims.len() as u64;
        victims.iter().for_each(|role| role.kill());
        victims.iter().for_each(|role| role.start());
    }
}

/// Tells the scripts to stop when it is dropped.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, SeqCst);
    }
}
