//! Lines of a known_hosts file, as sshd(8) describes them under SSH_KNOWN_HOSTS FILE FORMAT.
//!
//! A line that cannot be read counts as absent, as it does for ssh; it never makes another line invalid.

use std::path::PathBuf;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};

/// What stands before the host names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Marker {
    /// `@cert-authority`: the key signs certificates of these hosts.
    Authority,
    /// `@revoked`: the key must never be accepted for these hosts.
    Revoked,
}

/// Which hosts a line is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hosts {
    /// Patterns, in which `!` excludes.
    Patterns(Vec<String>),
    /// One name, as a keyed hash: HMAC-SHA1 of the name.
    Hashed {
        /// The key.
        salt: Vec<u8>,
        /// The 20 bytes of the code.
        code: Vec<u8>,
    },
}

/// Where a line stands, for messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file.
    pub file: PathBuf,
    /// Counted from one.
    pub line: usize,
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.file.display(), self.line)
    }
}

/// One entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Where it stands.
    pub place: Place,
    /// What it says of the key, if more than that the hosts have it.
    pub marker: Option<Marker>,
    /// The hosts.
    pub hosts: Hosts,
    /// The key's type by its name, `ssh-ed25519`.
    pub key_type: String,
    /// The key in the form of RFC 4253 section 6.6.
    pub key: Vec<u8>,
}

/// Reads one line; none for comments, empty lines and whatever has no such form.
pub(super) fn line(text: &str, place: Place) -> Option<Line> {
    let text = text.trim();
    if text.is_empty() || text.starts_with('#') {
        return None;
    }
    let mut fields = text.split_ascii_whitespace();
    let mut hosts = fields.next()?;
    let marker = match hosts {
        "@cert-authority" => Some(Marker::Authority),
        "@revoked" => Some(Marker::Revoked),
        _ if hosts.starts_with('@') => return None,
        _ => None,
    };
    if marker.is_some() {
        hosts = fields.next()?;
    }
    let hosts = match hosts.strip_prefix("|1|") {
        Some(hashed) => {
            let (salt, code) = hashed.split_once('|')?;
            let (salt, code) = (decode(salt)?, decode(code)?);
            if code.len() != 20 {
                return None;
            }
            Hosts::Hashed { salt, code }
        }
        None if hosts.starts_with('|') => return None,
        None => Hosts::Patterns(hosts.split(',').map(str::to_owned).collect()),
    };
    let key_type = fields.next()?.to_owned();
    let key = decode(fields.next()?)?;
    // The type is written twice; where the two differ the line is damaged.
    (inner_type(&key)? == key_type.as_bytes()).then_some(Line {
        place,
        marker,
        hosts,
        key_type,
        key,
    })
}

fn decode(text: &str) -> Option<Vec<u8>> {
    STANDARD.decode(text).or_else(|_| STANDARD_NO_PAD.decode(text)).ok()
}

/// The type that a key carries within itself.
pub(super) fn inner_type(key: &[u8]) -> Option<&[u8]> {
    let (length, rest) = key.split_first_chunk::<4>()?;
    rest.get(..usize::try_from(u32::from_be_bytes(*length)).ok()?)
}
