//! Files a person can hold in the head, with names that say what is inside.

use super::{Fault, Source};

/// The end. Past 500 lines ask what the second concept is.
const MOST_LINES: usize = 800;

/// Names that say nothing about what is inside, and so take in everything.
const EMPTY_NAMES: &[&str] = &["utils", "util", "common", "manager", "helpers", "helper", "misc"];

/// Faults of size and name. Prints the median.
pub fn check(sources: &[Source]) -> Vec<Fault> {
    let rust = || sources.iter().filter(|source| source.is_rust());
    let mut sizes: Vec<usize> = rust().map(Source::lines).collect();
    sizes.sort_unstable();
    if let (Some(median), Some(largest)) = (sizes.get(sizes.len() / 2), sizes.last()) {
        println!("{} Rust files, median {median} lines, largest {largest}", sizes.len());
    }
    rust().filter_map(size).chain(rust().filter_map(name)).collect()
}

fn size(source: &Source) -> Option<Fault> {
    let lines = source.lines();
    (lines > MOST_LINES).then(|| {
        let what = format!("has {lines} lines, the most is {MOST_LINES}");
        Fault::new(
            &source.path,
            what,
            "find the second concept in it and give that a file of its own",
        )
    })
}

fn name(source: &Source) -> Option<Fault> {
    let mut parts = source.path.trim_end_matches(".rs").split('/');
    let empty = parts.find(|part| EMPTY_NAMES.contains(part))?;
    Some(Fault::new(
        &source.path,
        format!("`{empty}` says nothing"),
        "name it after the noun that it is about",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(path: &str, lines: usize) -> Source {
        Source {
            path: path.to_owned(),
            text: "x\n".repeat(lines),
        }
    }

    #[test]
    fn a_giant_is_a_fault_and_one_line_less_is_not() {
        assert!(size(&source("a.rs", MOST_LINES + 1)).is_some());
        assert!(size(&source("a.rs", MOST_LINES)).is_none());
    }

    #[test]
    fn names_that_say_nothing_are_faults_also_as_directories() {
        assert!(name(&source("src/utils.rs", 1)).is_some());
        assert!(name(&source("tests/common/mod.rs", 1)).is_some());
        assert!(name(&source("src/commonmark.rs", 1)).is_none());
    }
}
