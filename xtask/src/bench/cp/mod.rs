//! `cargo xtask bench cp`: `renkei cp` without flags beside scp, rsync and rclone.
//!
//! Makes its own data and links, and alternates the tools, so that a change of the machine's mood hits all alike. A copy is
//! compared with its original in the first round; a tool whose copy differs has failed.

mod case;
mod contender;
mod data;
mod judge;
mod measure;
mod place;
mod report;
mod result;

use std::path::{Path, PathBuf};

use anyhow::{Result, bail, ensure};
use clap::Args as ClapArgs;
use tempfile::TempDir;

use self::case::{Case, DIRECTIONS, Data, Direction, GROUPS, Group, Pace, Way};
use self::contender::{Errand, Kind, Peer, Programs};
use self::data::Part;
use self::measure::Sample;
use self::place::Place;
use self::result::{Results, RowId};
use super::kept;
use crate::machine::Machine;
use crate::timing::Minutes;
use crate::{apt, content, tool};

const PACKAGES: &[&str] = &["coreutils", "time", "iperf3", "rsync", "rclone"];
const REPORT: &str = "docs/benchmarks/cp.md";

/// What to measure.
#[derive(ClapArgs)]
pub struct Args {
    /// Rounds of each case; the median counts
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Only these cases, by name
    #[arg(long, num_args = 1.., value_name = "NAME")]
    case: Vec<String>,
    /// One more tool, called as PATH -r -q -F CONFIGURATION SOURCE TARGET
    #[arg(long, value_name = "NAME=PATH")]
    peer: Vec<Peer>,
    /// One round with a twentieth of the data, printed and not written: shows that everything works
    #[arg(long)]
    quick: bool,
    /// Run also what takes tools many minutes
    #[arg(long)]
    slow: bool,
    /// Measure nothing: write the report again from the figures that are there
    #[arg(long)]
    report: bool,
}

/// Measures and writes the report.
pub fn run(args: Args) -> Result<()> {
    let root = tool::root()?;
    let file = tool::target_directory()?.join("bench/cp.json");
    if args.report {
        return write_report(&kept::read(&file), &root);
    }
    let known = || GROUPS.iter().flat_map(|group| group.cases).map(|case| case.name);
    if let Some(unknown) = args.case.iter().find(|name| !known().any(|case| case == name.as_str())) {
        bail!(
            "there is no case `{unknown}`; there are: {}",
            known().collect::<Vec<_>>().join(" ")
        );
    }
    let mut minutes = Minutes::start("bench");
    apt::install(&[renkei_testkit::PACKAGES, PACKAGES].concat(), &mut minutes)?;
    let renkei = minutes.part("build", tool::release_binary)?;
    let machine = Machine::read()?;
    let results = if args.quick {
        Results::default()
    } else {
        kept::read(&file)
    };
    let mut bench = Bench {
        programs: Programs {
            renkei,
            peers: args.peer.clone(),
        },
        args,
        machine,
        results,
    };
    for group in GROUPS {
        let wanted = |case: &&Case| bench.args.case.is_empty() || bench.args.case.iter().any(|name| name == case.name);
        let cases: Vec<&Case> = group.cases.iter().filter(wanted).collect();
        let Some(first) = cases.first() else { continue };
        minutes.part(first.name, || bench.group(group, &cases))?;
        if !bench.args.quick {
            // After each group, so that a broken run has not been for nothing.
            kept::write(&bench.results, &file)?;
            write_report(&bench.results, &root)?;
        }
    }
    minutes.finish();
    if bench.args.quick {
        println!("{}", report::page(&bench.results, &root)?);
    }
    Ok(())
}

fn write_report(results: &Results, root: &Path) -> Result<()> {
    std::fs::write(root.join(REPORT), report::page(results, root)?)?;
    println!("written: {REPORT}");
    Ok(())
}

struct Bench {
    args: Args,
    programs: Programs,
    machine: Machine,
    results: Results,
}

/// One case with its data.
struct Stage {
    case: &'static Case,
    /// Holds everything below.
    _folder: TempDir,
    whole: PathBuf,
    target: PathBuf,
}

/// One line of the plan of a round.
#[derive(Clone, Copy)]
struct Turn {
    direction: Direction,
    kind: Kind,
    pace: Pace,
    round: usize,
}

