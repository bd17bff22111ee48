//! A server as the copy sees it: a dialer and the SFTP sessions that are open now.
//!
//! Lanes open and lose sessions; whoever needs one for a listing or a `mkdir` borrows any that lives, and goes on with
//! another when it is lost meanwhile.

pub mod sessions;
pub mod silence;
mod witness;

use std::future::Future;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use renkei_ssh::sftp::{LostReason, Sftp, SftpError};
use renkei_ssh::{ConnectError, Connection, Dialer, Logins};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use self::witness::Witness;
use super::stop::Stop;
use super::trouble::Trouble;

/// One session and the connection that carries it.
#[derive(Clone)]
pub struct Line {
    pub connection: Arc<Connection>,
    pub sftp: Sftp,
}

impl Line {
    /// Waits until the session has begun.
    pub async fn started(&self) -> Result<(), LineError> {
        Ok(self.sftp.ready().await?)
    }
}

/// How long the far side may take from the login to SFTP: shells read their start files first, over slow networks too.
const START: Duration = Duration::from_secs(60);

/// Why there is no new session.
#[derive(Debug, thiserror::Error)]
pub enum LineError {
    #[error(transparent)]
    Connect(#[from] ConnectError),
    #[error("the server does not speak SFTP as it should")]
    Sftp(#[source] SftpError),
    #[error("the server lets in but starts no SFTP within {} s; its login scripts may wait for something", START.as_secs())]
    Silent,
    #[error("the copy ended before the session was open")]
    NotWanted,
}

impl From<SftpError> for LineError {
    fn from(error: SftpError) -> Self {
        match error {
            SftpError::Lost(LostReason::Silent) => Self::Silent,
            error => Self::Sftp(error),
        }
    }
}

/// A session that is being opened beside the first; given up when this is dropped.
pub struct Beside(JoinHandle<Result<Line, LineError>>);

impl Beside {
    /// Waits for it.
    pub async fn line(mut self) -> Result<Line, LineError> {
        (&mut self.0).await.unwrap_or(Err(LineError::NotWanted))
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// A server and its open sessions.
pub struct Server {
    dialer: Dialer,
    live: Mutex<Vec<Line>>,
    witness: Mutex<Witness>,
    arrived: Notify,
    turn: AtomicUsize,
    stop: Stop,
    /// Sessions that are being opened beside the first, until a fleet takes them over.
    beside: Mutex<Vec<Beside>>,
    max_handles: OnceLock<Option<u64>>,
}

impl Server {
    pub fn new(dialer: Dialer, stop: Stop) -> Self {
        Self {
            dialer,
            live: Mutex::new(Vec::new()),
            witness: Mutex::default(),
            arrived: Notify::new(),
            turn: AtomicUsize::new(0),
            stop,
            beside: Mutex::default(),
            max_handles: OnceLock::new(),
        }
    }

    pub fn dialer(&self) -> &Dialer {
        &self.dialer
    }

    /// Begins to open `count` sessions while the first is being opened.
    pub fn open_beside(self: &Arc<Self>, count: u32) {
        let Ok(mut beside) = self.beside.lock() else { return };
        for _ in 0..count {
            // Not an owner: the server is dropped, and these with it, when the first login fails.
            let server = Arc::downgrade(self);
            let dialer = self.dialer.clone();
            beside.push(Beside(tokio::spawn(async move {
                let connection = Arc::new(dialer.connect_beside().await?);
                match server.upgrade() {
                    Some(server) => server.start_for_lane(connection).await,
                    None => Err(LineError::NotWanted),
                }
            })));
        }
    }

    /// The sessions that are being opened beside the first.
    pub fn take_beside(&self) -> Vec<Beside> {
        self.beside
            .lock()
            .map(|mut beside| std::mem::take(&mut *beside))
            .unwrap_or_default()
    }

    /// Opens one more session and waits until it has begun.
    pub async fn open(&self) -> Result<Line, LineError> {
        let line = self.open_early().await?;
        let started = line.started().await;
        if started.is_err() {
            self.leave(&line.sftp);
        }
        started.map(|()| line)
    }

    /// As [`open`](Self::open), but what begins the session may still be on its way: the first requests travel with it.
    /// Whoever makes them asks [`Line::started`] when they fail.
    pub async fn open_early(&self) -> Result<Line, LineError> {
        self.start(self.connection().await?).await
    }

    /// A session for a lane: begun, or about to as soon as the server has its first packet.
    pub async fn open_for_lane(&self) -> Result<Line, LineError> {
        self.start_for_lane(self.connection().await?).await
    }

    async fn start_for_lane(&self, connection: Arc<Connection>) -> Result<Line, LineError> {
        let line = self.start(connection).await?;
        if !line.connection.is_logged_in() {
            // Until then a lane would hold work that others could do.
            line.started().await.inspect_err(|_| self.leave(&line.sftp))?;
        }
        Ok(line)
    }

    /// A connection of its own, or where each login needs a person one that is there.
    async fn connection(&self) -> Result<Arc<Connection>, LineError> {
        let shared = match self.dialer.logins() {
            Logins::NeedsPerson => self.lines().first().map(|line| line.connection.clone()),
            Logins::Unattended | Logins::Unknown => None,
        };
        Ok(match shared {
            Some(connection) => connection,
            None => Arc::new(self.dialer.connect().await?),
        })
    }

    async fn start(&self, connection: Arc<Connection>) -> Result<Line, LineError> {
        let begin = Instant::now();
        let channel = tokio::time::timeout(START, connection.sftp_channel())
            .await
            .map_err(|_| LineError::Silent)??;
        let patience = START.saturating_sub(begin.elapsed());
        let sftp = match self.first() {
            Some(first) => Sftp::start_like(&first.sftp, channel, patience),
            None => Sftp::start(channel, patience),
        };
        let line = Line { connection, sftp };
        self.witness().opened(line.sftp.clone());
        if let Ok(mut live) = self.live.lock() {
            live.push(line.clone());
        }
        self.arrived.notify_waiters();
        Ok(line)
    }

    /// The session is not to be borrowed any more.
    pub fn leave(&self, sftp: &Sftp) {
        if let Ok(mut live) = self.live.lock() {
            live.retain(|line| !line.sftp.is_same(sftp));
        }
    }

    fn lines(&self) -> Vec<Line> {
        self.live
            .lock()
            .map(|live| live.iter().filter(|line| !line.sftp.is_closed()).cloned().collect())
            .unwrap_or_default()
    }

    /// The sessions that live, and those that are about to begin.
    pub fn sessions(&self) -> Vec<Sftp> {
        self.lines().into_iter().map(|line| line.sftp).collect()
    }

    /// How many these are.
    pub fn count(&self) -> usize {
        self.lines().len()
    }

    /// Any session that lives, each in turn, and one that is about to begin only where no other is; waits for one where
    /// there is none.
    pub async fn any(&self) -> Result<Sftp, Trouble> {
        self.any_line().await.map(|line| line.sftp)
    }

    /// As [`any`](Self::any), with the connection below it.
    pub async fn any_line(&self) -> Result<Line, Trouble> {
        loop {
            let arrived = self.arrived.notified();
            let mut lines = self.lines();
            if lines.iter().any(|line| line.sftp.is_ready()) {
                lines.retain(|line| line.sftp.is_ready());
            }
            if !lines.is_empty() {
                let turn = self.turn.fetch_add(1, Ordering::Relaxed);
                return Ok(lines[turn % lines.len()].clone());
            }
            tokio::select! {
                () = arrived => {}
                // A session may have arrived between the look and the wait.
                () = tokio::time::sleep(Duration::from_millis(50)) => {}
                () = self.stop.stopped() => return Err(Trouble::Ended),
            }
        }
    }

    /// Ends all connections.
    pub async fn goodbye(&self) {
        let lines = self.lines();
        futures_util::future::join_all(lines.iter().map(|line| line.connection.goodbye())).await;
    }

    /// The session that has been open longest.
    pub fn first(&self) -> Option<Line> {
        let lines = self.lines();
        let begun = lines.iter().find(|line| line.sftp.is_ready());
        begun.or(lines.first()).cloned()
    }

    /// The session open longest of those that `wanted` says.
    pub fn find(&self, wanted: impl Fn(&Sftp) -> bool) -> Option<Line> {
        self.lines().into_iter().find(|line| wanted(&line.sftp))
    }

    /// How many handles may be open in one session, as the server told it in any.
    pub fn max_handles(&self) -> Option<u64> {
        if let Some(line) = self.first().filter(|line| line.sftp.is_ready()) {
            return *self.max_handles.get_or_init(|| line.sftp.limits().max_handles);
        }
        self.max_handles.get().copied().flatten()
    }

    /// Does `step` on any session, and again on another if that one is lost. Only for steps that may be done twice.
    pub async fn run<T, Step, Done>(&self, mut step: Step) -> Result<T, Trouble>
    where
        Step: FnMut(Sftp) -> Done,
        Done: Future<Output = Result<T, Trouble>>,
    {
        loop {
            let sftp = self.any().await?;
            match step(sftp.clone()).await {
                Err(trouble) if trouble.is_lost() && !matches!(trouble, Trouble::Ended) => {
                    if sftp.is_closed() {
                        self.leave(&sftp);
                    } else {
                        tokio::time::sleep(Duration::from_millis(100)).await;
                    }
                }
                result => return result,
            }
        }
    }

    /// Which sessions prove that the host has not crashed.
    pub fn witness(&self) -> MutexGuard<'_, Witness> {
        self.witness.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The best round-trip time that is known.
    pub fn rtt(&self) -> Option<Duration> {
        self.lines().iter().map(|line| line.connection.rtt()).min()
    }
}
