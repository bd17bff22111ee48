//! How a finished file gets its final name at a server.
//!
//! With `posix-rename@openssh.com` the name changes hands in one step. Plain SFTP renames only onto nothing: there the
//! old file is moved aside, the new one takes its name, and the old one is removed; if the middle breaks, the old file is
//! moved back.

use renkei_ssh::sftp::{Sftp, StatusCode};

use super::landing::last_name;
use crate::copy::trouble::Trouble;

/// What a temporary name begins with. Short, hidden, and nothing of the final name in it: that may have 255 bytes.
const PREFIX: &str = ".rk-";

/// Temporary names of one transfer.
#[derive(Clone, Debug)]
pub struct TempNames {
    /// Random, so that nobody who can write the directory can guess the next name.
    token: String,
}

impl TempNames {
    /// A fresh token.
    pub fn random() -> Result<Self, getrandom::Error> {
        let mut bytes = [0u8; 8];
        getrandom::fill(&mut bytes)?;
        const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
        let token = bytes
            .iter()
            .map(|byte| char::from(LETTERS[usize::from(byte % 32)]))
            .collect();
        Ok(Self { token })
    }

    /// The name of file number `serial` in this attempt; at most 40 bytes.
    pub fn name(&self, serial: u64, attempt: u32) -> Vec<u8> {
        match attempt {
            0 => format!("{PREFIX}{}-{serial:x}", self.token).into_bytes(),
            _ => format!("{PREFIX}{}-{serial:x}-{attempt:x}", self.token).into_bytes(),
        }
    }
}

/// The names that earlier attempts at the file of this temporary name had, as [`TempNames::name`] makes them.
pub fn earlier_attempts(temp: &[u8]) -> Vec<Vec<u8>> {
    let Some(first_end) = temp.strip_prefix(PREFIX.as_bytes()).and_then(|rest| {
        let mut dashes = rest.iter().enumerate().filter(|(_, byte)| **byte == b'-');
        let (_, last) = (dashes.next()?, dashes.next()?);
        Some(PREFIX.len() + last.0)
    }) else {
        return Vec::new();
    };
    let (first, attempt) = temp.split_at(first_end);
    let attempt = std::str::from_utf8(&attempt[1..])
        .ok()
        .and_then(|digits| u32::from_str_radix(digits, 16).ok());
    // One that is lost so often is given up long before.
    let earlier = (1..attempt.unwrap_or(0).min(64)).map(|number| [first, format!("-{number:x}").as_bytes()].concat());
    std::iter::once(first.to_vec()).chain(earlier).collect()
}

/// Renames `from` onto `to`, replacing a file or link that is there. `note` is told the name of an old file that is moved
/// aside, before, and when that is over.
pub async fn replace(sftp: &Sftp, from: &[u8], to: &[u8], note: &(dyn Fn(Aside<'_>) + Sync)) -> Result<(), Trouble> {
    let offered = sftp.extensions().await.map_err(Trouble::far("rename to", to))?;
    if offered.posix_rename {
        return sftp.posix_rename(from, to).await.map_err(Trouble::far("rename to", to));
    }
    // Onto nothing is the common case and costs one request.
    let refused = match sftp.rename(from, to).await {
        Ok(()) => return Ok(()),
        Err(error) if error.is_transient() => return Err(Trouble::far("rename to", to)(error)),
        Err(error) => error,
    };
    match sftp.lstat(to).await {
        Ok(attrs) if !attrs.is_dir() => {}
        Err(error) if error.is_transient() => return Err(Trouble::far("rename to", to)(error)),
        _ => return Err(Trouble::far("rename to", to)(refused)),
    }
    let aside = [from, b".old"].concat();
    note(Aside::Moved(last_name(&aside).unwrap_or(&aside)));
    sftp.rename(to, &aside)
        .await
        .map_err(Trouble::far("move the old file aside from", to))?;
    if let Err(error) = sftp.rename(from, to).await {
        if !error.is_transient() {
            let _ = sftp.rename(&aside, to).await;
        }
        return Err(Trouble::far("rename to", to)(error));
    }
    if sftp.remove(&aside).await.is_ok() {
        note(Aside::Done);
    }
    Ok(())
}

/// What becomes of an old file where the server cannot replace by rename.
#[derive(Clone, Copy, Debug)]
pub enum Aside<'a> {
    /// It is about to get this name, in its directory.
    Moved(&'a [u8]),
    /// It is gone.
    Done,
}

/// Renames `from` to `to` only if nothing is there (`--no-clobber`).
pub async fn claim(sftp: &Sftp, from: &[u8], to: &[u8]) -> Result<(), Trouble> {
    // OpenSSH's plain rename links and unlinks, which fails on an existing name; others refuse by the draft.
    sftp.rename(from, to).await.map_err(Trouble::far("rename to", to))
}

/// After a rename whose answer was lost: whether it had happened. `size` is what the file must have.
pub async fn has_happened(sftp: &Sftp, from: &[u8], to: &[u8], size: u64) -> Result<bool, Trouble> {
    match sftp.lstat(from).await {
        Err(error) if error.code() == Some(StatusCode::NoSuchFile) => {}
        Err(error) => return Err(Trouble::far("look at", from)(error)),
        Ok(_) => return Ok(false),
    }
    let attrs = sftp.lstat(to).await.map_err(Trouble::far("look at", to))?;
    Ok(attrs.is_file() && attrs.size == Some(size))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_of_earlier_attempts_are_known() {
        let names = TempNames {
            token: "abcdefgh".into(),
        };
        assert!(earlier_attempts(&names.name(7, 0)).is_empty());
        let earlier: Vec<_> = (0..11).map(|attempt| names.name(7, attempt)).collect();
        assert_eq!(earlier_attempts(&names.name(7, 11)), earlier);
        assert!(earlier_attempts(b"-a-b-c").is_empty());
    }
}
