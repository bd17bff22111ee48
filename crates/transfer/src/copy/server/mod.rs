//! A server as the copy sees it: a dialer and the SFTP sessions that are open now.
//!
//! Lanes open and lose sessions; whoever needs one for a listing or a `mkdir` borrows any that lives, and goes on with
//! another when it is lost meanwhile.

pub mod sessions;
pub mod silence;
mod witness;

use std::future::Future;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use renkei_ssh::sftp::Sftp;
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

/// How long the far side may take from the login to SFTP: shells read their start files first, over slow networks too.
const START: Duration = Duration::from_secs(60);

/// Why there is no new session.
#[derive(Debug, thiserror::Error)]
pub enum LineError {
    #[error(transparent)]
    Connect(#[from] ConnectError),
    #[error("the server does not speak SFTP as it should")]
    Sftp(#[from] renkei_ssh::sftp::SftpError),
    #[error("the server lets in but starts no SFTP within {} s; its login scripts may wait for something", START.as_secs())]
    Silent,
    #[error("the copy ended before the session was open")]
    NotWanted,
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
                    Some(server) => server.start(connection).await,
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

    /// Opens one more session: on a connection of its own, or where each login needs a person as one more channel.
    pub async fn open(&self) -> Result<Line, LineError> {
        let shared = match self.dialer.logins() {
            Logins::NeedsPerson => self.lines().first().map(|line| line.connection.clone()),
            Logins::Unattended | Logins::Unknown => None,
        };
        let connection = match shared {
            Some(connection) => connection,
            None => Arc::new(self.dialer.connect().await?),
        };
        self.start(connection).await
    }

    async fn start(&self, connection: Arc<Connection>) -> Result<Line, LineError> {
        let start = async {
            let channel = connection.sftp_channel().await?;
            Ok::<_, LineError>(match self.first() {
                Some(first) => Sftp::start_like(&first.sftp, channel).await?,
                None => Sftp::start(channel).await?,
            })
        };
        let sftp = tokio::time::timeout(START, start)
            .await
            .unwrap_or(Err(LineError::Silent))?;
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

    /// The sessions that live.
    pub fn sessions(&self) -> Vec<Sftp> {
        self.lines().into_iter().map(|line| line.sftp).collect()
    }

    /// How many sessions live.
    pub fn count(&self) -> usize {
        self.lines().len()
    }

    /// Any session that lives, each in turn; waits for one where there is none.
    pub async fn any(&self) -> Result<Sftp, Trouble> {
        self.any_line().await.map(|line| line.sftp)
    }

    /// As [`any`](Self::any), with the connection below it.
    pub async fn any_line(&self) -> Result<Line, Trouble> {
        loop {
            let arrived = self.arrived.notified();
            let lines = self.lines();
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
        self.lines().first().cloned()
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
