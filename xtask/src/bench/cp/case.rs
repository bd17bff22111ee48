//! What is measured and what must be reached: a table, no code.
//!
//! The figures are those of the project's promises for `renkei cp`; the report sets them beside what was measured.

use std::fmt;

use super::contender::Kind;

/// Cases that share a link and are measured in turns, so that they can be compared with one another.
pub struct Group {
    /// Between client and server.
    pub link: Link,
    /// In the order of a round.
    pub cases: &'static [Case],
}

/// What lies between client and server.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Link {
    /// Nothing.
    Loopback,
    /// A shaped link between two network namespaces.
    Wan {
        /// Round-trip time in milliseconds.
        rtt_ms: u32,
        /// In Mbit/s, each direction.
        rate_mbit: u32,
        /// Lost packets in a thousand.
        loss_permille: f64,
        /// Both ends'; none: the system's own.
        congestion: Option<&'static str>,
    },
}

/// The link of most cases: 2.5 Gbit/s without loss.
const fn wan(rtt_ms: u32) -> Link {
    Link::Wan {
        rtt_ms,
        rate_mbit: 2500,
        loss_permille: 0.0,
        congestion: None,
    }
}

const fn lossy(congestion: &'static str) -> Link {
    Link::Wan {
        rtt_ms: 100,
        rate_mbit: 2500,
        loss_permille: 1.0,
        congestion: Some(congestion),
    }
}

impl fmt::Display for Link {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Link::Loopback => write!(out, "loopback"),
            Link::Wan {
                rtt_ms,
                rate_mbit,
                loss_permille,
                congestion,
            } => {
                write!(out, "RTT {rtt_ms} ms, {rate_mbit} Mbit/s, {loss_permille} ‰ loss, ")?;
                write!(out, "{}", congestion.unwrap_or("the system's congestion control"))
            }
        }
    }
}

/// What is copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Data {
    /// One file of so many bytes.
    File(u64),
    /// A tree of equal files.
    Tree(Tree),
    /// A tree of small files and one of large files below one directory.
    Mixed(Tree, Tree),
}

/// Files of one size, spread over directories.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tree {
    /// How many.
    pub files: u64,
    /// Bytes each.
    pub size: u64,
}

/// How the server is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Straight.
    Direct,
    /// Through a jump host at the far end of the link.
    Jump,
}

/// Up is to the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Direction {
    /// To the server.
    Up,
    /// From the server.
    Down,
}

/// How often a contender runs in a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// In every round.
    Each,
    /// In the first round only, because it takes minutes.
    Once,
    /// In the first round only, and on one part in so many of the tree's files; the time is multiplied, and marked.
    Sample(u64),
    /// Only with `--slow`, and then once.
    Slow,
}

/// One row of the table.
pub struct Case {
    /// For `--case` and for other rows to refer to.
    pub name: &'static str,
    /// What it is, for people.
    pub title: &'static str,
    /// What is copied.
    pub data: Data,
    /// How the server is reached.
    pub way: Way,
    /// Who runs.
    pub contenders: &'static [(Kind, Pace)],
    /// Promises for the way up; none where it is not measured.
    pub up: Option<&'static [Target]>,
    /// Promises for the way down.
    pub down: Option<&'static [Target]>,
}

/// One promise about `renkei cp`. That memory stays below 200 MB is promised in every case and not repeated here.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Target {
    /// So many times faster than this one; 1.0: not slower.
    Faster(Kind, f64),
    /// The same, as an aim and not a promise.
    AimFaster(Kind, f64),
    /// At most so many seconds, and the aim.
    Within(f64, f64),
    /// Rate between first and last byte of content, as a share of the link's limit.
    OfLimit(f64),
    /// Client's CPU seconds below this one's.
    LessCpu(Kind),
    /// Share of the time in which the processors are busy.
    Busy(f64),
    /// At most so many times as long as the longest of these cases.
    TimesOf(f64, &'static [&'static str]),
}

use Direction::{Down, Up};
use Kind::{Rclone, Renkei, RenkeiJson, RenkeiVerify, Rsync, Scp};
use Pace::{Each, Once, Sample, Slow};

const MB: u64 = 1_000_000;
const KIB: u64 = 1024;

