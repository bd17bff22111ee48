//! The SFTP client and its operations.
//!
//! Knows nothing of files on this machine and never retries, splits or orders requests: each operation is one request,
//! sent in the order of the calls, and many may be in flight. How many, and of how many bytes, is up to the caller.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use tokio::task::AbortHandle;
use tokio::time::Instant;

use super::attrs::Attrs;
use super::buf::WriteBuf;
use super::error::{LostReason, SftpError};
use super::extensions::{Extensions, Limits, StatVfs};
use super::packet::{Extended, OpenFlags, Request, WriteAt};
use super::pending::Pending;
use super::pump::{self, Sink, Source};
use super::queue::SMALL_WRITE;
use super::reply::{Entry, Handle, Payload, Reply, Wanted, convert};
use crate::channel::ByteChannel;

/// An SFTP session over one channel.
///
/// Cheap to clone; the channel is closed when the last clone and the last [`Reply`] are gone. Requests whose replies were
/// dropped may then not have been sent. Must be started and dropped within a tokio runtime.
///
/// Operations that are extensions of the protocol answer [`StatusCode::OpUnsupported`](super::StatusCode::OpUnsupported)
/// without asking if the server did not announce them, see [`extensions`](Sftp::extensions); before that is known they are
/// asked, and the server says it.
#[derive(Clone)]
pub struct Sftp {
    client: Arc<Client>,
}

/// What lives as long as anyone may want a reply.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) pending: Arc<Pending>,
    tasks: [AbortHandle; 2],
}

impl Client {
    fn end(&self) {
        for task in &self.tasks {
            task.abort();
        }
        self.pending.close(SftpError::Lost(LostReason::Dropped));
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.end();
    }
}

/// How a session is begun.
#[derive(Debug, Clone, Copy)]
pub(super) struct Opening {
    /// Limits that an earlier session was told.
    pub(super) known: Option<Limits>,
    /// How long the server may take to begin.
    pub(super) patience: Duration,
}

/// A copy of a range within the server, see [`Sftp::copy_data`].
#[derive(Debug, Clone, Copy)]
pub struct CopyRange<'a> {
    /// File read from.
    pub from: &'a Handle,
    /// Where to begin there, in bytes.
    pub from_offset: u64,
    /// Bytes to copy; 0 means up to the end of the file.
    pub len: u64,
    /// File written to.
    pub to: &'a Handle,
    /// Where to begin there, in bytes.
    pub to_offset: u64,
}

impl Sftp {
    /// Begins a session on a channel to an SFTP server, which may take `patience` to agree on version 3 and to tell its
    /// limits.
    ///
    /// Waits for nothing: requests may be made at once and go out behind INIT. Those of a session that never begins are
    /// [`LostReason::NotBegun`], and [`ready`](Self::ready) says why.
    #[must_use]
    pub fn start(channel: ByteChannel, patience: Duration) -> Sftp {
        let (sink, source) = channel.split();
        Sftp::start_over(sink, source, Opening { known: None, patience })
    }

    /// Begins another session with a server: what a first one was told of its limits is not asked again.
    #[must_use]
    pub fn start_like(first: &Sftp, channel: ByteChannel, patience: Duration) -> Sftp {
        let (sink, source) = channel.split();
        let known = first.is_ready().then(|| first.limits());
        Sftp::start_over(sink, source, Opening { known, patience })
    }

    pub(super) fn start_over(sink: impl Sink, source: impl Source, opening: Opening) -> Sftp {
        let pending = Arc::new(Pending::new(opening.known));
        let until = Instant::now() + opening.patience;
        let writer = tokio::spawn(pump::write(Arc::clone(&pending), sink));
        let reader = tokio::spawn(pump::read(Arc::clone(&pending), source, until));
        Sftp {
            client: Arc::new(Client {
                pending,
                tasks: [writer.abort_handle(), reader.abort_handle()],
            }),
        }
    }

    /// Waits until the session has begun: a round trip after its start, and never after a first reply.
    ///
    /// # Errors
    /// [`SftpError::Lost`] if the channel ended before, with what the far side said, or [`LostReason::Silent`] if nothing
    /// came in time; [`SftpError::Protocol`] if what answers is no SFTP server of version 3.
    pub async fn ready(&self) -> Result<(), SftpError> {
        self.client.pending.begun().await.map(drop)
    }

