//! A journal that is being written.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use renkei_plan::journal::{Encoder, Record, Resume, SourceIndex, UnixMillis};

use super::error::JournalError;
use super::lock::Lock;
use super::read::{self, FinishedFile};
use crate::whole_file;

/// So much is gathered before it is written without being asked.
const GATHERED: usize = 1 << 18;
/// How often [`Journal::tick`] makes the journal survive a loss of power.
const SYNC_EVERY: Duration = Duration::from_secs(5);

/// One transfer's journal, open for this run alone. Shared by all tasks of the copy.
#[derive(Debug)]
pub struct Journal {
    name: String,
    path: PathBuf,
    file: File,
    pen: Mutex<Pen>,
    begun: (Instant, UnixMillis),
    /// Given back last.
    _lock: Lock,
}

#[derive(Debug)]
struct Pen {
    encoder: Encoder,
    /// Encoded and not yet handed to the operating system.
    gathered: Vec<u8>,
    synced: Instant,
    /// Whether anything was written since the last sync.
    unsynced: bool,
}

impl Journal {
    pub(super) fn new(name: String, path: PathBuf, file: File, encoder: Encoder, lock: Lock) -> Self {
        let now = Instant::now();
        Self {
            name,
            path,
            file,
            pen: Mutex::new(Pen {
                encoder,
                gathered: Vec::new(),
                synced: now,
                unsynced: true,
            }),
            begun: (now, wall_clock()),
            _lock: lock,
        }
    }

    /// The transfer's ID, or the path where the user named one: what `--resume` takes.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The time for records: the wall clock when this run began and the time passed since, so that it never goes back.
    #[must_use]
    pub fn now(&self) -> UnixMillis {
        let (instant, wall) = self.begun;
        UnixMillis(wall.0 + instant.elapsed().as_millis() as u64)
    }

    /// Adds a record. It is in memory until the next [flush](Self::flush), except that much is not gathered.
    ///
    /// # Errors
    /// A record that does not fit, or a write that failed. After a failed write nothing is lost: the next call goes on
    /// where it stopped.
    pub fn append(&self, record: &Record<'_>) -> Result<(), JournalError> {
        let mut pen = self.pen();
        let Pen { encoder, gathered, .. } = &mut *pen;
        encoder.append(record, gathered).map_err(JournalError::TooLong)?;
        if pen.gathered.len() < GATHERED {
            return Ok(());
        }
        self.write(&mut pen)
    }

    /// Hands everything to the operating system, so that it survives the end of this process.
    ///
    /// # Errors
    /// A write that failed; may be tried again.
    pub fn flush(&self) -> Result<(), JournalError> {
        self.write(&mut self.pen())
    }

    /// Flushes and waits until it is on the disk, so that it survives a loss of power. Others may append meanwhile.
    ///
    /// # Errors
    /// A write or sync that failed.
    pub fn sync(&self) -> Result<(), JournalError> {
        {
            let mut pen = self.pen();
            self.write(&mut pen)?;
            pen.synced = Instant::now();
            if !std::mem::take(&mut pen.unsynced) {
                return Ok(());
            }
        }
        let synced = self.file.sync_data();
        if synced.is_err() {
            self.pen().unsynced = true;
        }
        synced.map_err(JournalError::io("sync", &self.path))
    }

    /// To be called several times a second while the copy runs: flushes, and syncs every few seconds.
    ///
    /// # Errors
    /// As [`Self::flush`] and [`Self::sync`].
    pub fn tick(&self) -> Result<(), JournalError> {
        let due = self.pen().synced.elapsed() >= SYNC_EVERY;
        if due { self.sync() } else { self.flush() }
    }

    /// What an earlier run says of a file that it finished.
    ///
    /// # Errors
    /// A read that failed, or a journal that was changed since it was opened.
    pub fn finished(
        &self,
        resume: &Resume,
        source: SourceIndex,
        path: &[u8],
    ) -> Result<Option<FinishedFile>, JournalError> {
        let Some(entry) = resume.finished(source, path) else {
            return Ok(None);
        };
        read::finished(&self.file, entry, resume, (source, path)).map_err(|failed| failed.at(&self.path))
    }

