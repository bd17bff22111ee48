//! Requests at a steady rate, whether the hub keeps up or not. An answer's time counts from when its request was due: whoever would
//! wait for an answer before asking again would not see the queue that forms behind a slow one.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};
use serde_json::{Value, json};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

use crate::client::{Ask, Client, Connection};

/// At most so many connections: many more than are ever needed at once while the hub keeps up.
const CONNECTIONS: usize = 64;
/// Asked before it counts, so that connections and prepared statements are there.
const WARM_UP: Duration = Duration::from_secs(1);

/// How many, and for how long.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// Requests a second.
    pub rate: u32,
    /// For so long.
    pub seconds: u32,
}

/// Connections by turns.
struct Lines {
    client: Client,
    idle: Mutex<Vec<Connection>>,
    turns: Semaphore,
}

/// When it was due, how long it took since then, and whether it was a good answer.
type Answered = Result<(Instant, Duration, bool)>;

/// Asks these by turns; gives how long answers took, milliseconds, and how many were refused.
pub async fn run(client: &Client, asks: Vec<Ask>, pace: Pace) -> Result<Value> {
    let lines = Arc::new(Lines {
        client: client.clone(),
        idle: Mutex::default(),
        turns: Semaphore::new(CONNECTIONS),
    });
    let start = Instant::now() + Duration::from_millis(200);
    let asks: Vec<Arc<Ask>> = asks.into_iter().map(Arc::new).collect();
    let runtime = Handle::current();
    // A thread sleeps more exactly than the runtime's clock, which counts whole milliseconds.
    let asking = std::thread::spawn(move || ask(&runtime, &lines, (&asks, start, pace)));
    let asked = tokio::task::spawn_blocking(|| asking.join()).await?;
    let (mut took, mut refused) = (Vec::new(), 0_u64);
    for answered in asked.map_err(|_| anyhow!("the thread that asks has ended"))? {
        let (due, time, good) = answered.await??;
        if due >= start + WARM_UP {
            took.push(time);
            refused += u64::from(!good);
        }
    }
    took.sort_unstable();
    let at = |of_thousand: usize| took.get(took.len().saturating_sub(1) * of_thousand / 1000);
    let millis = |of_thousand| at(of_thousand).map_or(0.0, |time| (time.as_secs_f64() * 1e6).round() / 1e3);
    Ok(json!({
        "requests": took.len(),
        "refused": refused,
        "p50_ms": millis(500),
        "p99_ms": millis(990),
        "max_ms": millis(1000),
    }))
}

fn ask(
    runtime: &Handle,
    lines: &Arc<Lines>,
    (asks, start, pace): (&[Arc<Ask>], Instant, Pace),
) -> Vec<JoinHandle<Answered>> {
    let count = (WARM_UP.as_secs() + u64::from(pace.seconds)) * u64::from(pace.rate);
    let one = |(number, ask): (u64, &Arc<Ask>)| {
        let due = start + Duration::from_nanos(number * 1_000_000_000 / u64::from(pace.rate));
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        let (lines, ask) = (lines.clone(), ask.clone());
        runtime.spawn(async move { lines.answered(&ask, due).await })
    };
    (0..count).zip(asks.iter().cycle()).map(one).collect()
}

impl Lines {
    async fn answered(&self, ask: &Ask, due: Instant) -> Answered {
        let _turn = self.turns.acquire().await?;
        let idle = self.idle().pop();
        let mut connection = match idle {
            Some(connection) => connection,
            None => self.client.connect().await?,
        };
        let (status, _) = connection.exchange(ask).await?;
        let took = due.elapsed();
        self.idle().push(connection);
        Ok((due, took, status.is_success()))
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
