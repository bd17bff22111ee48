//! The serial console: a socket that QEMU offers to one client at a time, and a log that QEMU writes and that is kept short here.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::Path;

use super::command::{CONSOLE, CONSOLE_LOG};
use super::kept::failed;
use super::monitor::socket;
use crate::console::{Console, LONGEST_LOG};
use crate::driver::DriverError;
use crate::whole::write_whole;

/// What the log had before it was shortened last.
const BEFORE: &str = "console.before";
/// The log is shortened at this length, bytes. QEMU appends, so what it writes next is at the beginning of the emptied file.
const SHORTENED_AT: u64 = 1 << 20;

/// Opens the console in a machine's folder.
pub(super) fn open(folder: &Path) -> Result<Console, DriverError> {
    let log = log(folder)?;
    let path = folder.join(CONSOLE);
    let stream = socket(folder, CONSOLE).map_err(failed("open", &path))?;
    Ok(Console { log, stream })
}

/// The latest of what was said.
pub(super) fn log(folder: &Path) -> Result<Vec<u8>, DriverError> {
    let path = folder.join(CONSOLE_LOG);
    let mut text = tail(&path).map_err(failed("read", &path))?;
    if text.len() < LONGEST_LOG {
        let path = folder.join(BEFORE);
        let mut before = tail(&path).map_err(failed("read", &path))?;
        before.append(&mut text);
        text = before.split_off(before.len().saturating_sub(LONGEST_LOG));
    }
    Ok(text)
}

/// Keeps the log short. A few bytes that are written at that very moment may be lost.
pub(super) fn shorten(folder: &Path) -> Result<(), DriverError> {
    let path = folder.join(CONSOLE_LOG);
    if path.metadata().map_or(0, |file| file.len()) < SHORTENED_AT {
        return Ok(());
    }
    let cut = || -> io::Result<()> {
        write_whole(&folder.join(BEFORE), &tail(&path)?)?;
        OpenOptions::new().write(true).open(&path)?.set_len(0)
    };
    cut().map_err(failed("shorten", &path))
}

/// The end of a file; nothing if there is none.
fn tail(path: &Path) -> io::Result<Vec<u8>> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(LONGEST_LOG as u64)))?;
    let mut text = Vec::new();
    // It may grow meanwhile.
    file.take(LONGEST_LOG as u64).read_to_end(&mut text)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_stays_short_and_keeps_its_end() {
        let folder = tempfile::tempdir().unwrap();
        assert!(log(folder.path()).unwrap().is_empty());
        let path = folder.path().join(CONSOLE_LOG);
        let text = |byte: u8, length| vec![byte; length];
        std::fs::write(&path, text(b'a', SHORTENED_AT as usize)).unwrap();
        shorten(folder.path()).unwrap();
        assert_eq!(path.metadata().unwrap().len(), 0);
        std::fs::write(&path, "last").unwrap();
        let kept = log(folder.path()).unwrap();
        assert!(kept.len() == LONGEST_LOG && kept.ends_with(b"aaalast"));
        shorten(folder.path()).unwrap();
        assert_eq!(log(folder.path()).unwrap(), kept);
    }
}
