//! Which transfer a journal belongs to.

use std::fmt;
use std::str::{self, FromStr};

use renkei_types::tree_hash::hash_whole;
use thiserror::Error;

use super::UnixMillis;
use super::field::{Fields, put_bytes, put_u64};

/// The version of the format that is written here, and the only one that is read.
pub const VERSION: u16 = 1;

/// Where one source or the target is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// On this machine.
    Local,
    /// At a server, after the configuration was resolved.
    Remote {
        /// Login name.
        user: Vec<u8>,
        /// Host name, as connected to.
        host: Vec<u8>,
        /// TCP port.
        port: u16,
    },
}

/// What makes two commands the same transfer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The sources as typed, in order.
    pub sources: Vec<Vec<u8>>,
    /// The target as typed.
    pub target: Vec<u8>,
    /// The working directory; relative local paths depend on it.
    pub cwd: Vec<u8>,
    /// Where each source is, in order, and the target last.
    pub ends: Vec<End>,
    /// Options that change what arrives, such as `--follow`, in an order that does not depend on how they were typed.
    pub options: Vec<Vec<u8>>,
}

impl Identity {
    /// The name of this transfer: the same for the same identity, on every machine and in every version.
    #[must_use]
    pub fn id(&self) -> TransferId {
        let mut bytes = Vec::new();
        self.encode(&mut bytes);
        let hash = hash_whole(&bytes).0;
        let id = hash.iter().take(TransferId::LEN).map(|byte| TransferId::letter(*byte));
        TransferId(id.collect())
    }

    fn encode(&self, out: &mut Vec<u8>) {
        put_list(out, &self.sources);
        put_bytes(out, &self.target);
        put_bytes(out, &self.cwd);
        put_u64(out, self.ends.len() as u64);
        for end in &self.ends {
            match end {
                End::Local => out.push(0),
                End::Remote { user, host, port } => {
                    out.push(1);
                    put_bytes(out, user);
                    put_bytes(out, host);
                    put_u64(out, u64::from(*port));
                }
            }
        }
        put_list(out, &self.options);
    }

    fn decode(fields: &mut Fields<'_>) -> Option<Self> {
        let sources = take_list(fields)?;
        let target = fields.bytes()?.to_vec();
        let cwd = fields.bytes()?.to_vec();
        let ends = (0..fields.count(1)?)
            .map(|_| {
                Some(match fields.u8()? {
                    0 => End::Local,
                    1 => End::Remote {
                        user: fields.bytes()?.to_vec(),
                        host: fields.bytes()?.to_vec(),
                        port: fields.u64()?.try_into().ok()?,
                    },
                    _ => return None,
                })
            })
            .collect::<Option<_>>()?;
        let options = take_list(fields)?;
        Some(Self {
            sources,
            target,
            cwd,
            ends,
            options,
        })
    }
}

fn put_list(out: &mut Vec<u8>, list: &[Vec<u8>]) {
    put_u64(out, list.len() as u64);
    list.iter().for_each(|bytes| put_bytes(out, bytes));
}

fn take_list(fields: &mut Fields<'_>) -> Option<Vec<Vec<u8>>> {
    (0..fields.count(1)?).map(|_| Some(fields.bytes()?.to_vec())).collect()
}

/// The short name of a transfer: ten letters and digits that are not mistaken for one another, 50 bits of a hash of its
/// [`Identity`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TransferId(String);

/// A text that is no transfer's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a transfer's ID has ten characters of 0-9 and a-z without i, l, o and u")]
pub struct NotATransferId;

impl TransferId {
    const LEN: usize = 10;
    /// Crockford's base 32, in lower case.
    const LETTERS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

    fn letter(byte: u8) -> char {
        Self::LETTERS
            .get(usize::from(byte & 31))
            .copied()
            .unwrap_or(b'0')
            .into()
    }

    /// As text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TransferId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl FromStr for TransferId {
    type Err = NotATransferId;

    fn from_str(text: &str) -> Result<Self, NotATransferId> {
        let good = text.len() == Self::LEN && text.bytes().all(|byte| Self::LETTERS.contains(&byte));
        good.then(|| Self(text.to_owned())).ok_or(NotATransferId)
    }
}

/// The head of a journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// Which transfer it is.
    pub identity: Identity,
    /// When it was begun.
    pub started: UnixMillis,
    /// The program that began it, with its version.
    pub program: String,
    /// All of the request, in a form that only the caller understands, so that the command can be built again.
    pub request: Vec<u8>,
}

impl Header {
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        self.identity.encode(out);
        put_u64(out, self.started.0);
        put_bytes(out, self.program.as_bytes());
        put_bytes(out, &self.request);
    }

    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut fields = Fields(bytes);
        let header = Self {
            identity: Identity::decode(&mut fields)?,
            started: UnixMillis(fields.u64()?),
            program: str::from_utf8(fields.bytes()?).ok()?.to_owned(),
            request: fields.bytes()?.to_vec(),
        };
        fields.end(header)
    }
}
