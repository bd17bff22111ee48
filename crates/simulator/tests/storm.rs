//! Storms from fresh seeds. `RENKEI_STORMS` says how many; a seed that fails is run again alone with `RENKEI_STORM=SEED`.

#![expect(
    clippy::print_stdout,
    reason = "seeds and traces are for whoever reads the test's output"
)]

use renkei_simulator::{Database, Detail, Run, run};
use renkei_testkit::seed::seed;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| {
        text.parse()
            .unwrap_or_else(|_| panic!("`{name}` is not a number: {text}"))
    })
}

/// `RENKEI_SET_BACK=1` lets the database be set back now and then: docs/roadmap.md tells what is still found so.
fn database() -> Database {
    match number("RENKEI_SET_BACK") {
        Some(1) => Database::IsSetBack,
        _ => Database::GoesOn,
    }
}

/// What is printed of a run that went wrong.
fn told(run: &Run) -> Option<String> {
    let broken = run.outcome.as_ref().err()?;
    let tail = run
        .trace
        .tail(usize::try_from(number("RENKEI_TRACE").unwrap_or(60)).unwrap());
    Some(format!(
        "{}\n\n{}\nagain: RENKEI_STORM={} cargo nextest run -p renkei-simulator -E 'test(storm)'",
        tail.join("\n"),
        broken.0,
        run.seed
    ))
}

/// A part of the storms, so that the parts run beside one another.
fn storms(part: u64, of: u64) {
    if let Some(seed) = number("RENKEI_STORM") {
        if part == 0 {
            let run = run(seed, Detail::Frames, database());
            println!("{}", run.trace.tail(usize::MAX).join("\n"));
            run.outcome.unwrap();
        }
        return;
    }
    let (first, count) = (seed(), number("RENKEI_STORMS").unwrap_or(60));
    println!("{count} storms from seed {first}");
    for number in (0..count).filter(|number| number % of == part) {
        if let Some(told) = told(&run(first.wrapping_add(number), Detail::Deeds, database())) {
            panic!("{told}");
        }
    }
}

#[test]
fn after_a_storm_all_is_as_it_is_meant_one() {
    storms(0, 2);
}

#[test]
fn after_a_storm_all_is_as_it_is_meant_two() {
    storms(1, 2);
}

#[test]
fn the_same_seed_gives_the_same_storm() {
    let seed = seed();
    let (one, two) = (
        run(seed, Detail::Deeds, database()),
        run(seed, Detail::Deeds, database()),
    );
    assert_eq!(one.trace, two.trace);
    assert!(one.trace.len() > 100, "hardly anything happened");
}
