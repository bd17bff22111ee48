//! The link itself: one thread for each direction moves frames from one TUN device to the other, each at its time.

use std::collections::VecDeque;
use std::net::Ipv4Addr;
use std::ops::Range;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::Result;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::frame::{HEADER, LONGEST, Layout};
use super::tun;
use crate::namespace::Namespace;
use crate::seed::Rng;

/// What both directions are like.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    pub one_way: Duration,
    /// Bits a second; none for as fast as it goes.
    pub rate: Option<u64>,
    pub loss: f64,
    /// Bytes.
    pub queue: u64,
}

/// What has passed one direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Segments carried.
    pub packets: u64,
    /// Bytes carried, IP headers included.
    pub bytes: u64,
    /// Segments lost at random, or while the link was cut.
    pub lost: u64,
    /// Segments that found the queue full.
    pub overflow: u64,
}

/// What has passed both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// From the client.
    pub up: Traffic,
    /// To the client.
    pub down: Traffic,
}

#[derive(Debug, Default)]
struct Meter {
    packets: AtomicU64,
    bytes: AtomicU64,
    lost: AtomicU64,
    overflow: AtomicU64,
}

impl Meter {
    fn read(&self) -> Traffic {
        Traffic {
            packets: self.packets.load(Relaxed),
            bytes: self.bytes.load(Relaxed),
            lost: self.lost.load(Relaxed),
            overflow: self.overflow.load(Relaxed),
        }
    }
}

#[derive(Debug, Default)]
struct Shared {
    stop: AtomicBool,
    cut: AtomicBool,
    up: Meter,
    down: Meter,
}

/// A running link; ends when dropped.
#[derive(Debug)]
pub(super) struct Link {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

impl Link {
    /// Makes the device `wan0` with the given address in both namespaces and starts to carry.
    pub(super) fn join(near: (&Namespace, Ipv4Addr), far: (&Namespace, Ipv4Addr), shape: Shape) -> Result<Self> {
        let near_device = Arc::new(device(near.0, near.1)?);
        let far_device = Arc::new(device(far.0, far.1)?);
        let shared = Arc::new(Shared::default());
        let start = |purpose, from: &Arc<OwnedFd>, to: &Arc<OwnedFd>, meter: fn(&Shared) -> &Meter| {
            let (from, to, shared) = (from.clone(), to.clone(), shared.clone());
            let pump = Pump {
                shape,
                rng: Rng::for_purpose(purpose),
                line: VecDeque::new(),
                spare: Spare::default(),
                free_at: Instant::now(),
            };
            std::thread::Builder::new()
                .name(purpose.to_owned())
                .spawn(move || pump.run(&from, &to, &shared, meter))
        };
        let up = start("wan-up", &near_device, &far_device, |shared| &shared.up)?;
        let down = start("wan-down", &far_device, &near_device, |shared| &shared.down)?;
        Ok(Self {
            shared,
            threads: vec![up, down],
        })
    }

    pub(super) fn counters(&self) -> Counters {
        Counters {
            up: self.shared.up.read(),
            down: self.shared.down.read(),
        }
    }

    pub(super) fn set_cut(&self, cut: bool) {
        self.shared.cut.store(cut, Relaxed);
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.shared.stop.store(true, Relaxed);
        for thread in self.threads.drain(..) {
            // A panic in it has been printed; the link is gone either way.
            let _ = thread.join();
        }
    }
}

fn device(namespace: &Namespace, address: Ipv4Addr) -> Result<OwnedFd> {
    let device = namespace.inside(|| tun::open("wan0"))?;
    namespace.ip(&["addr", "add", &format!("{address}/24"), "dev", "wan0"])?;
    // The device's own queue must not be the one that overflows.
    namespace.ip(&["link", "set", "wan0", "mtu", "1500", "txqueuelen", "10000", "up"])?;
    Ok(device)
}

/// A frame on its way, in a buffer that is used again.
struct Buffer {
    bytes: Vec<u8>,
    used: usize,
}

/// Short frames (acknowledgements, mostly) do not hold on to long buffers.
const SHORT: usize = 2048;

#[derive(Default)]
struct Spare {
    long: Vec<Vec<u8>>,
    short: Vec<Vec<u8>>,
}

impl Spare {
    fn take_long(&mut self) -> Vec<u8> {
        self.long.pop().unwrap_or_else(|| vec![0; LONGEST])
    }

    fn take_short(&mut self) -> Vec<u8> {
        self.short.pop().unwrap_or_else(|| vec![0; SHORT])
    }