/// Who is compared runs in every round, who only stands beside in the first.
const ALL: &[(Kind, Pace)] = &[
    (Renkei, Each),
    (RenkeiVerify, Once),
    (Scp, Each),
    (Rsync, Once),
    (Rclone, Once),
    (RenkeiJson, Once),
];
/// Where the others take minutes.
const OTHERS_ONCE: &[(Kind, Pace)] = &[
    (Renkei, Each),
    (RenkeiVerify, Once),
    (Scp, Once),
    (Rsync, Once),
    (Rclone, Once),
    (RenkeiJson, Once),
];
/// What is judged is the rate that `--json` tells; the others are measured with a smaller file.
const RATE: &[(Kind, Pace)] = &[(RenkeiJson, Each), (RenkeiVerify, Once)];
const OURS: &[(Kind, Pace)] = &[(Renkei, Each), (RenkeiVerify, Once), (RenkeiJson, Once)];

/// The two directions, in the order in which they run.
pub const DIRECTIONS: [Direction; 2] = [Up, Down];

const SMALL: Tree = Tree {
    files: 50_000,
    size: 4 * KIB,
};
const LARGE: Tree = Tree {
    files: 10,
    size: 200 * MB,
};

/// Everything that is measured.
pub const GROUPS: &[Group] = &[
    Group {
        link: Link::Loopback,
        cases: &[
            Case {
                name: "large-loopback",
                title: "one 4 GB file, loopback, tmpfs",
                data: Data::File(4_000 * MB),
                way: Way::Direct,
                contenders: ALL,
                up: Some(&[Target::Faster(Scp, 1.5), Target::LessCpu(Scp), Target::Busy(0.9)]),
                down: Some(&[Target::Faster(Scp, 1.5), Target::LessCpu(Scp), Target::Busy(0.9)]),
            },
            Case {
                name: "small-loopback",
                title: "100,000 files of 1 KiB, loopback",
                data: Data::Tree(Tree {
                    files: 100_000,
                    size: KIB,
                }),
                way: Way::Direct,
                contenders: &[
                    (Renkei, Each),
                    (RenkeiVerify, Once),
                    (Scp, Sample(10)),
                    (Rsync, Each),
                    (Rclone, Sample(200)),
                    (RenkeiJson, Once),
                ],
                up: Some(&[Target::Faster(Scp, 5.0), Target::Faster(Rsync, 1.0)]),
                down: Some(&[Target::Faster(Scp, 5.0), Target::Faster(Rsync, 1.0)]),
            },
        ],
    },
    Group {
        link: wan(100),
        cases: &[
            Case {
                name: "rate-100",
                title: "one 1 GB file, RTT 100 ms, 2.5 Gbit/s",
                data: Data::File(1_000 * MB),
                way: Way::Direct,
                contenders: RATE,
                up: Some(&[Target::OfLimit(0.75)]),
                down: Some(&[Target::OfLimit(0.60)]),
            },
            Case {
                name: "prompt-100",
                title: "256 MB, RTT 100 ms, 2.5 Gbit/s, Enter to prompt",
                data: Data::File(256 * MB),
                way: Way::Direct,
                contenders: ALL,
                up: Some(&[Target::Within(3.5, 3.0)]),
                down: Some(&[Target::Within(4.5, 3.5)]),
            },
            Case {
                name: "jump-100",
                title: "256 MB through one jump host, RTT 100 ms on the first leg",
                data: Data::File(256 * MB),
                way: Way::Jump,
                contenders: OURS,
                up: Some(&[Target::TimesOf(1.5, &["prompt-100"])]),
                down: Some(&[Target::TimesOf(1.5, &["prompt-100"])]),
            },
            Case {
                name: "one-byte",
                title: "one file of one byte, RTT 100 ms",
                data: Data::File(1),
                way: Way::Direct,
                contenders: ALL,
                up: Some(&[Target::Faster(Scp, 1.0)]),
                down: Some(&[Target::Faster(Scp, 1.0)]),
            },
        ],
    },
    Group {
        link: wan(250),
        cases: &[
            Case {
                name: "rate-250",
                title: "one 1 GB file, RTT 250 ms, 2.5 Gbit/s",
                data: Data::File(1_000 * MB),
                way: Way::Direct,
                contenders: RATE,
                up: Some(&[Target::OfLimit(0.60)]),
                down: Some(&[Target::OfLimit(0.50)]),
            },
            Case {
                name: "prompt-250",
                title: "256 MB, RTT 250 ms, 2.5 Gbit/s, Enter to prompt",
                data: Data::File(256 * MB),
                way: Way::Direct,
                contenders: OTHERS_ONCE,
                up: Some(&[Target::Within(8.0, 8.0)]),
                down: Some(&[Target::Within(8.5, 8.5)]),
            },
        ],
    },
    Group {
        link: wan(50),
        cases: &[Case {
            name: "small-50",
            title: "5,000 files of 4 KiB, RTT 50 ms",
            data: Data::Tree(Tree {
                files: 5_000,
                size: 4 * KIB,
            }),
            way: Way::Direct,
            contenders: &[
                (Renkei, Each),
                (RenkeiVerify, Once),
                (Scp, Sample(20)),
                (Rsync, Each),
                (Rclone, Sample(20)),
                (RenkeiJson, Once),
            ],
            up: Some(&[Target::Within(3.5, 3.5), Target::AimFaster(Rsync, 1.0)]),
            down: Some(&[Target::Within(3.5, 3.5), Target::AimFaster(Rsync, 1.0)]),
        }],
    },
    Group {
        link: wan(20),
        cases: &[
            Case {
                name: "mixed-small",
                title: "50,000 files of 4 KiB alone, RTT 20 ms",
                data: Data::Tree(SMALL),
                way: Way::Direct,
                contenders: OURS,
                up: Some(&[]),
                down: Some(&[]),
            },
            Case {
                name: "mixed-large",
                title: "ten files of 200 MB alone, RTT 20 ms",
                data: Data::Tree(LARGE),
                way: Way::Direct,
                contenders: OURS,
                up: Some(&[]),
                down: Some(&[]),
            },
            Case {
                name: "mixed",
                title: "both in one tree, RTT 20 ms",
                data: Data::Mixed(SMALL, LARGE),
                way: Way::Direct,
                contenders: &[
                    (Renkei, Each),
                    (RenkeiVerify, Once),
                    (Scp, Slow),
                    (Rsync, Once),
                    (Rclone, Slow),
                    (RenkeiJson, Once),
                ],
                up: Some(&[Target::TimesOf(1.3, &["mixed-small", "mixed-large"])]),
                down: Some(&[Target::TimesOf(1.3, &["mixed-small", "mixed-large"])]),
            },
        ],
    },
    Group {
        link: lossy("reno"),
        cases: &[Case {
            name: "loss-reno",
            title: "128 MB up, 0.1 % loss, RTT 100 ms, reno",
            data: Data::File(128 * MB),
            way: Way::Direct,
            // Each of the others needs minutes here; one of them is enough to compare with.
            contenders: &[
                (Renkei, Each),
                (RenkeiVerify, Once),
                (Scp, Once),
                (Rsync, Slow),
                (Rclone, Slow),
                (RenkeiJson, Once),
            ],
            up: Some(&[Target::Faster(Scp, 5.0)]),
            down: None,
        }],
    },
    Group {
        link: lossy("bbr"),
        cases: &[Case {
            name: "loss-bbr",
            title: "128 MB up, 0.1 % loss, RTT 100 ms, bbr",
            data: Data::File(128 * MB),
            way: Way::Direct,
            contenders: &[
                (Renkei, Each),
                (RenkeiVerify, Once),
                (Scp, Once),
                (Rsync, Slow),
                (Rclone, Slow),
                (RenkeiJson, Once),
            ],
            up: Some(&[Target::Faster(Scp, 3.0)]),
            down: None,
        }],
    },
];

