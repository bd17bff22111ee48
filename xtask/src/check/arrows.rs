//! Which of our crates may know which: arrows point down only.
//!
//! The table is the drawing in ARCHITECTURE.md. A crate that has no line may not depend on anything of ours.

use super::Fault;
use super::metadata::{Kind, Metadata, Package};

/// From, to. Everything may also depend on `renkei-types`.
const ARROWS: &[(&str, &[&str])] = &[
    ("renkei", &["renkei-hub", "renkei-site", "renkei-transfer"]),
    ("renkei-hub", &["renkei-store", "renkei-policy"]),
    (
        "renkei-site",
        &["renkei-gateway", "renkei-transfer", "renkei-host", "renkei-policy"],
    ),
    ("renkei-transfer", &["renkei-ssh", "renkei-plan"]),
    ("renkei-gateway", &["renkei-ssh", "renkei-policy"]),
    // Where the two meet that must not know one another; nothing depends on it.
    (
        "renkei-simulator",
        &[
            "renkei-hub",
            "renkei-site",
            "renkei-host",
            "renkei-store",
            "renkei-policy",
        ],
    ),
    // Hosts in numbers against a real hub; nothing depends on it either.
    ("renkei-fleet", &["renkei-site", "renkei-host", "renkei-store"]),
    ("xtask", &["renkei-testkit"]),
];

/// From, to, for tests only: those of the binary put the small template where an agent looks for it.
const TESTS: &[(&str, &str)] = &[("renkei", "renkei-host")];

/// At the bottom.
const TYPES: &str = "renkei-types";
/// For tests only, and for xtask.
const TESTKIT: &str = "renkei-testkit";

/// A fault for each edge that is not in the table.
pub fn check(metadata: &Metadata) -> Vec<Fault> {
    metadata.own().flat_map(from).collect()
}

fn from(package: &Package) -> Vec<Fault> {
    let ours = package
        .dependencies
        .iter()
        .filter(|dependency| dependency.path.is_some());
    let forbidden = ours.filter(|to| !is_allowed(&package.name, &to.name, to.kind));
    forbidden
        .map(|to| {
            let remedy = if to.name == TESTKIT {
                "the testkit is for tests: make it a dev-dependency"
            } else {
                "move what both need down (to `types`), or change the table and the drawing with an ADR"
            };
            Fault::new(&package.name, format!("may not depend on {}", to.name), remedy)
        })
        .collect()
}

fn is_allowed(from: &str, to: &str, kind: Option<Kind>) -> bool {
    if to == TYPES || (to == TESTKIT && kind == Some(Kind::Dev)) {
        return from != TYPES;
    }
    if kind == Some(Kind::Dev) && TESTS.contains(&(from, to)) {
        return true;
    }
    ARROWS.iter().any(|(name, below)| *name == from && below.contains(&to))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrows_point_down_only() {
        assert!(is_allowed("renkei-transfer", "renkei-plan", None));
        assert!(is_allowed("renkei", "renkei-host", Some(Kind::Dev)));
        assert!(!is_allowed("renkei", "renkei-host", None));
        assert!(!is_allowed("renkei-plan", "renkei-transfer", None));
        assert!(!is_allowed("renkei-plan", "renkei-ssh", None));
        assert!(!is_allowed("renkei-types", "renkei-types", None));
    }

    #[test]
    fn hub_and_site_never_meet() {
        assert!(!is_allowed("renkei-hub", "renkei-site", None));
        assert!(!is_allowed("renkei-site", "renkei-hub", None));
    }

    #[test]
    fn the_testkit_is_for_tests() {
        assert!(is_allowed("renkei-ssh", TESTKIT, Some(Kind::Dev)));
        assert!(!is_allowed("renkei-ssh", TESTKIT, None));
        assert!(is_allowed("xtask", TESTKIT, None));
    }
}