    fn give_back(&mut self, mut bytes: Vec<u8>) {
        if bytes.capacity() >= LONGEST {
            bytes.resize(LONGEST, 0);
            self.long.push(bytes);
        } else if bytes.capacity() >= SHORT {
            bytes.resize(SHORT, 0);
            self.short.push(bytes);
        }
    }
}

/// One direction.
struct Pump {
    shape: Shape,
    rng: Rng,
    /// Frames under way, by time of arrival.
    line: VecDeque<(Instant, Buffer)>,
    spare: Spare,
    /// When the sender has put on the wire all that it has queued.
    free_at: Instant,
}

impl Pump {
    fn run(mut self, from: &OwnedFd, to: &OwnedFd, shared: &Shared, meter: fn(&Shared) -> &Meter) {
        let meter = meter(shared);
        // Wake-ups are 50 µs late otherwise (prctl(2), PR_SET_TIMERSLACK), which adds to every round trip.
        let _ = rustix::thread::set_current_timer_slack(std::num::NonZeroU64::new(1));
        let mut incoming = self.spare.take_long();
        while !shared.stop.load(Relaxed) {
            self.deliver(to);
            if !self.wait(from) {
                continue;
            }
            // A bounded number, so that what is due is not kept waiting.
            for _ in 0..32 {
                let Ok(length) = rustix::io::read(from, &mut incoming[..]) else {
                    break;
                };
                if length <= HEADER {
                    break;
                }
                let segments = Layout::of(&incoming[..length]).segments as u64;
                if shared.cut.load(Relaxed) {
                    meter.lost.fetch_add(segments, Relaxed);
                } else {
                    incoming = self.accept(incoming, length, meter);
                }
            }
        }
    }

    /// Writes every frame whose time has come.
    fn deliver(&mut self, to: &OwnedFd) {
        let now = Instant::now();
        while self.line.front().is_some_and(|(due, _)| *due <= now) {
            if let Some((_, frame)) = self.line.pop_front() {
                // A refused frame is a lost frame: TCP deals with it.
                let _ = rustix::io::write(to, &frame.bytes[..frame.used]);
                self.spare.give_back(frame.bytes);
            }
        }
    }

    /// Waits until there is something to read or to deliver; says whether to read.
    fn wait(&self, from: &OwnedFd) -> bool {
        // Short enough to notice the end soon.
        let longest = Duration::from_millis(100);
        let pause = self.line.front().map_or(longest, |(due, _)| {
            due.saturating_duration_since(Instant::now()).min(longest)
        });
        let pause = Timespec {
            tv_sec: 0,
            tv_nsec: i64::from(pause.subsec_nanos()),
        };
        let mut polled = [PollFd::new(from, PollFlags::IN)];
        matches!(poll(&mut polled, Some(&pause)), Ok(ready) if ready > 0)
    }

    /// Takes one frame in, or the part of it that survives; gives a buffer for the next.
    fn accept(&mut self, incoming: Vec<u8>, length: usize, meter: &Meter) -> Vec<u8> {
        let now = Instant::now();
        let layout = Layout::of(&incoming[..length]);
        let runs = self.surviving_runs(&layout, now, meter);
        match runs.as_slice() {
            [whole] if whole.len() == layout.segments => {
                let due = self.send(layout.wire_bytes(whole), whole.len(), now, meter);
                if length <= SHORT {
                    let mut bytes = self.spare.take_short();
                    bytes[..length].copy_from_slice(&incoming[..length]);
                    self.line.push_back((due, Buffer { bytes, used: length }));
                    return incoming;
                }
                self.line.push_back((
                    due,
                    Buffer {
                        bytes: incoming,
                        used: length,
                    },
                ));
                self.spare.take_long()
            }
            some => {
                for run in some {
                    let due = self.send(layout.wire_bytes(run), run.len(), now, meter);
                    let mut bytes = self.spare.take_long();
                    layout.cut(&incoming[..length], run.clone(), &mut bytes);
                    let used = bytes.len();
                    self.line.push_back((due, Buffer { bytes, used }));
                }
                incoming
            }
        }
    }

    /// Which segments are neither lost nor too many for the queue, as runs of neighbours.
    fn surviving_runs(&mut self, layout: &Layout, now: Instant, meter: &Meter) -> Vec<Range<usize>> {
        let mut room = match self.shape.rate {
            Some(rate) => {
                let backlog = self.free_at.saturating_duration_since(now).as_secs_f64() * rate as f64 / 8.0;
                self.shape.queue as f64 - backlog
            }
            None => f64::INFINITY,
        };
        let mut runs: Vec<Range<usize>> = Vec::with_capacity(1);
        for segment in 0..layout.segments {
            let size = layout.wire_bytes(&(segment..segment + 1)) as f64;
            if self.shape.loss > 0.0 && self.rng.unit() < self.shape.loss {
                meter.lost.fetch_add(1, Relaxed);
            } else if size > room {
                meter.overflow.fetch_add(1, Relaxed);
            } else {
                room -= size;
                match runs.last_mut() {
                    Some(run) if run.end == segment => run.end += 1,
                    _ => runs.push(segment..segment + 1),
                }
            }
        }
        runs
    }

    /// Puts so many bytes on the wire; gives the time of their arrival.
    fn send(&mut self, wire_bytes: usize, segments: usize, now: Instant, meter: &Meter) -> Instant {
        meter.packets.fetch_add(segments as u64, Relaxed);
        meter.bytes.fetch_add(wire_bytes as u64, Relaxed);
        if let Some(rate) = self.shape.rate {
            let start = self.free_at.max(now);
            self.free_at = start + Duration::from_secs_f64(wire_bytes as f64 * 8.0 / rate as f64);
            return self.free_at + self.shape.one_way;
        }
        now + self.shape.one_way
    }
}
