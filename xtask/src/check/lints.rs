//! Rules about text that no compiler knows: marks left behind, paths of somebody's machine, the four denies, numbered
//! decisions.

use anyhow::Result;

use super::{Fault, Source};
use crate::tool;

/// Marks of unfinished work. Written apart, so that this file does not find itself.
const MARKS: &[&str] = &[
    concat!("todo", "!("),
    concat!("unimplemented", "!("),
    concat!("dbg", "!("),
    concat!("FIX", "ME"),
    concat!("#[ig", "nore"),
    concat!("Placeholder ", "head"),
];

/// Crates that read bytes from strangers, and what their `lib.rs` denies outside tests.
const DENYING: &[&str] = &["crates/ssh/src/lib.rs", "crates/plan/src/lib.rs"];
const DENIES: &[&str] = &[
    "clippy::unwrap_used",
    "clippy::expect_used",
    "clippy::panic",
    "clippy::indexing_slicing",
];

/// Where decisions stand.
const DECISIONS: &str = "docs/adr/";

/// Faults of every rule in this file; `private` are paths that only this machine has.
pub fn check(sources: &[Source], private: &[String]) -> Vec<Fault> {
    let mut faults = Vec::new();
    for source in sources {
        faults.extend(marks(source));
        faults.extend(private.iter().filter_map(|path| private_path(source, path)));
    }
    faults.extend(DENYING.iter().flat_map(|path| denies(sources, path)));
    faults.extend(decisions(sources));
    faults
}

/// The workspace, the directory it stands in and the home directory.
pub fn private_paths() -> Result<Vec<String>> {
    let root = tool::root()?;
    let above = root.parent().map(std::path::Path::to_path_buf);
    let home = std::env::var_os("HOME").map(std::path::PathBuf::from);
    let paths = [Some(root), above, home].into_iter().flatten();
    Ok(paths
        .filter(|path| path.parent().is_some())
        .map(|path| format!("{}/", path.display()))
        .collect())
}

fn marks(source: &Source) -> Vec<Fault> {
    let found = source.text.lines().enumerate().filter_map(|(index, line)| {
        let mark = MARKS.iter().find(|mark| line.contains(*mark))?;
        Some(Fault::new(
            format!("{}:{}", source.path, index + 1),
            format!("`{mark}` is left behind"),
            "finish it, or write the gap down in docs/roadmap.md",
        ))
    });
    if source.is_rust() { found.collect() } else { Vec::new() }
}

fn private_path(source: &Source, path: &str) -> Option<Fault> {
    let is_start = |at: usize| {
        let before = source.text[..at].chars().next_back();
        !before.is_some_and(|char| char.is_alphanumeric() || "._-~/}$".contains(char))
    };
    source
        .text
        .match_indices(path)
        .find(|(at, _)| is_start(*at))
        .map(|(at, _)| {
            let line = source.text[..at].matches('\n').count() + 1;
            Fault::new(
                format!("{}:{line}", source.path),
                format!("names a path of this machine, {path}"),
                "make it relative",
            )
        })
}

fn denies(sources: &[Source], path: &str) -> Option<Fault> {
    let source = sources.iter().find(|source| source.path == path)?;
    let missing: Vec<&str> = DENIES
        .iter()
        .copied()
        .filter(|deny| !source.text.contains(deny))
        .collect();
    (!missing.is_empty()).then(|| {
        let what = format!("does not deny {}", missing.join(", "));
        Fault::new(
            path,
            what,
            "add them: bytes from the network must never be able to panic us",
        )
    })
}

/// Decisions are numbered from 1 without a gap, and say their own number.
fn decisions(sources: &[Source]) -> Vec<Fault> {
    let files = sources
        .iter()
        .filter(|source| source.path.starts_with(DECISIONS) && source.path.ends_with(".md"));
    let wrong = files.enumerate().filter(|(index, source)| {
        let number = index + 1;
        let name = source.path.trim_start_matches(DECISIONS);
        !name.starts_with(&format!("{number:04}-")) || !source.text.starts_with(&format!("# ADR {number}: "))
    });
    wrong
        .map(|(index, source)| {
            let number = index + 1;
            let remedy = format!("call it {DECISIONS}{number:04}-….md and begin it with `# ADR {number}: `");
            Fault::new(&source.path, "is out of order or does not say its number", remedy)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(path: &str, text: &str) -> Source {
        Source {
            path: path.to_owned(),
            text: text.to_owned(),
        }
    }

    #[test]
    fn a_mark_is_found_with_its_line() {
        let faults = marks(&source("src/a.rs", &format!("fn a() {{\n    {})\n}}\n", MARKS[0])));
        assert_eq!(faults[0].place, "src/a.rs:2");
    }

    #[test]
    fn only_a_whole_path_is_private() {
        let found = |text| private_path(&source("a.md", text), "/place/").is_some();
        assert!(found("see /place/main"));
        assert!(!found("target/place/main"));
        assert!(!found("~/place/main"));
    }

    #[test]
    fn decisions_are_numbered_without_gap() {
        let good = [
            source("docs/adr/0001-a.md", "# ADR 1: a"),
            source("docs/adr/0002-b.md", "# ADR 2: b"),
        ];
        assert!(decisions(&good).is_empty());
        let gap = [
            source("docs/adr/0001-a.md", "# ADR 1: a"),
            source("docs/adr/0003-b.md", "# ADR 3: b"),
        ];
        assert_eq!(decisions(&gap).len(), 1);
    }

    #[test]
    fn a_missing_deny_is_named() {
        let sources = [source(
            "crates/ssh/src/lib.rs",
            "deny(clippy::unwrap_used, clippy::expect_used, clippy::panic)",
        )];
        let fault = denies(&sources, "crates/ssh/src/lib.rs").expect("one is missing");
        assert!(fault.what.ends_with("clippy::indexing_slicing"));
    }
}