impl Bench {
    fn group(&mut self, group: &'static Group, cases: &[&'static Case]) -> Result<()> {
        println!("link: {}", group.link);
        let direct = Place::new(group.link, Way::Direct)?;
        let jumps = cases.iter().any(|case| case.way == Way::Jump);
        let jump = jumps.then(|| Place::new(group.link, Way::Jump)).transpose()?;
        let stages = cases.iter().map(|case| self.stage(case)).collect::<Result<Vec<_>>>()?;
        for stage in &stages {
            for direction in DIRECTIONS
                .into_iter()
                .filter(|direction| stage.case.targets(*direction).is_some())
            {
                self.results.begin(
                    RowId {
                        case: stage.case.name,
                        direction,
                    },
                    &self.machine.commit,
                    &self.machine.date,
                );
            }
        }
        let rounds = if self.args.quick { 1 } else { self.args.rounds };
        for round in 0..rounds {
            for stage in &stages {
                for direction in DIRECTIONS
                    .into_iter()
                    .filter(|direction| stage.case.targets(*direction).is_some())
                {
                    let place = jump.as_ref().filter(|_| stage.case.way == Way::Jump).unwrap_or(&direct);
                    for (kind, pace) in self.contenders(stage.case) {
                        self.turn(
                            place,
                            stage,
                            Turn {
                                direction,
                                kind,
                                pace,
                                round,
                            },
                        )?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Those of the table, and every peer.
    fn contenders(&self, case: &Case) -> Vec<(Kind, Pace)> {
        let peers = (0..self.programs.peers.len()).map(|index| (Kind::Peer(index), Pace::Each));
        case.contenders.iter().copied().chain(peers).collect()
    }

    fn stage(&self, case: &'static Case) -> Result<Stage> {
        let folder = place::folder_in_memory()?;
        let (whole, target) = (folder.path().join("whole"), folder.path().join("copy"));
        data::make(&whole, self.shrunk(case.data), Part::Whole)?;
        Ok(Stage {
            case,
            _folder: folder,
            whole,
            target,
        })
    }

    /// With `--quick` a twentieth.
    fn shrunk(&self, data: Data) -> Data {
        if self.args.quick { data.divided(20) } else { data }
    }

    fn turn(&mut self, place: &Place, stage: &Stage, turn: Turn) -> Result<()> {
        let runs = match turn.pace {
            Pace::Each => true,
            Pace::Once | Pace::Sample(_) => turn.round == 0,
            Pace::Slow => self.args.slow && turn.round == 0,
        };
        if !runs {
            return Ok(());
        }
        let name = self.programs.name(turn.kind).to_owned();
        print!(
            "{:>2}  {:14} {:4}  {name:18} ",
            turn.round + 1,
            stage.case.name,
            turn.direction.word()
        );
        std::io::Write::flush(&mut std::io::stdout())?;
        let sample = match turn.pace {
            Pace::Sample(factor) if !self.args.quick && !self.args.slow => {
                let part = stage.target.with_file_name("part");
                data::make(&part, stage.case.data, Part::OneIn(factor))?;
                let sample = self.copy(place, stage, turn, &part);
                content::remove(&part)?;
                sample?.times(factor)
            }
            _ => self.copy(place, stage, turn, &stage.whole)?,
        };
        match &sample.error {
            Some(error) => println!("failed: {error}"),
            None => println!("{:8.2} s  {:7.1} MB", sample.seconds, sample.peak_bytes as f64 / 1e6),
        }
        self.results.add(
            RowId {
                case: stage.case.name,
                direction: turn.direction,
            },
            turn.kind,
            &name,
            sample,
        );
        Ok(())
    }

    fn copy(&self, place: &Place, stage: &Stage, turn: Turn, source: &Path) -> Result<Sample> {
        ensure!(!stage.target.exists(), "{} is still there", stage.target.display());
        let case = stage.case;
        let errand = Errand {
            server: place.server(),
            direction: turn.direction,
            data: case.data,
            source,
            target: &stage.target,
        };
        let data = self.shrunk(case.data);
        let mut sample = measure::run(place, &self.programs.words(turn.kind, errand), data)?;
        if turn.round == 0 && sample.error.is_none() {
            sample.error = content::compare(source, &stage.target)
                .err()
                .map(|error| format!("{error:#}"));
        }
        if turn.kind == case.ours() && matches!(case.data, Data::File(size) if size > 1) {
            sample.limit = Some(place.limit(turn.direction, sample.data_seconds.unwrap_or(sample.seconds))?);
        }
        content::remove(&stage.target)?;
        Ok(sample)
    }
}
