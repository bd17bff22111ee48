//! Promise against measurement.

use super::case::{Case, Direction, Target};
use super::contender::Kind;
use super::result::{Results, Row, RowId};

/// Resident memory that no case may reach, bytes.
const MEMORY: f64 = 200e6;

/// How a promise was kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Reached.
    Met,
    /// Not reached.
    Missed,
    /// The promise is kept, the aim beyond it is not.
    AimMissed,
    /// What it needs was not measured.
    Open,
}

/// One line of the first table.
pub struct Judgement {
    /// The promise in words.
    pub promise: String,
    /// What was measured, in words.
    pub measured: String,
    /// How it was kept.
    pub verdict: Verdict,
}

impl Verdict {
    /// For the table.
    pub fn word(self) -> &'static str {
        match self {
            Verdict::Met => "met",
            Verdict::Missed => "**missed**",
            Verdict::AimMissed => "met, aim missed",
            Verdict::Open => "not measured",
        }
    }

    fn of(met: bool) -> Verdict {
        if met { Verdict::Met } else { Verdict::Missed }
    }
}

/// Judges every promise of a case in one direction.
pub fn judge(results: &Results, case: &Case, direction: Direction) -> Vec<Judgement> {
    let (Some(targets), Some(row)) = (
        case.targets(direction),
        results.row(RowId {
            case: case.name,
            direction,
        }),
    ) else {
        return Vec::new();
    };
    let judge = Judge {
        results,
        row,
        direction,
        ours: case.ours(),
    };
    targets.iter().map(|target| judge.one(*target)).collect()
}

/// Judges the largest resident size that `renkei cp` had in any case, which is promised for all of them.
pub fn judge_memory(results: &Results) -> Judgement {
    let ours = [Kind::Renkei, Kind::RenkeiVerify, Kind::RenkeiJson];
    let samples = results
        .rows()
        .flat_map(|row| ours.iter().flat_map(|kind| row.samples(*kind)));
    let peak = samples.map(|sample| sample.peak_bytes as f64).reduce(f64::max);
    compare("< 200 MB".to_owned(), peak, Some(MEMORY), |peak, most| {
        (format!("{:.0} MB", peak / 1e6), Verdict::of(peak < most))
    })
}

struct Judge<'a> {
    results: &'a Results,
    row: &'a Row,
    direction: Direction,
    ours: Kind,
}

impl Judge<'_> {
    fn one(&self, target: Target) -> Judgement {
        match target {
            Target::Faster(kind, factor) => self.faster(kind, factor),
            Target::AimFaster(kind, factor) => {
                let judgement = self.faster(kind, factor);
                let verdict = if judgement.verdict == Verdict::Missed {
                    Verdict::AimMissed
                } else {
                    judgement.verdict
                };
                Judgement {
                    promise: format!("aim: {}", judgement.promise),
                    verdict,
                    ..judgement
                }
            }
            Target::Within(most, aim) => self.within(most, aim),
            Target::OfLimit(share) => self.of_limit(share),
            Target::LessCpu(kind) => self.less_cpu(kind),
            Target::Busy(share) => self.busy(share),
            Target::TimesOf(factor, names) => self.times_of(factor, names),
        }
    }

    fn faster(&self, kind: Kind, factor: f64) -> Judgement {
        let promise = if factor == 1.0 {
            format!("not slower than {}", kind.word())
        } else {
            format!("≥ {factor} × {}", kind.word())
        };
        compare(promise, self.seconds(), self.row.seconds(kind), |ours, theirs| {
            let measured = format!("{:.2} × ({ours:.2} s, {theirs:.2} s)", theirs / ours);
            (measured, Verdict::of(theirs / ours >= factor))
        })
    }

    fn within(&self, most: f64, aim: f64) -> Judgement {
        let promise = if aim < most {
            format!("≤ {most} s, aim {aim} s")
        } else {
            format!("≤ {most} s")
        };
        compare(promise, self.seconds(), Some(aim), |ours, aim| {
            let verdict = match ours {
                _ if ours > most => Verdict::Missed,
                _ if ours > aim => Verdict::AimMissed,
                _ => Verdict::Met,
            };
            (format!("{ours:.2} s"), verdict)
        })
    }

    fn of_limit(&self, share: f64) -> Judgement {
        let ratio = self.row.median(self.ours, |sample| {
            sample.rate().zip(sample.limit).map(|(rate, limit)| rate / limit)
        });
        let rate = self.row.median(self.ours, |sample| sample.rate());
        compare(
            format!("≥ {:.0} % of iperf3 -P 16", share * 100.0),
            ratio,
            rate,
            |ratio, rate| {
                (
                    format!("{:.0} % ({:.0} MB/s)", ratio * 100.0, rate / 1e6),
                    Verdict::of(ratio >= share),
                )
            },
        )
    }

    fn less_cpu(&self, kind: Kind) -> Judgement {
        let cpu = |kind| self.row.median(kind, |sample| Some(sample.client_cpu));
        let promise = format!("client CPU below {}'s", kind.word());
        compare(promise, cpu(self.ours), cpu(kind), |ours, theirs| {
            (format!("{ours:.2} s, {theirs:.2} s"), Verdict::of(ours < theirs))
        })
    }

    fn busy(&self, share: f64) -> Judgement {
        let busy = self.row.median(self.ours, |sample| Some(sample.busy));
        compare(
            format!("processors busy ≥ {:.0} %", share * 100.0),
            busy,
            Some(share),
            |busy, share| (format!("{:.0} %", busy * 100.0), Verdict::of(busy >= share)),
        )
    }

    fn times_of(&self, factor: f64, names: &[&str]) -> Judgement {
        let others = names.iter().map(|name| {
            self.results
                .row(RowId {
                    case: name,
                    direction: self.direction,
                })?
                .seconds(self.ours)
        });
        let longest = others
            .collect::<Option<Vec<f64>>>()
            .and_then(|all| all.into_iter().reduce(f64::max));
        let promise =
            format!("≤ {factor} × the longer of {}", names.join(", ")).replace("the longer of prompt", "prompt");
        compare(promise, self.seconds(), longest, |ours, longest| {
            (
                format!("{:.2} × ({ours:.2} s, {longest:.2} s)", ours / longest),
                Verdict::of(ours <= factor * longest),
            )
        })
    }

    fn seconds(&self) -> Option<f64> {
        self.row.seconds(self.ours)
    }
}

fn compare(
    promise: String,
    ours: Option<f64>,
    other: Option<f64>,
    judge: impl Fn(f64, f64) -> (String, Verdict),
) -> Judgement {
    let (measured, verdict) = match ours.zip(other) {
        Some((ours, other)) => judge(ours, other),
        None => ("–".to_owned(), Verdict::Open),
    };
    Judgement {
        promise,
        measured,
        verdict,
    }
}
