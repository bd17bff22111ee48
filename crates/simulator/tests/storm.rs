//! Storms from fresh seeds; in one of four the database is set back. `RENKEI_STORMS` says how many, `RENKEI_SET_BACK` (`1` or `0`) that it
//! is set back in all of them or in none. What fails says how it is run again alone: with `RENKEI_STORM=SEED`.

#![expect(
    clippy::print_stdout,
    reason = "seeds and traces are for whoever reads the test's output"
)]

use renkei_simulator::{Database, Detail, Run, run};
use renkei_testkit::seed::seed;

/// Fresh storms, unless `RENKEI_STORMS` says otherwise.
const STORMS: u64 = 1000;
/// Tests among which they are divided, so that these run beside one another.
const PARTS: u64 = 4;
/// Of so many storms of a part the database is set back in one.
const SET_BACK: u64 = 4;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| {
        text.parse()
            .unwrap_or_else(|_| panic!("`{name}` is not a number: {text}"))
    })
}

/// What is printed of a run that went wrong.
fn told(run: &Run, database: Database) -> Option<String> {
    let broken = run.outcome.as_ref().err()?;
    let tail = run
        .trace
        .tail(usize::try_from(number("RENKEI_TRACE").unwrap_or(60)).unwrap());
    let set_back = u8::from(database == Database::IsSetBack);
    Some(format!(
        "{}\n\n{}\nagain: RENKEI_SET_BACK={set_back} RENKEI_STORM={} cargo nextest run -p renkei-simulator -E 'test(storm)'",
        tail.join("\n"),
        broken.0,
        run.seed
    ))
}

/// Whether the database is set back follows from the seed, so that it alone makes the same storm again.
fn database(seed: u64) -> Database {
    let is_set_back = match number("RENKEI_SET_BACK") {
        Some(wanted) => wanted == 1,
        None => (seed / PARTS).is_multiple_of(SET_BACK),
    };
    match is_set_back {
        true => Database::IsSetBack,
        false => Database::GoesOn,
    }
}

/// A part of the storms.
fn storms(part: u64) {
    if let Some(seed) = number("RENKEI_STORM") {
        if part == 0 {
            let run = run(seed, Detail::Frames, database(seed));
            println!("{}", run.trace.tail(usize::MAX).join("\n"));
            run.outcome.unwrap();
        }
        return;
    }
    let (first, count) = (seed(), number("RENKEI_STORMS").unwrap_or(STORMS));
    let mine = (0..count).filter(|number| number % PARTS == part);
    println!("the storms {part}, {}, … of {count} from seed {first}", part + PARTS);
    let told: Vec<String> = mine
        .filter_map(|number| {
            let seed = first.wrapping_add(number);
            let database = database(seed);
            told(&run(seed, Detail::Deeds, database), database)
        })
        .collect();
    assert!(told.is_empty(), "{} storms: {}", told.len(), told.join("\n\n"));
}

#[test]
fn after_a_storm_all_is_as_it_is_meant_one() {
    storms(0);
}

#[test]
fn after_a_storm_all_is_as_it_is_meant_two() {
    storms(1);
}

#[test]
fn after_a_storm_all_is_as_it_is_meant_three() {
    storms(2);
}

#[test]
fn after_a_storm_all_is_as_it_is_meant_four() {
    storms(3);
}

#[test]
fn the_same_seed_gives_the_same_storm() {
    for database in [Database::GoesOn, Database::IsSetBack] {
        let (seed, detail) = (seed(), Detail::Frames);
        let (one, two) = (run(seed, detail, database), run(seed, detail, database));
        assert_eq!(one.trace, two.trace);
        assert!(one.trace.len() > 100, "hardly anything happened");
    }
}
