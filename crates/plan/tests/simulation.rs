//! The plan in virtual time: lanes of different speed and distance, lost and slow ones, files that fail.
//!
//! Time passes from event to event, so minutes of transfer take milliseconds and the same seed gives the same run.

use std::collections::{BTreeMap, BTreeSet, BinaryHeap, HashMap};
use std::time::Duration;

use proptest::prelude::*;
use renkei_plan::{Chunks, FileId, Job, LaneId, Outcome, PIECE, Plan, Runs, Settings, Time};

#[derive(Clone, Debug)]
struct LaneModel {
    rtt: Duration,
    rate: u64,
    /// After how many jobs the lane is lost.
    dies_after: Option<u32>,
}

#[derive(Clone, Debug)]
struct World {
    files: Vec<u64>,
    failing: Vec<bool>,
    lanes: Vec<LaneModel>,
    memory: u64,
    trickle: bool,
    /// Least and most bytes of a chunk.
    chunks: Option<(u64, Option<u64>)>,
}

impl World {
    fn chunks(&self) -> Option<Chunks> {
        let (least, most) = self.chunks?;
        Some(Chunks::new(least, most, self.lanes.len() as u32).unwrap())
    }
}

struct Simulation {
    plan: Plan,
    now: Time,
    sizes: HashMap<FileId, u64>,
    failing: HashMap<FileId, bool>,
    brought: BTreeMap<(FileId, u64), u32>,
    finished: HashMap<FileId, u32>,
    discarded: HashMap<FileId, u32>,
    in_flight: u64,
    most_in_flight: u64,
    open_handles: HashMap<FileId, bool>,
    trace: Vec<String>,
    /// Which lanes were handed pieces of a chunk.
    chunk_lanes: BTreeMap<(FileId, u64), BTreeSet<LaneId>>,
    /// The longest that a piece was out.
    slowest: Duration,
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Due(std::cmp::Reverse<(Time, u64)>);

struct Flight {
    lane: LaneId,
    job: Job,
}

impl Simulation {
    fn bytes(&self, job: &Job) -> u64 {
        match job {
            Job::Piece(piece) => piece.len,
            Job::Batch(files) => files.iter().map(|f| self.sizes[f]).sum(),
            _ => 0,
        }
    }

