//! known_hosts: which keys a host is known to have.
//!
//! Pure but for reading the files and adding a line. It gives a [`Verdict`]; whether an unknown key is taken, asked
//! about or refused is decided by who reads it.

mod certificate;
mod fuzz;
mod matching;
mod parse;
#[cfg(test)]
mod tests;

use std::io::{self, Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use russh::keys::{Certificate, PublicKey, PublicKeyBase64};

pub use certificate::CertificateError;
#[doc(hidden)]
pub use fuzz::fuzz_known_hosts;
pub use matching::Name;
pub use parse::{Hosts, Line, Marker, Place};

/// The largest known_hosts file that is read, in bytes; real ones of large sites are some hundred KB.
const LARGEST_FILE: u64 = 64 << 20;

/// The lines of all files, in order.
#[derive(Clone, Debug, Default)]
pub struct KnownHosts {
    lines: Vec<Line>,
}

/// What known_hosts says about a key that a host showed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The host is known by this key, or by an authority that certified it.
    Known,
    /// A `@revoked` line has the key, or the key that certified it.
    Revoked(Place),
    /// The host is known by another key of the same type.
    Changed(Place),
    /// The host is known, but only by keys of other types.
    OtherTypes(Place),
    /// Nothing is known about the host.
    Unknown,
    /// The host showed a certificate that does not count.
    Certificate(CertificateError),
}

/// What a host shows in the key exchange.
#[derive(Clone, Copy, Debug)]
pub enum HostKey<'a> {
    /// A bare key.
    Plain(&'a PublicKey),
    /// A certificate and who it must name.
    Certified {
        /// The certificate.
        certificate: &'a Certificate,
        /// The host name, or HostKeyAlias, that must be among its principals.
        host: &'a str,
        /// Seconds since 1970.
        now: u64,
    },
}

impl KnownHosts {
    /// Reads all that exist of `files`. One that cannot be read counts as empty, as for ssh: with a host unknown by
    /// that, the question or refusal follows.
    #[must_use]
    pub fn read(files: &[PathBuf]) -> Self {
        let mut known = Self::default();
        for file in files {
            let mut bytes = Vec::new();
            if let Ok(open) = std::fs::File::open(file)
                && open.take(LARGEST_FILE).read_to_end(&mut bytes).is_ok()
            {
                known.add(file, &bytes);
            }
        }
        known
    }

    /// Adds the lines of one file's content.
    pub fn add(&mut self, file: &Path, content: &[u8]) {
        for (index, bytes) in content.split(|byte| *byte == b'\n').enumerate() {
            let place = Place {
                file: file.to_owned(),
                line: index + 1,
            };
            self.lines.extend(
                std::str::from_utf8(bytes)
                    .ok()
                    .and_then(|text| parse::line(text, place)),
            );
        }
    }

    fn of<'a>(&'a self, name: &'a str, marker: Option<Marker>) -> impl Iterator<Item = &'a Line> {
        self.lines
            .iter()
            .filter(move |line| line.marker == marker && line.hosts.contain(name))
    }

    /// The types of the keys that the host is known by, without doubles, in the order of the files.
    #[must_use]
    pub fn key_types(&self, name: &Name) -> Vec<String> {
        let mut types = Vec::new();
        for line in std::iter::once(name.as_str())
            .chain(name.portless())
            .flat_map(|name| self.of(name, None))
        {
            if !types.contains(&line.key_type) {
                types.push(line.key_type.clone());
            }
        }
        types
    }

    /// Whether any authority may certify the host.
    #[must_use]
    pub fn has_authority(&self, name: &Name) -> bool {
        self.authorities(name).next().is_some()
    }

    fn authorities<'a>(&'a self, name: &'a Name) -> impl Iterator<Item = &'a Line> {
        let names = std::iter::once(name.as_str()).chain(name.portless());
        names.flat_map(|name| self.of(name, Some(Marker::Authority)))
    }

    /// What is known about `key` at the host `name`.
    #[must_use]
    pub fn verdict(&self, name: &Name, key: HostKey<'_>) -> Verdict {
        let shown = match key {
            HostKey::Plain(key) => vec![key.public_key_bytes()],
            HostKey::Certified { certificate, .. } => [certificate.public_key(), certificate.signature_key()]
                .map(|key| PublicKey::new(key.clone(), "").public_key_bytes())
                .into(),
        };
        let names = || std::iter::once(name.as_str()).chain(name.portless());
        let revoked = names()
            .flat_map(|name| self.of(name, Some(Marker::Revoked)))
            .find(|line| shown.contains(&line.key));
        if let Some(line) = revoked {
            return Verdict::Revoked(line.place.clone());
        }
        match key {
            HostKey::Certified { certificate, host, now } => {
                match certificate::check(certificate, host, self.authorities(name), now) {
                    Ok(()) => Verdict::Known,
                    Err(error) => Verdict::Certificate(error),
                }
            }
            HostKey::Plain(_) => shown.first().map_or(Verdict::Unknown, |key| self.plain(name, key)),
        }
    }

    fn plain(&self, name: &Name, key: &[u8]) -> Verdict {
        let key_type = parse::inner_type(key).unwrap_or_default();
        let mut other: Option<&Line> = None;
        for line in self.of(name.as_str(), None) {
            if line.key == key {
                return Verdict::Known;
            }
            // A line of the same type says more than one of another, so it is kept in preference.
            if other.is_none_or(|other| other.key_type.as_bytes() != key_type) {
                other = Some(line);
            }
        }
        // A matching key without the port is as good; one that differs there says nothing about this port.
        let portless = name
            .portless()
            .is_some_and(|name| self.of(name, None).any(|line| line.key == key));
        match other {
            _ if portless => Verdict::Known,
            Some(line) if line.key_type.as_bytes() == key_type => Verdict::Changed(line.place.clone()),
            Some(line) => Verdict::OtherTypes(line.place.clone()),
            None => Verdict::Unknown,
        }
    }
}

/// Whether a name is written as it is or hashed (HashKnownHosts).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameForm {
    /// Readable.
    Plain,
    /// As a keyed hash.
    Hashed,
}

/// Adds a line for `key` to `file`, which is made if need be.
///
/// # Errors
/// When the file cannot be written; nothing of the line is left then.
pub fn remember(file: &Path, name: &Name, form: NameForm, key: &PublicKey) -> io::Result<()> {
    use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
    let host = match form {
        NameForm::Plain => name.as_str().to_owned(),
        NameForm::Hashed => {
            let mut salt = [0_u8; 20];
            getrandom::fill(&mut salt).map_err(io::Error::other)?;
            matching::hashed(name.as_str(), &salt)
        }
    };
    if let Some(folder) = file.parent()
        && !folder.exists()
    {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    let mut open = std::fs::OpenOptions::new()
        .read(true)
        .append(true)
        .create(true)
        .mode(0o600)
        .open(file)?;
    let mut line = format!(
        "{host} {} {}\n",
        key.algorithm(),
        STANDARD.encode(key.public_key_bytes())
    );
    let mut last = [b'\n'];
    let about = open.metadata()?;
    // /dev/null is a common choice, and has no last byte.
    if about.is_file() && about.len() > 0 {
        open.seek(io::SeekFrom::End(-1))?;
        open.read_exact(&mut last)?;
    }
    if last != [b'\n'] {
        line.insert(0, '\n');
    }
    open.write_all(line.as_bytes())
}
