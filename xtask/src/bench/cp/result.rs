//! What was measured so far.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::case::Direction;
use super::contender::Kind;
use super::measure::{Sample, median};

/// Names a row.
#[derive(Clone, Copy)]
pub struct RowId<'a> {
    /// Name of the case.
    pub case: &'a str,
    /// Up or down.
    pub direction: Direction,
}

/// All rows.
#[derive(Default, Serialize, Deserialize)]
pub struct Results {
    /// By `case` and direction, as in `rate-100 up`.
    rows: BTreeMap<String, Row>,
}

/// One case in one direction.
#[derive(Clone, Default, Serialize, Deserialize)]
pub struct Row {
    /// What was measured.
    pub commit: String,
    /// When.
    pub date: String,
    /// Name in the table and the samples of its rounds.
    pub contenders: Vec<(Kind, String, Vec<Sample>)>,
}

impl Results {
    /// Forgets the row, for new samples.
    pub fn begin(&mut self, id: RowId<'_>, commit: &str, date: &str) {
        let row = Row {
            commit: commit.to_owned(),
            date: date.to_owned(),
            contenders: Vec::new(),
        };
        self.rows.insert(id.key(), row);
    }

    /// One more sample.
    pub fn add(&mut self, id: RowId<'_>, kind: Kind, name: &str, sample: Sample) {
        let row = self.rows.entry(id.key()).or_default();
        match row.contenders.iter_mut().find(|(other, ..)| *other == kind) {
            Some((_, _, samples)) => samples.push(sample),
            None => row.contenders.push((kind, name.to_owned(), vec![sample])),
        }
    }

    /// Every row.
    pub fn rows(&self) -> impl Iterator<Item = &Row> {
        self.rows.values()
    }

    /// A row, if it was measured.
    pub fn row(&self, id: RowId<'_>) -> Option<&Row> {
        self.rows.get(&id.key())
    }
}

impl Row {
    /// Samples of one contender; empty if it did not run.
    pub fn samples(&self, kind: Kind) -> &[Sample] {
        self.contenders
            .iter()
            .find(|(other, ..)| *other == kind)
            .map_or(&[], |(_, _, samples)| samples)
    }

    /// Median of a figure over the rounds that worked.
    pub fn median(&self, kind: Kind, figure: impl Fn(&Sample) -> Option<f64>) -> Option<f64> {
        let good = self.samples(kind).iter().filter(|sample| sample.error.is_none());
        median(good.filter_map(figure).collect())
    }

    /// Median wall time.
    pub fn seconds(&self, kind: Kind) -> Option<f64> {
        self.median(kind, |sample| Some(sample.seconds))
    }
}

impl RowId<'_> {
    fn key(self) -> String {
        format!("{} {}", self.case, self.direction.word())
    }
}
