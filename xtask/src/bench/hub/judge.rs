//! Promise against measurement.

use super::Case;
use super::place::Database;
use super::result::Results;

/// What must be reached.
pub struct Promise {
    /// In which case.
    pub case: Case,
    /// What is measured, in words.
    pub what: &'static str,
    /// Where the figure stands in a sample.
    pub figure: &'static str,
    /// At most this.
    pub at_most: f64,
    /// Of these.
    pub unit: &'static str,
}

const fn promise(
    case: Case,
    what: &'static str,
    figure: &'static str,
    (at_most, unit): (f64, &'static str),
) -> Promise {
    Promise {
        case,
        what,
        figure,
        at_most,
        unit,
    }
}

/// All of them.
pub const PROMISES: [Promise; 9] = [
    promise(
        Case::Read,
        "list 100 of 10,000 machines in 1,000 projects, 500 requests/s: 99th percentile",
        "/list/p99_ms",
        (20.0, "ms"),
    ),
    promise(
        Case::Read,
        "show one of them, 500 requests/s: 99th percentile",
        "/show/p99_ms",
        (10.0, "ms"),
    ),
    promise(
        Case::Read,
        "refresh a token of mdx's dialect, 500 requests/s: 99th percentile",
        "/refresh/p99_ms",
        (3.0, "ms"),
    ),
    promise(
        Case::Deploy,
        "1,000 machines asked for at once on 100 hosts, until all run",
        "/seconds",
        (20.0, "s"),
    ),
    promise(Case::Deploy, "of these, failed", "/failed", (0.0, "")),
    promise(
        Case::Change,
        "500 agents, a change for each, until all have reported it",
        "/seconds",
        (5.0, "s"),
    ),
    promise(
        Case::Change,
        "the most memory that the hub takes meanwhile",
        "/hub_peak_mb",
        (300.0, "MB"),
    ),
    promise(
        Case::Up,
        "`renkei up` in an empty folder, from its start until it is ready",
        "/seconds",
        (1.0, "s"),
    ),
    promise(
        Case::Up,
        "its memory while idle: hub, agent, and what started them",
        "/idle_mb",
        (100.0, "MB"),
    ),
];

impl Promise {
    /// What was measured, and how the promise was kept, both in words.
    pub fn judged(&self, results: &Results, database: Option<Database>) -> (String, &'static str) {
        let row = results.row(self.case, database);
        let Some(measured) = row.and_then(|row| row.median(self.figure)) else {
            return (String::new(), "not measured");
        };
        let verdict = if measured <= self.at_most { "met" } else { "**missed**" };
        (shown(measured, self.unit), verdict)
    }

    /// What must be reached, in words.
    pub fn told(&self) -> String {
        match self.unit {
            "" => format!("{}", self.at_most),
            unit => format!("≤ {} {unit}", self.at_most),
        }
    }
}

/// A figure with its unit.
pub fn shown(figure: f64, unit: &str) -> String {
    match unit {
        "" => format!("{figure}"),
        "MB" => format!("{figure:.0} MB"),
        "ms" => format!("{figure:.1} ms"),
        unit => format!("{figure:.2} {unit}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_measured_is_not_met() {
        for promise in &PROMISES {
            assert_eq!(promise.judged(&Results::default(), None).1, "not measured");
        }
    }
}