    fn complete(&mut self, lane: LaneId, job: &Job, lost: bool) {
        self.in_flight -= self.bytes(job);
        self.trace.push(format!("{:?} {lane:?} {job:?} lost={lost}", self.now));
        match job {
            Job::Batch(files) => {
                let outcomes: Vec<Outcome> = files
                    .iter()
                    .map(|file| match (lost, self.failing[file]) {
                        (true, _) => Outcome::Again,
                        (_, true) => Outcome::Failed,
                        _ => Outcome::Done,
                    })
                    .collect();
                for (file, outcome) in files.iter().zip(&outcomes) {
                    if *outcome != Outcome::Again {
                        *self.finished.entry(*file).or_default() += 1;
                    }
                }
                let given_up = self.plan.batch_done(lane, files, &outcomes, self.now);
                for file in given_up {
                    *self.finished.entry(file).or_default() += 1;
                }
            }
            Job::Open(file) => {
                let outcome = if lost { Outcome::Again } else { Outcome::Done };
                if !lost {
                    assert!(self.open_handles.insert(*file, true).is_none(), "opened twice");
                }
                self.plan.done(lane, job, outcome, self.now);
            }
            Job::Piece(piece) => {
                let fails = self.failing[&piece.file] && piece.index == 1;
                let outcome = match (lost, fails) {
                    (true, _) => Outcome::Again,
                    (_, true) => Outcome::Failed,
                    _ => Outcome::Done,
                };
                let first = self.plan.done(lane, job, outcome, self.now);
                if first {
                    *self.brought.entry((piece.file, piece.index)).or_default() += 1;
                }
            }
            Job::Finish(file) => {
                let outcome = if lost { Outcome::Again } else { Outcome::Done };
                if !lost {
                    let pieces = self.sizes[file].div_ceil(PIECE);
                    for index in 0..pieces {
                        assert_eq!(
                            self.brought.get(&(*file, index)),
                            Some(&1),
                            "finished without piece {index}"
                        );
                    }
                    *self.finished.entry(*file).or_default() += 1;
                }
                self.plan.done(lane, job, outcome, self.now);
            }
            Job::Discard(file) => {
                *self.discarded.entry(*file).or_default() += 1;
                self.plan.done(lane, job, Outcome::Done, self.now);
            }
        }
    }
}

fn run(world: &World) -> Simulation {
    let settings = Settings {
        memory: world.memory,
        chunks: world.chunks(),
        ..Settings::default()
    };
    let mut sim = Simulation {
        plan: Plan::new(settings),
        now: Time::ZERO,
        sizes: HashMap::new(),
        failing: HashMap::new(),
        brought: BTreeMap::new(),
        finished: HashMap::new(),
        discarded: HashMap::new(),
        in_flight: 0,
        most_in_flight: 0,
        open_handles: HashMap::new(),
        trace: Vec::new(),
        chunk_lanes: BTreeMap::new(),
        slowest: Duration::ZERO,
    };
    let mut to_add: Vec<(u64, bool)> = world
        .files
        .iter()
        .copied()
        .zip(world.failing.iter().copied())
        .rev()
        .collect();
    let mut models: BTreeMap<LaneId, (LaneModel, u32, Time)> = BTreeMap::new();
    let mut next_lane = 0u32;
    for model in &world.lanes {
        let id = LaneId(next_lane);
        next_lane += 1;
        sim.plan.lane_up(id, model.rtt, sim.now);
        models.insert(id, (model.clone(), 0, Time::ZERO));
    }
    let mut due: BinaryHeap<Due> = BinaryHeap::new();
    let mut flights: HashMap<u64, Flight> = HashMap::new();
    let mut serial = 0u64;
    let mut steps = 0u32;
    while !sim.plan.is_complete() {
        steps += 1;
        assert!(steps < 200_000, "no end in sight");
        // Scan: all at once, or one file a step.
        let take = if world.trickle { 1 } else { to_add.len() };
        for _ in 0..take.min(to_add.len()) {
            let (size, failing) = to_add.pop().unwrap();
            let id = if size <= PIECE {
                sim.plan.add_small(size)
            } else {
                sim.plan.add_large(size, Runs::new())
            };
            sim.sizes.insert(id, size);
            sim.failing.insert(id, failing);
        }
        if to_add.is_empty() {
            sim.plan.scan_done();
        }
        let ids: Vec<LaneId> = models.keys().copied().collect();
        for id in ids {
            while let Some(job) = sim.plan.next(id, sim.now) {
                let bytes = sim.bytes(&job);
                sim.in_flight += bytes;
                sim.most_in_flight = sim.most_in_flight.max(sim.in_flight);
                let (model, jobs, free) = models.get_mut(&id).unwrap();
                *jobs += 1;
                *free = (*free).max(sim.now) + Duration::from_secs_f64(bytes as f64 / model.rate as f64);
                due.push(Due(std::cmp::Reverse((*free + model.rtt, serial))));
                if let (Job::Piece(piece), Some((_, Some(most)))) = (&job, world.chunks) {
                    sim.slowest = sim.slowest.max(*free + model.rtt - sim.now);
                    let chunk = piece.index / (most / PIECE).max(1);
                    sim.chunk_lanes.entry((piece.file, chunk)).or_default().insert(id);
                }
                flights.insert(serial, Flight { lane: id, job });
                serial += 1;
            }
        }
        let Some(Due(std::cmp::Reverse((at, id)))) = due.pop() else {
            assert!(
                !to_add.is_empty() || sim.plan.is_complete(),
                "stalled with work left: {:?}",
                sim.plan.load()
            );
            continue;
        };
        sim.now = at.max(sim.now);
        let Some(flight) = flights.remove(&id) else { continue };
        let dead = {
            let (model, jobs, _) = &models[&flight.lane];
            model.dies_after.is_some_and(|limit| *jobs >= limit)
        };
        if dead {
            // Everything of that lane is lost at once, and a fresh lane takes its place.
            sim.complete(flight.lane, &flight.job, true);
            let mut lost: Vec<u64> = flights
                .iter()
                .filter(|(_, f)| f.lane == flight.lane)
                .map(|(&id, _)| id)
                .collect();
            lost.sort_unstable();
            for id in lost {
                let flight = flights.remove(&id).unwrap();
                sim.complete(flight.lane, &flight.job, true);
            }
            sim.plan.lane_down(flight.lane);
            let (model, _, _) = models.remove(&flight.lane).unwrap();
            let id = LaneId(next_lane);
            next_lane += 1;
            sim.plan.lane_up(id, model.rtt, sim.now);
            models.insert(
                id,
                (
                    LaneModel {
                        dies_after: None,
                        ..model
                    },
                    0,
                    sim.now,
                ),
            );
        } else {
            sim.complete(flight.lane, &flight.job, false);
        }
    }
    assert!(flights.is_empty(), "something is in flight after the end");
    sim
}

fn check(world: &World) -> Simulation {
    let sim = run(world);
    for (file, size) in &sim.sizes {
        let ends = sim.finished.get(file).copied().unwrap_or(0) + sim.discarded.get(file).copied().unwrap_or(0);
        assert_eq!(ends, 1, "file {file:?} of {size} bytes ended {ends} times");
        if sim.discarded.contains_key(file) {
            assert!(sim.failing[file]);
        }
    }
    assert!(
        sim.brought.values().all(|&times| times == 1),
        "a piece was counted twice"
    );
    let largest_job = PIECE;
    assert!(
        sim.most_in_flight <= world.memory + largest_job,
        "{} in flight",
        sim.most_in_flight
    );
    sim
}

fn world() -> impl Strategy<Value = World> {
    let size = prop_oneof![
        Just(0u64),
        1..PIECE,
        Just(PIECE),
        PIECE + 1..4 * PIECE,
        Just(8 * PIECE),
        4 * PIECE..40 * PIECE,
    ];
    let lane =
        (0u64..300, 1u64..200, prop::option::weighted(0.3, 1u32..30)).prop_map(|(ms, mb, dies_after)| LaneModel {
            rtt: Duration::from_millis(ms),
            rate: mb * 1_000_000,
            dies_after,
        });
    (
        prop::collection::vec((size, prop::bool::weighted(0.05)), 0..120),
        prop::collection::vec(lane, 1..9),
        prop_oneof![Just(2 * PIECE), Just(8 * PIECE), Just(96 * PIECE)],
        any::<bool>(),
        prop::option::of(chunks()),
    )
        .prop_map(|(files, lanes, memory, trickle, chunks)| {
            let (files, failing) = files.into_iter().unzip();
            World {
                files,
                failing,
                lanes,
                memory,
                trickle,
                chunks,
            }
        })
}

fn chunks() -> impl Strategy<Value = (u64, Option<u64>)> {
    (0..12 * PIECE, prop::option::of(0..12 * PIECE)).prop_map(|(least, more)| (least, more.map(|more| least + more)))
}

/// Lanes that neither break nor dawdle.
fn calm_world() -> impl Strategy<Value = World> {
    let lane = (0u64..100, 20u64..200).prop_map(|(ms, mb)| LaneModel {
        rtt: Duration::from_millis(ms),
        rate: mb * 1_000_000,
        dies_after: None,
    });
    (
        prop::collection::vec(0..60 * PIECE, 1..20),
        prop::collection::vec(lane, 1..9),
        (0..12 * PIECE, 0..12 * PIECE),
        any::<bool>(),
    )
        .prop_map(|(files, lanes, (least, more), trickle)| World {
            failing: vec![false; files.len()],
            files,
            lanes,
            memory: 96 * PIECE,
            trickle,
            chunks: Some((least, Some(least + more))),
        })
}

proptest! {
    #[test]
    fn every_byte_arrives_once_whatever_happens_to_lanes(world in world()) {
        check(&world);
    }

    #[test]
    fn no_range_that_a_lane_takes_is_larger_than_the_largest_chunk(world in calm_world()) {
        let sim = check(&world);
        // What is out for longer may be taken over.
        prop_assume!(sim.slowest < Duration::from_secs(2));
        // Chunks lie side by side, so a lane that left its own would meet another in the next.
        for (chunk, lanes) in &sim.chunk_lanes {
            prop_assert_eq!(lanes.len(), 1, "{:?} was taken by {:?}", chunk, lanes);
        }
    }

    #[test]
    fn the_same_world_gives_the_same_run(world in world()) {
        prop_assert_eq!(run(&world).trace, run(&world).trace);
    }
}

#[test]
fn a_hung_lane_does_not_hold_the_end_for_ever() {
    // Nine fast lanes and one that takes an hour for a piece: its pieces are taken over, and it is named a straggler.
    let mut plan = Plan::new(Settings::default());
    let rtt = Duration::from_millis(10);
    plan.lane_up(LaneId(0), rtt, Time::ZERO);
    plan.lane_up(LaneId(1), rtt, Time::ZERO);
    let file = plan.add_large(6 * PIECE, Runs::new());
    plan.scan_done();
    let open = plan.next(LaneId(0), Time::ZERO).unwrap();
    plan.done(LaneId(0), &open, Outcome::Done, Time::ZERO);
    let mut hung = Vec::new();
    while let Some(job) = plan.next(LaneId(0), Time::ZERO) {
        hung.push(job);
    }
    assert!(!hung.is_empty());
    let mut now = Time::ZERO;
    for _ in 0..2000 {
        now += Duration::from_millis(5);
        while let Some(job) = plan.next(LaneId(1), now) {
            assert!(matches!(job, Job::Piece(_)), "nothing is finished while a piece is out");
            plan.done(LaneId(1), &job, Outcome::Done, now);
        }
        if !plan.stragglers().is_empty() {
            break;
        }
    }
    assert_eq!(plan.stragglers(), vec![LaneId(0)]);
    for job in &hung {
        plan.done(LaneId(0), job, Outcome::Again, now);
    }
    plan.lane_down(LaneId(0));
    assert_eq!(plan.next(LaneId(1), now), Some(Job::Finish(file)));
}

#[test]
fn small_and_large_files_go_together() {
    let mut plan = Plan::new(Settings::default());
    plan.lane_up(LaneId(0), Duration::from_millis(20), Time::ZERO);
    for _ in 0..1000 {
        plan.add_small(4096);
    }
    plan.add_large(200 * PIECE, Runs::new());
    plan.scan_done();
    let mut kinds = (0, 0);
    while let Some(job) = plan.next(LaneId(0), Time::ZERO) {
        match job {
            Job::Open(_) => {
                plan.done(LaneId(0), &job, Outcome::Done, Time::ZERO);
            }
            Job::Batch(files) => kinds.0 += files.len(),
            Job::Piece(_) => kinds.1 += 1,
            _ => {}
        }
    }
    assert!(kinds.0 >= 256, "hundreds of small files: {kinds:?}");
    assert!(kinds.1 >= 2, "and pieces beside them: {kinds:?}");
}

#[test]
fn pieces_found_missing_at_the_end_go_again_before_the_file_is_finished() {
    let (lane, now) = (LaneId(0), Time::ZERO);
    let mut plan = Plan::new(Settings::default());
    plan.lane_up(lane, Duration::from_millis(10), now);
    let file = plan.add_large(3 * PIECE, Runs::new());
    plan.scan_done();
    let bring_all = |plan: &mut Plan| {
        let mut brought = Vec::new();
        loop {
            let job = plan.next(lane, now).unwrap();
            match &job {
                Job::Finish(_) => return (brought, job),
                Job::Piece(piece) => brought.push(piece.index),
                _ => {}
            }
            plan.done(lane, &job, Outcome::Done, now);
        }
    };
    let (brought, finish) = bring_all(&mut plan);
    assert_eq!(brought, [0, 1, 2]);
    let mut missing = Runs::from_range(2, 3);
    missing.insert(0);
    plan.undo(file, &missing);
    assert_eq!(plan.load().bytes, 2 * PIECE);
    plan.done(lane, &finish, Outcome::Again, now);
    let (brought, finish) = bring_all(&mut plan);
    assert_eq!(brought, [0, 2]);
    assert!(plan.done(lane, &finish, Outcome::Done, now));
    assert!(plan.is_complete());
}

#[test]
fn what_need_not_be_moved_is_not_handed_out() {
    let mut plan = Plan::new(Settings::default());
    plan.lane_up(LaneId(0), Duration::from_millis(1), Time::ZERO);
    let file = plan.add_large(5 * PIECE - 7, Runs::new());
    plan.scan_done();
    let open = plan.next(LaneId(0), Time::ZERO).unwrap();
    let mut holes = Runs::from_range(1, 3);
    holes.insert(4);
    assert_eq!(plan.fulfil(file, &holes), 3 * PIECE - 7);
    plan.done(LaneId(0), &open, Outcome::Done, Time::ZERO);
    let mut moved = Vec::new();
    while let Some(job) = plan.next(LaneId(0), Time::ZERO) {
        if let Job::Piece(piece) = job {
            moved.push(piece.index);
        }
    }
    assert_eq!(moved, [0, 3]);
}

#[test]
fn a_file_that_is_not_cut_is_shared_piece_by_piece_and_one_that_is_cut_is_not() {
    let lanes_of_each_half = |chunks| {
        let (mut plan, now) = (
            Plan::new(Settings {
                chunks,
                ..Settings::default()
            }),
            Time::ZERO,
        );
        let lanes = [LaneId(0), LaneId(1)];
        for lane in lanes {
            plan.lane_up(lane, Duration::from_millis(10), now);
        }
        plan.add_large(20 * PIECE, Runs::new());
        plan.scan_done();
        let mut halves = [BTreeSet::new(), BTreeSet::new()];
        while !plan.is_complete() {
            let jobs = lanes.map(|lane| plan.next(lane, now).map(|job| (lane, job)));
            for (lane, job) in jobs.into_iter().flatten() {
                if let Job::Piece(piece) = &job {
                    halves[(piece.index / 10) as usize].insert(lane.0);
                }
                plan.done(lane, &job, Outcome::Done, now);
            }
        }
        halves.map(|lanes| lanes.len())
    };
    assert_eq!(lanes_of_each_half(None), [2, 2]);
    assert_eq!(lanes_of_each_half(Chunks::new(PIECE, Some(10 * PIECE), 2)), [1, 1]);
    let whole = lanes_of_each_half(Chunks::new(20 * PIECE, None, 2));
    assert_eq!(whole, [1, 1], "below the smallest chunk a file is one");
}

#[test]
fn the_chunk_of_a_hung_or_lost_lane_is_finished_by_another() {
    for lost in [true, false] {
        let chunks = Chunks::new(PIECE, Some(40 * PIECE), 2);
        let mut plan = Plan::new(Settings {
            chunks,
            ..Settings::default()
        });
        let rtt = Duration::from_millis(10);
        plan.lane_up(LaneId(0), rtt, Time::ZERO);
        plan.lane_up(LaneId(1), rtt, Time::ZERO);
        plan.add_large(40 * PIECE, Runs::new());
        plan.scan_done();
        let open = plan.next(LaneId(0), Time::ZERO).unwrap();
        plan.done(LaneId(0), &open, Outcome::Done, Time::ZERO);
        let held: Vec<Job> = std::iter::from_fn(|| plan.next(LaneId(0), Time::ZERO)).collect();
        assert!(!held.is_empty() && plan.next(LaneId(1), Time::ZERO).is_none());
        if lost {
            for job in &held {
                plan.done(LaneId(0), job, Outcome::Again, Time::ZERO);
            }
            plan.lane_down(LaneId(0));
        }
        let mut brought = 0;
        for second in 0..60 {
            let now = Duration::from_secs(second);
            while let Some(job) = plan.next(LaneId(1), now) {
                brought += u32::from(matches!(job, Job::Piece(_)));
                plan.done(LaneId(1), &job, Outcome::Done, now);
            }
        }
        assert_eq!(brought, 40, "lost: {lost}");
    }
}