    /// Whether the session has begun.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        matches!(self.client.pending.agreed(), Some(Ok(_)))
    }

    /// Why the session did not begin, if that is so.
    #[must_use]
    pub fn start_error(&self) -> Option<SftpError> {
        self.client.pending.agreed()?.as_ref().err().cloned()
    }

    /// The largest requests that the server takes; defaults that every server takes if it does not tell, and as long as
    /// the session has not begun.
    #[must_use]
    pub fn limits(&self) -> Limits {
        self.client.pending.limits()
    }

    /// What the server offers besides the bare protocol. Waits as [`ready`](Self::ready) does.
    ///
    /// # Errors
    /// As [`ready`](Self::ready).
    pub async fn extensions(&self) -> Result<Extensions, SftpError> {
        self.client.pending.begun().await.map(|agreed| agreed.extensions)
    }

    /// Requests made so far, apart from those that began the session.
    #[must_use]
    pub fn requests_sent(&self) -> u64 {
        self.client.pending.requests.load(Ordering::Relaxed)
    }

    /// Bytes of replies received so far.
    #[must_use]
    pub fn bytes_in(&self) -> u64 {
        self.client.pending.bytes_in.load(Ordering::Relaxed)
    }

    /// Bytes of requests that the channel has taken so far.
    #[must_use]
    pub fn bytes_out(&self) -> u64 {
        self.client.pending.bytes_out.load(Ordering::Relaxed)
    }

    /// Whether the session has ended.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.client.pending.end().is_some()
    }

    /// Ends the session without waiting for anything: every reply that is due is [`LostReason::Dropped`], for all who have
    /// a clone.
    pub fn abandon(&self) {
        self.client.end();
    }

    /// Whether a request has no reply yet.
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        self.client.pending.is_waiting()
    }

    /// Whether both are the same session.
    #[must_use]
    pub fn is_same(&self, other: &Sftp) -> bool {
        Arc::ptr_eq(&self.client, &other.client)
    }

    /// Waits for the session's end and tells its reason.
    pub async fn closed(&self) -> SftpError {
        self.client.pending.ended().await
    }

    /// Opens a file; `attrs` count if it is made.
    pub fn open(&self, path: &[u8], flags: OpenFlags, attrs: &Attrs) -> Reply<Handle> {
        let attrs = *attrs;
        self.request(Wanted::Handle, &Request::Open { path, flags, attrs }, convert::handle)
    }

    /// Closes a handle. A server may tell of a failed write only here.
    pub fn close(&self, handle: &Handle) -> Reply<()> {
        self.request(Wanted::Status, &Request::Close { handle: &handle.0 }, convert::done)
    }

    /// Reads at most `len` bytes, and at most what the server allows, at `offset`; fewer may come. Empty at the file's end.
    pub fn read(&self, handle: &Handle, offset: u64, len: u32) -> Reply<Bytes> {
        let asked = len.min(self.limits().max_read);
        let request = Request::Read {
            handle: &handle.0,
            offset,
            len: asked,
        };
        self.request(Wanted::Data { asked }, &request, convert::data)
    }

    /// Writes at `offset`: all of the data or an error. More than the server's limit is
    /// [`SftpError::RequestTooLarge`], and nothing is sent.
    pub fn write(&self, handle: &Handle, offset: u64, data: WriteBuf) -> Reply<()> {
        if data.len() < SMALL_WRITE {
            let request = Request::Write {
                handle: &handle.0,
                offset,
                data: data.data(),
            };
            return self.request(Wanted::Status, &request, convert::done);
        }
        let at = WriteAt {
            handle: &handle.0,
            offset,
        };
        let submitted = self
            .client
            .pending
            .submit_with(Wanted::Status, |id, queue, max| queue.push_write(id, at, data, max));
        Reply::new(&self.client, submitted, convert::done)
    }

    /// Attributes of what a path names, links followed.
    pub fn stat(&self, path: &[u8]) -> Reply<Attrs> {
        self.request(Wanted::Attrs, &Request::Stat { path }, convert::attrs)
    }

    /// Attributes of what a path names; of a link itself.
    pub fn lstat(&self, path: &[u8]) -> Reply<Attrs> {
        self.request(Wanted::Attrs, &Request::Lstat { path }, convert::attrs)
    }

    /// Attributes of an open file.
    pub fn fstat(&self, handle: &Handle) -> Reply<Attrs> {
        self.request(Wanted::Attrs, &Request::Fstat { handle: &handle.0 }, convert::attrs)
    }

    /// Sets the attributes that are present, links followed. A size cuts the file or extends it with zeros.
    pub fn setstat(&self, path: &[u8], attrs: &Attrs) -> Reply<()> {
        let attrs = *attrs;
        self.request(Wanted::Status, &Request::Setstat { path, attrs }, convert::done)
    }

    /// Sets the attributes of an open file that are present.
    pub fn fsetstat(&self, handle: &Handle, attrs: &Attrs) -> Reply<()> {
        let request = Request::Fsetstat {
            handle: &handle.0,
            attrs: *attrs,
        };
        self.request(Wanted::Status, &request, convert::done)
    }

    /// Sets the attributes that are present; of a link itself. Extension.
    pub fn lsetstat(&self, path: &[u8], attrs: &Attrs) -> Reply<()> {
        let attrs = *attrs;
        self.extended(Wanted::Status, Extended::Lsetstat { path, attrs }, convert::done)
    }

    /// Opens a directory for [`readdir`](Sftp::readdir).
    pub fn opendir(&self, path: &[u8]) -> Reply<Handle> {
        self.request(Wanted::Handle, &Request::Opendir { path }, convert::handle)
    }

    /// The next entries of a directory, as many as the server likes to send; `None` at the end.
    pub fn readdir(&self, handle: &Handle) -> Reply<Option<Vec<Entry>>> {
        self.request(Wanted::Names, &Request::Readdir { handle: &handle.0 }, convert::entries)
    }

    /// Removes a file or link.
    pub fn remove(&self, path: &[u8]) -> Reply<()> {
        self.request(Wanted::Status, &Request::Remove { path }, convert::done)
    }

    /// Makes a directory. OpenSSH answers a plain failure if it exists.
    pub fn mkdir(&self, path: &[u8], attrs: &Attrs) -> Reply<()> {
        let attrs = *attrs;
        self.request(Wanted::Status, &Request::Mkdir { path, attrs }, convert::done)
    }

    /// Removes an empty directory.
    pub fn rmdir(&self, path: &[u8]) -> Reply<()> {
        self.request(Wanted::Status, &Request::Rmdir { path }, convert::done)
    }

    /// The absolute form of a path; of `.` the directory where the session began.
    pub fn realpath(&self, path: &[u8]) -> Reply<Bytes> {
        self.request(Wanted::OneName, &Request::Realpath { path }, convert::path)
    }

    /// Renames; fails if `to` exists.
    pub fn rename(&self, from: &[u8], to: &[u8]) -> Reply<()> {
        self.request(Wanted::Status, &Request::Rename { from, to }, convert::done)
    }

    /// Renames in one step, replacing what `to` names. Extension.
    pub fn posix_rename(&self, from: &[u8], to: &[u8]) -> Reply<()> {
        self.extended(Wanted::Status, Extended::PosixRename { from, to }, convert::done)
    }

    /// Where a link points.
    pub fn readlink(&self, path: &[u8]) -> Reply<Bytes> {
        self.request(Wanted::OneName, &Request::Readlink { path }, convert::path)
    }

    /// Makes a link at `link` that points to `target`, in the order of arguments of OpenSSH and of `ln -s`.
    pub fn symlink(&self, target: &[u8], link: &[u8]) -> Reply<()> {
        self.request(Wanted::Status, &Request::Symlink { target, link }, convert::done)
    }

    /// Makes `to` another name of the file `from`. Extension.
    pub fn hardlink(&self, from: &[u8], to: &[u8]) -> Reply<()> {
        self.extended(Wanted::Status, Extended::Hardlink { from, to }, convert::done)
    }

    /// Makes the server put on its disk what was written to the file before. Extension.
    pub fn fsync(&self, handle: &Handle) -> Reply<()> {
        self.extended(Wanted::Status, Extended::Fsync { handle: &handle.0 }, convert::done)
    }

    /// Copies a range from file to file within the server. Extension. OpenSSH serves nothing else on this channel
    /// meanwhile.
    pub fn copy_data(&self, range: CopyRange<'_>) -> Reply<()> {
        let request = Extended::CopyData {
            from: &range.from.0,
            from_offset: range.from_offset,
            len: range.len,
            to: &range.to.0,
            to_offset: range.to_offset,
        };
        self.extended(Wanted::Status, request, convert::done)
    }

    /// Space in the file system that holds a path. Extension.
    pub fn statvfs(&self, path: &[u8]) -> Reply<StatVfs> {
        let request = Extended::Statvfs { path };
        self.extended(Wanted::StatVfs, request, convert::statvfs)
    }

    /// The absolute form of a path that may begin with `~` or `~user`. Extension.
    pub fn expand_path(&self, path: &[u8]) -> Reply<Bytes> {
        let request = Extended::ExpandPath { path };
        self.extended(Wanted::OneName, request, convert::path)
    }

    /// The home directory of a user; of the session's own if `user` is empty. Extension.
    pub fn home_directory(&self, user: &[u8]) -> Reply<Bytes> {
        let request = Extended::HomeDirectory { user };
        self.extended(Wanted::OneName, request, convert::path)
    }

    fn request<T>(
        &self,
        wanted: Wanted,
        request: &Request<'_>,
        convert: fn(Payload) -> Result<T, SftpError>,
    ) -> Reply<T> {
        Reply::new(&self.client, self.client.pending.submit(wanted, request), convert)
    }

    /// Makes a request that not every server knows.
    fn extended<T>(
        &self,
        wanted: Wanted,
        request: Extended<'_>,
        convert: fn(Payload) -> Result<T, SftpError>,
    ) -> Reply<T> {
        if let Some(Ok(agreed)) = self.client.pending.agreed()
            && !agreed.extensions.offer(&request)
        {
            let error = SftpError::unsupported(request.name());
            return Reply::new(&self.client, Err(error), convert);
        }
        self.request(wanted, &Request::Extended(request), convert)
    }
}

impl fmt::Debug for Sftp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sftp")
            .field("agreed", &self.client.pending.agreed())
            .field("end", &self.client.pending.end())
            .finish_non_exhaustive()
    }
}
