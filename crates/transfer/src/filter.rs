//! Which files of a tree are copied: `--include` and `--exclude`.
//!
//! As in rsync: rules are tried in the order given, the first that matches decides, and what no rule matches is taken. A
//! directory that is left out is not entered, so nothing in it can be taken. A pattern is matched
//!
//! - with no `/` inside and no `**`: against the last name;
//! - with a `/` in front: against the whole path below the source;
//! - else: against the path or what follows one of its slashes, so that `build/*.o` finds `src/build/a.o`.
//!
//! A `/` at the end matches directories only, `/***` at the end a directory and all that is in it. Patterns themselves
//! are described in [`crate::glob`].

use renkei_types::printable::Printable;

use crate::glob::{Name, Pattern, PatternError};
use crate::local::meta::Kind;
use crate::request::Filter;

/// What becomes of a file or directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// It is copied, or entered.
    Take,
    /// It is left out.
    Skip,
}

/// A glob that is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the filter `{}` is not a valid pattern", Printable(glob.as_bytes()))]
pub struct FilterError {
    /// As typed.
    pub glob: String,
    /// What is wrong with it.
    pub source: PatternError,
}

#[derive(Clone, Debug)]
struct Rule {
    decision: Decision,
    pattern: Pattern,
    scope: Scope,
    directories_only: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scope {
    LastName,
    WholePath,
    AnyTail,
}

/// The filters of a copy.
#[derive(Clone, Debug, Default)]
pub struct Filters {
    rules: Vec<Rule>,
}

impl Filters {
    /// Reads the filters of a request.
    ///
    /// # Errors
    /// A glob is not valid.
    pub fn new(filters: &[Filter]) -> Result<Self, FilterError> {
        let mut rules = Vec::new();
        for filter in filters {
            let decision = if filter.include { Decision::Take } else { Decision::Skip };
            let glob = filter.glob.as_str();
            let mut read = |glob: &str| -> Result<(), PatternError> {
                rules.push(Rule::new(glob, decision)?);
                Ok(())
            };
            let result = match glob.strip_suffix("/***") {
                Some(dir) => read(&format!("{dir}/")).and_then(|()| read(&format!("{dir}/**"))),
                None => read(glob),
            };
            result.map_err(|source| FilterError {
                glob: glob.to_owned(),
                source,
            })?;
        }
        Ok(Self { rules })
    }

    /// Decides on `path`, relative to the source; its directories have been decided on before.
    #[must_use]
    pub fn decide(&self, path: &[u8], kind: Kind) -> Decision {
        if self.rules.is_empty() {
            return Decision::Take;
        }
        let last = path.rsplit(|&byte| byte == b'/').next().unwrap_or(path);
        let (last, whole) = (Name::new(last), Name::new(path));
        let rule = self.rules.iter().find(|rule| {
            (kind == Kind::Dir || !rule.directories_only)
                && match rule.scope {
                    Scope::LastName => last.matches(&rule.pattern),
                    Scope::WholePath => whole.matches(&rule.pattern),
                    Scope::AnyTail => whole.tail_matches(&rule.pattern),
                }
        });
        rule.map_or(Decision::Take, |rule| rule.decision)
    }
}

impl Rule {
    fn new(glob: &str, decision: Decision) -> Result<Self, PatternError> {
        let (glob, directories_only) = match glob.strip_suffix('/') {
            Some(glob) => (glob, true),
            None => (glob, false),
        };
        let (glob, scope) = match glob.strip_prefix('/') {
            Some(glob) => (glob, Scope::WholePath),
            None if glob.contains('/') || glob.contains("**") => (glob, Scope::AnyTail),
            None => (glob, Scope::LastName),
        };
        Ok(Self {
            decision,
            pattern: Pattern::new(glob.as_bytes())?,
            scope,
            directories_only,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Decision::{Skip, Take};

    fn filters(rules: &[&str]) -> Filters {
        let rules: Vec<_> = rules
            .iter()
            .map(|rule| Filter {
                include: rule.starts_with('+'),
                glob: rule[2..].to_owned(),
            })
            .collect();
        Filters::new(&rules).unwrap()
    }

    #[test]
    fn without_rules_all_is_taken() {
        assert_eq!(filters(&[]).decide(b"a/b", Kind::File), Take);
    }

    #[test]
    fn the_first_rule_that_matches_decides() {
        let filters = filters(&["+ keep.o", "- *.o"]);
        assert_eq!(filters.decide(b"a/keep.o", Kind::File), Take);
        assert_eq!(filters.decide(b"a/b.o", Kind::File), Skip);
        assert_eq!(filters.decide(b"a/b.c", Kind::File), Take);
    }

    #[test]
    fn a_slash_in_front_anchors_and_one_inside_matches_tails() {
        let filters = filters(&["- /tmp", "- build/*.o", "- a**z"]);
        assert_eq!(filters.decide(b"tmp", Kind::Dir), Skip);
        assert_eq!(filters.decide(b"x/tmp", Kind::Dir), Take);
        assert_eq!(filters.decide(b"src/build/a.o", Kind::File), Skip);
        assert_eq!(filters.decide(b"src/rebuild/a.o", Kind::File), Take);
        assert_eq!(filters.decide(b"x/a/b/z", Kind::File), Skip);
    }

    #[test]
    fn a_slash_at_the_end_matches_directories_only() {
        let filters = filters(&["- target/", "- /out/***"]);
        assert_eq!(filters.decide(b"a/target", Kind::Dir), Skip);
        assert_eq!(filters.decide(b"a/target", Kind::File), Take);
        assert_eq!(filters.decide(b"a/target", Kind::Link), Take);
        assert_eq!(filters.decide(b"out", Kind::Dir), Skip);
        assert_eq!(filters.decide(b"out/a/b", Kind::File), Skip);
        assert_eq!(filters.decide(b"out", Kind::File), Take);
    }

    #[test]
    fn names_that_are_not_utf_8_are_matched() {
        let filters = filters(&["- *.tmp", "- r?sum*"]);
        assert_eq!(filters.decide(b"\xff\n\xfe.tmp", Kind::File), Skip);
        assert_eq!(filters.decide(b"r\xe9sum\xe9", Kind::File), Skip);
    }

    #[test]
    fn a_wrong_glob_is_named() {
        let filter = Filter {
            include: false,
            glob: "a[b".to_owned(),
        };
        let error = Filters::new(&[filter]).unwrap_err();
        assert_eq!(error.to_string(), "the filter `a[b` is not a valid pattern");
    }
}
