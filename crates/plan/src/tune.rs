//! How many lanes are worth having.
//!
//! First by a model, because at the start nothing is measured and every round trip counts: a lane carries one 2 MiB
//! channel window a round trip, and opening one costs a dozen round trips. Later by measured gain: a few lanes more are
//! tried, and kept only if the whole became faster. A server that refuses connections ends the growth for a while.

use std::time::Duration;

use crate::lane::{Time, per_second};

/// Never more than this without being told to.
pub const MOST_LANES: u32 = 32;
/// How many lanes the first wave and the second have. OpenSSH's `MaxStartups` (10:30:100) starts dropping connections past
/// ten that have not logged in; whoever dials keeps to that.
pub const WAVE: u32 = 8;

/// Round trips from the TCP handshake to the first byte of content.
const SETUP_ROUND_TRIPS: u32 = 12;
/// What a login costs at least, where there is hardly any distance: key exchange and a forked server.
const LEAST_SETUP: Duration = Duration::from_millis(60);
/// OpenSSH's channel window.
const CHANNEL_WINDOW: u64 = 2 << 20;
/// Bytes a second for which the model opens further waves. Whether a line carries more is found by measuring.
const ENOUGH: u64 = 250_000_000;
/// What one lane carries at most whatever the distance: one core's worth of ciphering at either end.
const LANE_CEILING: u64 = 500_000_000;
/// Small files a lane has under way in the model.
const FILES_UNDER_WAY: u64 = 256;
/// Below this the distance does not limit a connection; the cores do.
const NEAR: Duration = Duration::from_millis(2);
/// A gain below this is noise, and the lanes that brought it are not worth their processes at the server.
const WORTHWHILE: f64 = 1.08;
/// What a small file weighs beside bytes when rates are compared.
const FILE_WEIGHT: u64 = 32 << 10;

/// What there is to do and what was done, as of now.
#[derive(Clone, Copy, Debug, Default)]
pub struct Load {
    /// Bytes of content not yet acknowledged.
    pub bytes: u64,
    /// Whole small files not yet done.
    pub files: u64,
    /// Jobs that could be handed out at the same time at most.
    pub pieces: u64,
    /// Bytes acknowledged since the start.
    pub done_bytes: u64,
    /// Files done since the start.
    pub done_files: u64,
}

/// The lanes as they are.
#[derive(Clone, Copy, Debug, Default)]
pub struct Lanes {
    /// Logged in and working.
    pub up: u32,
    /// Being opened.
    pub opening: u32,
}

/// Limits from outside.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Exactly this many (`--connections`).
    pub fixed: Option<u32>,
    /// Cores of this machine.
    pub cores: u32,
    /// Whether more TCP connections can be had at all (no: each login needs a person and the server allows one channel).
    pub most: u32,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Phase {
    /// Grow by the model.
    Model,
    /// Lanes came or went; wait until they have reached their rate.
    Settle { until: Time, before: Option<(u32, u64)> },
    /// Measure from here on.
    Measure {
        since: Time,
        done: u64,
        before: Option<(u32, u64)>,
    },
    /// Nothing to gain; look again later.
    Rest { until: Time },
}

/// Decides the number of lanes; pure.
#[derive(Debug)]
pub struct Tuner {
    bounds: Bounds,
    target: u32,
    /// The most that the model has wanted so far.
    modelled: u32,
    phase: Phase,
    refused_until: Time,
    refusals: u32,
}