impl Case {
    /// What is promised in this direction; none where it is not measured.
    pub fn targets(&self, direction: Direction) -> Option<&'static [Target]> {
        match direction {
            Up => self.up,
            Down => self.down,
        }
    }

    /// Who stands for `renkei cp` in this case.
    pub fn ours(&self) -> Kind {
        let plain = self.contenders.iter().any(|(kind, _)| *kind == Renkei);
        if plain { Renkei } else { RenkeiJson }
    }
}

impl Direction {
    /// In words.
    pub fn word(self) -> &'static str {
        match self {
            Up => "up",
            Down => "down",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cases() -> impl Iterator<Item = &'static Case> {
        GROUPS.iter().flat_map(|group| group.cases)
    }

    #[test]
    fn every_case_is_measured_with_verification_too() {
        assert!(cases().all(|case| case.contenders.iter().any(|(kind, _)| *kind == RenkeiVerify)));
    }

    #[test]
    fn what_a_target_refers_to_is_measured() {
        for case in cases() {
            for target in DIRECTIONS
                .iter()
                .filter_map(|direction| case.targets(*direction))
                .flatten()
            {
                match target {
                    Target::Faster(kind, _) | Target::AimFaster(kind, _) | Target::LessCpu(kind) => {
                        assert!(case.contenders.iter().any(|(other, _)| other == kind), "{}", case.name);
                    }
                    Target::TimesOf(_, names) => {
                        assert!(
                            names.iter().all(|name| cases().any(|other| other.name == *name)),
                            "{}",
                            case.name
                        );
                    }
                    Target::Within(..) | Target::OfLimit(_) | Target::Busy(_) => {}
                }
            }
        }
    }
}
