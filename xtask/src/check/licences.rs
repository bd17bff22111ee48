//! The licences that others' crates may have, so that the binary can be given away under ours.
//!
//! Reads SPDX expressions (`A AND (B OR C)`, and the old `A/B`). Texts of licences are not read.

use super::Fault;
use super::metadata::Metadata;

/// `deny.toml` says the same to cargo-deny.
const ALLOWED: &[&str] = &[
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    // Data, not code: Mozilla's list of certificate authorities.
    "CDLA-Permissive-2.0",
    "CC0-1.0",
    "ISC",
    "MIT",
    "MIT-0",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

/// A fault for each crate that cannot be used under the list.
pub fn check(metadata: &Metadata) -> Vec<Fault> {
    let mut faults = Vec::new();
    for package in &metadata.packages {
        let place = format!("{} {}", package.name, package.version);
        match package.license.as_deref() {
            None => faults.push(Fault::new(
                place,
                "gives no licence",
                "read its sources, or do without it",
            )),
            Some(expression) if !is_allowed(expression) => faults.push(Fault::new(
                place,
                format!("has the licence `{expression}`"),
                "do without it, or add the licence here and in deny.toml with an ADR that says why",
            )),
            Some(_) => {}
        }
    }
    faults
}

/// Whether some choice among the expression's `OR`s leaves allowed licences only.
///
/// What is not an expression is not allowed.
fn is_allowed(expression: &str) -> bool {
    let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
    let tokens: Vec<&str> = spaced.split_whitespace().collect();
    let mut reader = Reader { tokens: &tokens };
    reader.any() == Some(true) && reader.tokens.is_empty()
}

struct Reader<'a> {
    tokens: &'a [&'a str],
}

impl Reader<'_> {
    fn take(&mut self, word: &str) -> bool {
        if self.tokens.first() == Some(&word) {
            self.tokens = &self.tokens[1..];
            return true;
        }
        false
    }

    /// `all OR all …`
    fn any(&mut self) -> Option<bool> {
        let mut value = self.all()?;
        while self.take("OR") {
            value |= self.all()?;
        }
        Some(value)
    }

    /// `one AND one …`, which binds closer.
    fn all(&mut self) -> Option<bool> {
        let mut value = self.one()?;
        while self.take("AND") {
            value &= self.one()?;
        }
        Some(value)
    }

    fn one(&mut self) -> Option<bool> {
        if self.take("(") {
            let value = self.any()?;
            return self.take(")").then_some(value);
        }
        let (name, rest) = self.tokens.split_first()?;
        self.tokens = rest;
        if self.take("WITH") {
            let (exception, rest) = self.tokens.split_first()?;
            self.tokens = rest;
            return Some(ALLOWED.contains(&format!("{name} WITH {exception}").as_str()));
        }
        Some(ALLOWED.contains(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_allowed_choice_is_enough() {
        assert!(is_allowed("MIT OR GPL-3.0-only"));
        assert!(is_allowed("MIT/Apache-2.0"));
        assert!(is_allowed("ISC AND (Apache-2.0 OR OpenSSL) AND MIT"));
        assert!(is_allowed("Apache-2.0 WITH LLVM-exception OR Apache-2.0 OR MIT"));
    }

    #[test]
    fn all_parts_of_an_and_count() {
        assert!(!is_allowed("MIT AND GPL-3.0-only"));
        assert!(!is_allowed("ISC AND (GPL-2.0-only OR OpenSSL)"));
    }

    #[test]
    fn what_is_no_expression_is_refused() {
        for text in ["", "MIT AND", "(MIT", "MIT)", "MIT MIT", "OR"] {
            assert!(!is_allowed(text), "{text:?}");
        }
    }

    #[test]
    fn cargo_deny_is_told_the_same() {
        let deny = include_str!("../../../deny.toml");
        let list = deny
            .split("allow = [")
            .nth(1)
            .and_then(|rest| rest.split(']').next())
            .expect("deny.toml has a list");
        let told: Vec<&str> = list.split('"').skip(1).step_by(2).collect();
        assert_eq!(told, ALLOWED);
    }
}
