//! The end of a copy in virtual time: lanes that share a path, stall, or become slow when everything is handed out.
//!
//! Bytes flow in steps of a few milliseconds; what a lane has out arrives in the order in which it was handed out.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use proptest::prelude::*;
use renkei_plan::{Job, LaneId, Outcome, PIECE, Plan, Repeat, Runs, Settings, Time};

const STEP: Duration = Duration::from_millis(5);

#[derive(Clone, Debug)]
struct Path {
    rtt: Duration,
    /// Bytes a second that all lanes share.
    rate: u64,
    lanes: Vec<Route>,
}

/// What one lane gets at most: its rate, and from a moment on for some time another one.
#[derive(Clone, Debug)]
struct Route {
    rate: u64,
    from: Duration,
    lasts: Duration,
    then: u64,
}

impl Route {
    fn steady(rate: u64) -> Self {
        Self {
            rate,
            from: Duration::ZERO,
            lasts: Duration::ZERO,
            then: rate,
        }
    }

    fn rate(&self, now: Time) -> u64 {
        let is_other = now >= self.from && now < self.from.saturating_add(self.lasts);
        if is_other { self.then } else { self.rate }
    }
}

struct Flight {
    job: Job,
    left: f64,
    /// The request has to get there, and the first byte back.
    from: Time,
}

#[derive(Debug, PartialEq)]
struct End {
    took: Duration,
    /// Bytes that came more than once.
    twice: u64,
    given_up: u32,
}

fn copy(path: &Path, size: u64, repeat: Repeat) -> End {
    let mut plan = Plan::new(Settings {
        repeat,
        ..Settings::default()
    });
    let mut now = Time::ZERO;
    let mut lanes: BTreeMap<LaneId, VecDeque<Flight>> = BTreeMap::new();
    for number in 0..path.lanes.len() {
        plan.lane_up(LaneId(number as u32), path.rtt, now);
        lanes.insert(LaneId(number as u32), VecDeque::new());
    }
    plan.add_large(size, Runs::new());
    plan.scan_done();
    let (mut came, mut given_up) = (0u64, 0);
    while !plan.is_complete() {
        assert!(now < Duration::from_secs(36_000), "no end in sight");
        for (&id, out) in &mut lanes {
            while let Some(job) = plan.next(id, now) {
                let left = if let Job::Piece(piece) = &job {
                    piece.len as f64
                } else {
                    0.0
                };
                out.push_back(Flight {
                    job,
                    left,
                    from: now + path.rtt,
                });
            }
        }
        now += STEP;
        let busy = lanes
            .values()
            .filter(|out| out.front().is_some_and(|flight| flight.from <= now));
        let share = path.rate / (busy.count() as u64).max(1);
        for (&id, out) in &mut lanes {
            let route = &path.lanes[id.0 as usize];
            let mut room = route.rate(now).min(share) as f64 * STEP.as_secs_f64();
            while let Some(flight) = out.front_mut().filter(|flight| flight.from <= now) {
                let moved = flight.left.min(room);
                flight.left -= moved;
                room -= moved;
                if flight.left > 0.0 {
                    break;
                }
                let flight = out.pop_front().unwrap();
                if let Job::Piece(piece) = &flight.job {
                    came += piece.len;
                }
                plan.done(id, &flight.job, Outcome::Done, now);
            }
        }
        // As the fleet does with those that hold only what others have brought.
        for id in plan.stragglers() {
            for flight in lanes.remove(&id).unwrap() {
                if let Job::Piece(piece) = &flight.job {
                    came += piece.len - flight.left as u64;
                }
                plan.done(id, &flight.job, Outcome::Again, now);
            }
            plan.lane_down(id);
            given_up += 1;
        }
    }
    End {
        took: now,
        twice: came - size,
        given_up,
    }
}

/// Lanes of one speed over a path that gives each of them all it wants.
fn wide(lanes: usize, rate: u64) -> Path {
    Path {
        rtt: Duration::from_millis(100),
        rate: rate * lanes as u64,
        lanes: vec![Route::steady(rate); lanes],
    }
}

#[test]
fn on_a_slow_shared_path_nothing_is_sent_twice_and_no_lane_is_given_up() {
    for rate in [20_000, 100_000, 1_000_000, 10_000_000] {
        let path = Path { rate, ..wide(8, rate) };
        for repeat in [Repeat::Harmless, Repeat::Lingers] {
            let end = copy(&path, 40 * PIECE, repeat);
            assert_eq!((end.twice, end.given_up), (0, 0), "{rate} {repeat:?} {end:?}");
        }
    }
}

#[test]
fn a_lane_that_stalls_at_the_end_is_not_waited_for() {
    let calm = wide(8, 20_000_000);
    let mut stalled = calm.clone();
    stalled.lanes[0] = Route {
        from: Duration::from_millis(1500),
        lasts: Duration::from_secs(60),
        then: 0,
        ..calm.lanes[0]
    };
    let took = |path, repeat| copy(path, 256 * PIECE, repeat).took;
    let (without, harmless) = (took(&calm, Repeat::Harmless), took(&stalled, Repeat::Harmless));
    assert!(
        harmless < without + Duration::from_millis(1000),
        "{without:?} {harmless:?}"
    );
    let lingers = took(&stalled, Repeat::Lingers);
    assert!(
        lingers < without + Duration::from_millis(3500),
        "{without:?} {lingers:?}"
    );
}

#[test]
fn a_lane_that_has_become_slow_is_helped() {
    let calm = wide(8, 20_000_000);
    let mut slowed = calm.clone();
    slowed.lanes[0] = Route {
        from: Duration::from_millis(1500),
        lasts: Duration::from_secs(600),
        then: 200_000,
        ..calm.lanes[0]
    };
    let took = |path| copy(path, 256 * PIECE, Repeat::Harmless).took;
    let (without, slow) = (took(&calm), took(&slowed));
    assert!(slow < without + Duration::from_millis(1500), "{without:?} {slow:?}");
}

prop_compose! {
    fn route(rate: u64)(
        own in rate / 2..rate * 2,
        from in 0u64..4000,
        lasts in prop_oneof![Just(0), 50u64..6000],
        then in prop_oneof![Just(0), 0..rate],
    ) -> Route {
        let [from, lasts] = [from, lasts].map(Duration::from_millis);
        Route { rate: own, from, lasts, then }
    }
}

fn path() -> impl Strategy<Value = Path> {
    let rate = prop_oneof![
        100_000u64..1_000_000,
        1_000_000u64..20_000_000,
        20_000_000u64..100_000_000
    ];
    (1u64..300, rate, 1u64..16).prop_flat_map(|(rtt, rate, share)| {
        prop::collection::vec(route(rate), 2..12).prop_map(move |lanes| Path {
            rtt: Duration::from_millis(rtt),
            rate: rate * share,
            lanes,
        })
    })
}

proptest! {
    #[test]
    fn every_end_is_reached_with_a_lane_left(path in path(), pieces in 2u64..100, lingers: bool) {
        let repeat = if lingers { Repeat::Lingers } else { Repeat::Harmless };
        let end = copy(&path, pieces * PIECE, repeat);
        prop_assert!((end.given_up as usize) < path.lanes.len());
        // A piece is brought by two lanes at most.
        prop_assert!(end.twice <= pieces * PIECE);
    }
}