impl Tuner {
    /// One lane at first.
    #[must_use]
    pub fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            target: 1,
            modelled: 1,
            phase: Phase::Model,
            refused_until: Time::ZERO,
            refusals: 0,
        }
    }

    /// A connection attempt was refused by the server (not by the network): no more than `up` for a while.
    pub fn refused(&mut self, up: u32, now: Time) {
        self.refusals = self.refusals.saturating_add(1);
        self.target = self.target.min(up.max(1));
        let pause = Duration::from_secs(2 << self.refusals.min(6));
        self.refused_until = now.saturating_add(pause);
        self.phase = Phase::Rest {
            until: self.refused_until,
        };
    }

    /// The server allows no more than this many, ever (a session limit).
    pub fn cap(&mut self, most: u32) {
        self.bounds.most = self.bounds.most.min(most.max(1));
        self.target = self.target.min(self.bounds.most);
    }

    /// How many lanes there should be.
    pub fn target(&mut self, load: &Load, lanes: Lanes, rtt: Duration, now: Time) -> u32 {
        let useful = u32::try_from(load.pieces.max(1)).unwrap_or(u32::MAX);
        if let Some(fixed) = self.bounds.fixed {
            return if now < self.refused_until {
                self.target
            } else {
                fixed.min(useful).max(1)
            };
        }
        let most = self.bounds.most.min(MOST_LANES).min(useful).max(1);
        if now < self.refused_until {
            return self.target.min(most);
        }
        // The work may turn out larger while it is scanned; what was measured as useless is not opened again for that.
        let model = self.model(load, rtt);
        if model > self.modelled {
            self.modelled = model;
            self.target = self.target.max(model);
            self.phase = Phase::Model;
        }
        match self.phase {
            Phase::Model => {
                if lanes.opening == 0 && lanes.up >= self.target.min(most) {
                    self.phase = Phase::Settle {
                        until: now.saturating_add(settling(rtt)),
                        before: None,
                    };
                }
            }
            Phase::Settle { until, before } => {
                if now >= until && lanes.opening == 0 {
                    self.phase = Phase::Measure {
                        since: now,
                        done: weight(load),
                        before,
                    };
                }
            }
            Phase::Measure { since, done, before } => {
                let passed = now.saturating_sub(since);
                if passed >= interval(rtt) {
                    let rate = per_second(weight(load).saturating_sub(done), passed);
                    self.judge(load, lanes, Measured { rate, before }, (rtt, now));
                }
            }
            Phase::Rest { until } => {
                if now >= until {
                    self.phase = Phase::Measure {
                        since: now,
                        done: weight(load),
                        before: None,
                    };
                }
            }
        }
        self.target = self.target.min(self.bounds.most.min(MOST_LANES));
        self.target.min(most).max(1)
    }

    /// What the model wants: as soon as the work is worth more than one handshake, a wave; and a further one with it if those
    /// before would still be at work when it is ready: over great distances, where two waves bring little, also a third and
    /// a fourth. Whoever dials lets only so many log in at once.
    fn model(&self, load: &Load, rtt: Duration) -> u32 {
        let setup = setup_time(rtt);
        let alone = time_with(load, 1, rtt);
        if alone <= setup {
            return 1;
        }
        let most = if rtt < NEAR {
            self.bounds.cores.clamp(2, WAVE)
        } else {
            WAVE
        };
        let worth = alone.as_nanos() / setup.as_nanos().max(1) + 1;
        let wave = u32::try_from(worth).unwrap_or(u32::MAX).clamp(1, most);
        let mut lanes = wave;
        let pays = |lanes: u32| (WAVE..MOST_LANES).contains(&lanes) && time_with(load, lanes, rtt) > setup;
        while pays(lanes) && (lanes == WAVE || lane_rate(rtt).saturating_mul(lanes.into()) < ENOUGH) {
            lanes += WAVE;
        }
        lanes
    }

    fn judge(&mut self, load: &Load, lanes: Lanes, measured: Measured, (rtt, now): (Duration, Time)) {
        let Measured { rate, before } = measured;
        if let Some((count, earlier)) = before
            && (rate as f64) < earlier as f64 * WORTHWHILE
        {
            // No gain: back to what was, and leave it for some time.
            self.target = count;
            self.phase = Phase::Rest {
                until: now.saturating_add(Duration::from_secs(20)),
            };
            return;
        }
        let left = Duration::from_secs_f64(remaining(load) as f64 / rate.max(1) as f64);
        let trial = setup_time(rtt)
            .saturating_add(settling(rtt))
            .saturating_add(interval(rtt));
        let step = (lanes.up / 4).max(2);
        let next = lanes.up.saturating_add(step).min(self.bounds.most).min(MOST_LANES);
        if next <= lanes.up || left < trial.saturating_mul(3) {
            self.phase = Phase::Rest {
                until: now.saturating_add(Duration::from_secs(20)),
            };
            return;
        }
        self.target = next;
        let until = now.saturating_add(setup_time(rtt)).saturating_add(settling(rtt));
        self.phase = Phase::Settle {
            until,
            before: Some((lanes.up, rate)),
        };
    }
}

struct Measured {
    rate: u64,
    before: Option<(u32, u64)>,
}

fn weight(load: &Load) -> u64 {
    load.done_bytes
        .saturating_add(load.done_files.saturating_mul(FILE_WEIGHT))
}

fn remaining(load: &Load) -> u64 {
    load.bytes.saturating_add(load.files.saturating_mul(FILE_WEIGHT))
}

fn setup_time(rtt: Duration) -> Duration {
    rtt.saturating_mul(SETUP_ROUND_TRIPS).max(LEAST_SETUP)
}

/// TCP's slow start from ten segments to a full channel window takes some eight round trips.
fn settling(rtt: Duration) -> Duration {
    rtt.saturating_mul(8).max(Duration::from_millis(300))
}

