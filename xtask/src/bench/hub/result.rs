//! What was measured so far.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Case;
use super::place::Database;
use crate::machine::Machine;

/// All cases.
#[derive(Default, Serialize, Deserialize)]
pub struct Results {
    /// By [`key`].
    rows: BTreeMap<String, Row>,
}

/// One case over one database.
#[derive(Clone, Default, Serialize, Deserialize)]
pub struct Row {
    /// What was measured.
    pub commit: String,
    /// When.
    pub date: String,
    /// What each round told.
    pub samples: Vec<Value>,
}

/// Names a row: `read sqlite`.
pub fn key(case: Case, database: Option<Database>) -> String {
    let case = format!("{case:?}").to_lowercase();
    match database {
        Some(database) => format!("{case} {}", format!("{database:?}").to_lowercase()),
        None => case,
    }
}

impl Results {
    /// In place of what an earlier run has left of this row.
    pub fn put(&mut self, key: &str, machine: &Machine, samples: Vec<Value>) {
        let row = Row {
            commit: machine.commit.clone(),
            date: machine.date.clone(),
            samples,
        };
        self.rows.insert(key.to_owned(), row);
    }

    /// A row, if it was measured.
    pub fn row(&self, case: Case, database: Option<Database>) -> Option<&Row> {
        self.rows.get(&key(case, database))
    }
}

impl Row {
    /// A figure of every round, in ascending order. It is named as a JSON pointer (RFC 6901).
    pub fn figures(&self, pointer: &str) -> Vec<f64> {
        let found = self
            .samples
            .iter()
            .filter_map(|sample| sample.pointer(pointer)?.as_f64());
        let mut figures: Vec<f64> = found.collect();
        figures.sort_by(f64::total_cmp);
        figures
    }

    /// The median, the lower of two.
    pub fn median(&self, pointer: &str) -> Option<f64> {
        let figures = self.figures(pointer);
        figures.get(figures.len().checked_sub(1)? / 2).copied()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_median_is_of_those_rounds_that_tell_the_figure() {
        let samples = vec![
            json!({"a": {"b": 3}}),
            json!({}),
            json!({"a": {"b": 1}}),
            json!({"a": {"b": 2}}),
        ];
        let row = Row {
            samples,
            ..Row::default()
        };
        assert_eq!(row.median("/a/b"), Some(2.0));
        assert_eq!(row.median("/a/c"), None);
    }
}
