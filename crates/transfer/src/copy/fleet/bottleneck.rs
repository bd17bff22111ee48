//! What limits right now, in one word: a guess from what can be seen from here.

use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use crate::copy::shared::Shared;
use crate::event::Bottleneck;

/// Bytes that one OpenSSH channel has in flight at most.
const CHANNEL_WINDOW: f64 = 2_097_152.0;

/// Compares each look with the one before.
#[derive(Debug, Default)]
pub struct Gauge {
    last: Option<Look>,
}

#[derive(Clone, Copy, Debug)]
struct Look {
    at: Duration,
    cpu: Duration,
    bytes: u64,
}

/// The lanes and how far they reach.
#[derive(Clone, Copy, Debug)]
pub struct Reach {
    pub lanes: u32,
    pub rtt: Duration,
    pub target_is_far: bool,
}

impl Gauge {
    /// Guesses from the rate, the lanes and the processor time used since the last look.
    pub fn guess(&mut self, shared: &Shared, reach: Reach) -> Bottleneck {
        let look = Look {
            at: shared.now(),
            cpu: processor_time(),
            bytes: shared.ledger.bytes.load(Relaxed),
        };
        let Some(last) = self.last.replace(look) else {
            return Bottleneck::Unknown;
        };
        let passed = look.at.saturating_sub(last.at).as_secs_f64();
        let bytes = look.bytes.saturating_sub(last.bytes);
        if passed <= 0.0 || bytes == 0 {
            return Bottleneck::Unknown;
        }
        if shared.limiter.is_some() {
            return Bottleneck::Limit;
        }
        if shared.disk.available_permits() == 0 {
            return if reach.target_is_far {
                Bottleneck::SourceDisk
            } else {
                Bottleneck::FarDisk
            };
        }
        let busy = look.cpu.saturating_sub(last.cpu).as_secs_f64() / passed;
        let cores = std::thread::available_parallelism().map_or(1.0, |cores| cores.get() as f64);
        if busy > 0.85 * cores || (reach.lanes == 1 && busy > 0.9) {
            return Bottleneck::Cpu;
        }
        if reach.rtt < Duration::from_millis(2) {
            // Hardly any distance and processor to spare: what is left is the far side.
            return Bottleneck::FarDisk;
        }
        let in_flight = bytes as f64 / passed / f64::from(reach.lanes.max(1)) * reach.rtt.as_secs_f64();
        if in_flight > 0.75 * CHANNEL_WINDOW {
            Bottleneck::Window
        } else {
            Bottleneck::Path
        }
    }
}

fn processor_time() -> Duration {
    let spent = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    let (seconds, nanos) = (
        u64::try_from(spent.tv_sec).unwrap_or(0),
        u32::try_from(spent.tv_nsec).unwrap_or(0),
    );
    Duration::new(seconds, nanos)
}