fn interval(rtt: Duration) -> Duration {
    rtt.saturating_mul(6).max(Duration::from_secs(1))
}

/// Bytes a second that one lane carries, by the model.
fn lane_rate(rtt: Duration) -> u64 {
    per_second(CHANNEL_WINDOW, rtt.max(Duration::from_micros(1))).min(LANE_CEILING)
}

/// What the load takes with `lanes` lanes, by the model.
fn time_with(load: &Load, lanes: u32, rtt: Duration) -> Duration {
    let bytes = load.bytes as f64 / lane_rate(rtt).max(1) as f64;
    let file_time = (rtt.as_secs_f64() * 3.0 / FILES_UNDER_WAY as f64).max(50e-6);
    let files = load.files as f64 * file_time;
    Duration::from_secs_f64((bytes + files) / f64::from(lanes.max(1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: Bounds = Bounds {
        fixed: None,
        cores: 2,
        most: MOST_LANES,
    };
    const MB: u64 = 1_000_000;

    fn load(bytes: u64, files: u64) -> Load {
        Load {
            bytes,
            files,
            pieces: bytes / MB + files,
            ..Load::default()
        }
    }

    #[test]
    fn one_small_file_is_worth_one_connection() {
        let mut tuner = Tuner::new(BOUNDS);
        let rtt = Duration::from_millis(100);
        assert_eq!(
            tuner.target(&load(1, 1), Lanes { up: 0, opening: 1 }, rtt, Time::ZERO),
            1
        );
        assert_eq!(
            tuner.target(&load(10 * MB, 0), Lanes { up: 0, opening: 1 }, rtt, Time::ZERO),
            1
        );
    }

    #[test]
    fn a_far_file_opens_as_many_as_it_is_worth_at_once() {
        let mut tuner = Tuner::new(BOUNDS);
        let rtt = Duration::from_millis(100);
        assert_eq!(
            tuner.target(&load(100 * MB, 0), Lanes { up: 0, opening: 1 }, rtt, Time::ZERO),
            4
        );
        let mut tuner = Tuner::new(BOUNDS);
        assert_eq!(
            tuner.target(&load(256 * MB, 0), Lanes { up: 0, opening: 1 }, rtt, Time::ZERO),
            16
        );
    }

    #[test]
    fn over_great_distances_further_waves_are_opened_if_they_pay() {
        let wanted = |bytes, rtt| {
            let mut tuner = Tuner::new(BOUNDS);
            let lanes = Lanes { up: 0, opening: 1 };
            tuner.target(&load(bytes, 0), lanes, Duration::from_millis(rtt), Time::ZERO)
        };
        assert_eq!(wanted(1000 * MB, 250), 32);
        assert_eq!(wanted(256 * MB, 250), 16);
        assert_eq!(wanted(4000 * MB, 100), 16);
        assert_eq!(wanted(4000 * MB, 20), 16);
    }

    #[test]
    fn near_hosts_get_as_many_as_there_are_cores() {
        let mut tuner = Tuner::new(BOUNDS);
        let lanes = Lanes { up: 1, opening: 0 };
        assert_eq!(
            tuner.target(&load(4000 * MB, 0), lanes, Duration::from_micros(80), Time::ZERO),
            2
        );
    }

    #[test]
    fn lanes_that_bring_nothing_are_given_back() {
        let mut tuner = Tuner::new(BOUNDS);
        let rtt = Duration::from_millis(20);
        let (mut now, mut up, mut done) = (Time::ZERO, 1, 0u64);
        let mut most = 0;
        // The path carries 100 MB/s whatever the number of lanes.
        for _ in 0..600 {
            now += Duration::from_millis(50);
            done += 5 * MB;
            let load = Load {
                bytes: 100_000 * MB - done,
                pieces: 100_000,
                done_bytes: done,
                ..Load::default()
            };
            let target = tuner.target(&load, Lanes { up, opening: 0 }, rtt, now);
            up = target;
            most = most.max(target);
        }
        assert!(most > 16, "a trial was made: {most}");
        assert_eq!(up, 16, "and taken back");
    }

    #[test]
    fn a_refusal_keeps_what_works() {
        let mut tuner = Tuner::new(BOUNDS);
        let rtt = Duration::from_millis(100);
        tuner.target(&load(4000 * MB, 0), Lanes { up: 0, opening: 1 }, rtt, Time::ZERO);
        tuner.refused(3, Duration::from_secs(1));
        let at = Duration::from_secs(2);
        assert_eq!(
            tuner.target(&load(4000 * MB, 0), Lanes { up: 3, opening: 0 }, rtt, at),
            3
        );
    }
}