    /// Writes a copy to a place that the user named (mscp's `-W`), under its final name only when it is whole.
    ///
    /// # Errors
    /// A write that failed; what stood there before stays.
    pub fn save_copy(&self, to: &Path) -> Result<(), JournalError> {
        self.flush()?;
        whole_file::copy(&self.path, to).map_err(JournalError::io("write", to))
    }

    /// Ends the transfer: nothing is left to resume, and the journal is removed.
    ///
    /// # Errors
    /// A write or removal that failed.
    pub fn complete(&self) -> Result<(), JournalError> {
        // Whoever finds it after a crash between the two sees that it is done.
        self.append(&Record::Complete)?;
        self.flush()?;
        self.remove()
    }

    /// Removes the journal without completing: the transfer is forgotten.
    ///
    /// # Errors
    /// A removal that failed.
    pub fn remove(&self) -> Result<(), JournalError> {
        self.pen().gathered.clear();
        fs::remove_file(&self.path).map_err(JournalError::io("remove", &self.path))
    }

    /// A panic elsewhere does not leave half a record: each is encoded under the lock and not seen before it is whole.
    fn pen(&self) -> MutexGuard<'_, Pen> {
        self.pen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, pen: &mut Pen) -> Result<(), JournalError> {
        pen.hand_over(&mut &self.file)
            .map_err(JournalError::io("write", &self.path))
    }
}

impl Pen {
    /// Writes what was gathered. A part that went out before a failure is not written a second time.
    fn hand_over(&mut self, out: &mut impl io::Write) -> io::Result<()> {
        let mut written = 0;
        let outcome = loop {
            if written == self.gathered.len() {
                break Ok(());
            }
            match out.write(&self.gathered[written..]) {
                Ok(0) => break Err(io::ErrorKind::WriteZero.into()),
                Ok(more) => written += more,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => break Err(error),
            }
        };
        self.gathered.drain(..written);
        self.unsynced |= written > 0;
        outcome
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        // The copy is over and there is no one to tell; what is missing then is done again.
        let _ = self.flush();
    }
}

fn wall_clock() -> UnixMillis {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    UnixMillis(since.map_or(0, |since| since.as_millis() as u64))
}

#[cfg(test)]
mod tests {
    use super::*;
    use renkei_plan::journal::{Decoder, Ending, FileSeq, Header, Identity};

    /// A disk that takes so many bytes and is full then.
    struct Disk {
        room: usize,
        held: Vec<u8>,
    }

    impl io::Write for Disk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let taken = bytes.len().min(self.room);
            if taken == 0 {
                return Err(io::ErrorKind::StorageFull.into());
            }
            self.room -= taken;
            self.held.extend_from_slice(&bytes[..taken]);
            Ok(taken)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn after_a_full_disk_the_journal_goes_on_without_a_gap() {
        let identity = Identity {
            sources: vec![],
            target: vec![],
            cwd: vec![],
            ends: vec![],
            options: vec![],
        };
        let header = Header {
            identity,
            started: UnixMillis(0),
            program: String::new(),
            request: vec![],
        };
        let mut gathered = Vec::new();
        let mut pen = Pen {
            encoder: Encoder::begin(&header, &mut gathered).unwrap(),
            gathered,
            synced: Instant::now(),
            unsynced: false,
        };
        let mut disk = Disk {
            room: 0,
            held: Vec::new(),
        };
        for seq in 0..100 {
            let done = Record::AsideDone { seq: FileSeq(seq) };
            pen.encoder.append(&done, &mut pen.gathered).unwrap();
            disk.room = 7;
            let error = pen.hand_over(&mut disk).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        }
        disk.room = usize::MAX;
        pen.hand_over(&mut disk).unwrap();
        let mut decoder = Decoder::new();
        let (mut rest, mut records) = (&disk.held[..], 0);
        while let Some(found) = decoder.step(rest).unwrap() {
            rest = &rest[found.len..];
            records += 1;
        }
        assert_eq!((records, decoder.end(rest)), (101, Ok(Ending::Clean)));
    }
}
