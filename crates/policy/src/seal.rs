//! The master key: seals what must be kept so that it can be read again, signing keys and the hub's own CA key.
//!
//! It lies outside the database, so that whoever has only the database has none of these. A text of keys has one a line,
//! 32 bytes in base64: the first one seals, all of them open, so that a new one can be put on top while what the others
//! have sealed is still there. AES-256-GCM with a random nonce; what a secret is for goes into the seal, so that it cannot
//! be put into another's place.
//!
//! Reading the text from a file is the hub's work.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use crate::secret::{NoRandomness, sha256};

/// Bytes of a key.
const LENGTH: usize = 32;
/// Bytes of a key's hash by which it is known.
const KNOWN_BY: usize = 8;

/// The keys of a hub. Clones are the same.
#[derive(Clone, Default)]
pub struct MasterKey(Arc<[Key]>);

struct Key {
    id: String,
    bytes: [u8; LENGTH],
}

/// A sealed secret, as it is kept.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sealed {
    /// Which key sealed it: the beginning of a hash of the key, hexadecimal.
    pub key_id: String,
    /// Base64.
    pub nonce: String,
    /// With its tag, base64.
    pub ciphertext: String,
}

/// A text that holds no keys. Never holds the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAMasterKey {
    /// Nothing at all.
    #[error("there is no key in it")]
    Empty,
    /// Not base64 of 32 bytes.
    #[error("line {line} is not a key: {LENGTH} bytes in base64")]
    Line {
        /// Which line, from 1.
        line: usize,
    },
}

/// A secret cannot be sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotSealed {
    /// The hub has none.
    #[error("this hub has no master key")]
    NoKey,
    /// The cipher failed.
    #[error("the cipher does not work")]
    Cipher,
}

/// A sealed secret cannot be opened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotOpened {
    /// Another key sealed it.
    #[error("it was sealed with the master key `{sealed_with}`, and this hub has {}", named(.have))]
    OtherKey {
        /// The key that is needed.
        sealed_with: String,
        /// Those that are there.
        have: Vec<String>,
    },
    /// It was changed, or is that of something else.
    #[error("it is not as it was sealed with the master key `{sealed_with}`")]
    Changed {
        /// The key.
        sealed_with: String,
    },
}

fn named(ids: &[String]) -> String {
    if ids.is_empty() {
        return "none".to_owned();
    }
    let each: Vec<String> = ids.iter().map(|id| format!("`{id}`")).collect();
    each.join(", ")
}

impl MasterKey {
    /// A new one.
    ///
    /// # Errors
    ///
    /// When the system has no random bytes.
    pub fn generate() -> Result<Self, NoRandomness> {
        let mut bytes = [0; LENGTH];
        getrandom::fill(&mut bytes)?;
        Ok(Self([Key::new(bytes)].into()))
    }

    /// Reads a text of keys. Empty lines and such that begin with `#` count for nothing.
    ///
    /// # Errors
    ///
    /// When there is none, or a line is something else.
    pub fn parse(text: &str) -> Result<Self, NotAMasterKey> {
        let mut keys = Vec::new();
        for (number, line) in (1..).zip(text.lines().map(str::trim)) {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let bytes = STANDARD.decode(line).ok();
            let bytes = bytes.and_then(|bytes| <[u8; LENGTH]>::try_from(bytes).ok());
            keys.push(Key::new(bytes.ok_or(NotAMasterKey::Line { line: number })?));
        }
        if keys.is_empty() {
            return Err(NotAMasterKey::Empty);
        }
        Ok(Self(keys.into()))
    }

    /// The text that [`MasterKey::parse`] reads: the secret itself.
    pub fn reveal(&self) -> String {
        let line = |key: &Key| STANDARD.encode(key.bytes) + "\n";
        self.0.iter().map(line).collect()
    }

    /// By what its keys are known, the one that seals first.
    pub fn ids(&self) -> Vec<String> {
        self.0.iter().map(|key| key.id.clone()).collect()
    }

    /// Seals a secret. `purpose` says what it is for, and has to be said again to open it.
    ///
    /// # Errors
    ///
    /// When there is no key.
    pub fn seal(&self, purpose: &str, secret: &[u8]) -> Result<Sealed, NotSealed> {
        let key = self.0.first().ok_or(NotSealed::NoKey)?;
        let cipher = key.cipher().ok_or(NotSealed::Cipher)?;
        let mut text = secret.to_vec();
        let nonce = cipher
            .seal_in_place_append_tag(associated(purpose), &mut text)
            .map_err(|_| NotSealed::Cipher)?;
        Ok(Sealed {
            key_id: key.id.clone(),
            nonce: STANDARD.encode(nonce.as_ref()),
            ciphertext: STANDARD.encode(text),
        })
    }

    /// The secret that was sealed for this purpose.
    ///
    /// # Errors
    ///
    /// When another key is needed, or it is not what was sealed.
    pub fn open(&self, purpose: &str, sealed: &Sealed) -> Result<Vec<u8>, NotOpened> {
        let Some(key) = self.0.iter().find(|key| key.id == sealed.key_id) else {
            return Err(NotOpened::OtherKey {
                sealed_with: sealed.key_id.clone(),
                have: self.ids(),
            });
        };
        opened(key, purpose, sealed).ok_or_else(|| NotOpened::Changed {
            sealed_with: sealed.key_id.clone(),
        })
    }
}

fn opened(key: &Key, purpose: &str, sealed: &Sealed) -> Option<Vec<u8>> {
    let nonce = STANDARD.decode(&sealed.nonce).ok()?;
    let nonce = <[u8; NONCE_LEN]>::try_from(nonce).ok()?;
    let mut text = STANDARD.decode(&sealed.ciphertext).ok()?;
    let nonce = Nonce::assume_unique_for_key(nonce);
    let secret = key
        .cipher()?
        .open_in_place(nonce, associated(purpose), &mut text)
        .ok()?;
    Some(secret.to_vec())
}

fn associated(purpose: &str) -> Aad<Vec<u8>> {
    Aad::from(format!("renkei sealed 1\n{purpose}").into_bytes())
}

impl Key {
    fn new(bytes: [u8; LENGTH]) -> Self {
        let hash = sha256(&[b"renkei master key\n".as_slice(), &bytes].concat());
        let id = hash.iter().take(KNOWN_BY).map(|byte| format!("{byte:02x}")).collect();
        Self { id, bytes }
    }

    fn cipher(&self) -> Option<RandomizedNonceKey> {
        RandomizedNonceKey::new(&AES_256_GCM, &self.bytes).ok()
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("MasterKey").field(&self.ids()).finish()
    }
}

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sealed")
            .field("key_id", &self.key_id)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> MasterKey {
        MasterKey::generate().unwrap()
    }

    #[test]
    fn what_was_sealed_is_opened_for_the_same_purpose_only() {
        let key = key();
        let sealed = key.seal("signing key 1", b"secret").unwrap();
        assert_eq!(key.open("signing key 1", &sealed).unwrap(), b"secret");
        let (sealed_with, sealed) = (sealed.key_id.clone(), sealed);
        assert_eq!(
            key.open("signing key 2", &sealed).unwrap_err(),
            NotOpened::Changed { sealed_with }
        );
    }

    #[test]
    fn the_same_secret_is_never_sealed_the_same() {
        let key = key();
        let (one, two) = (key.seal("a", b"secret").unwrap(), key.seal("a", b"secret").unwrap());
        assert!(one.nonce != two.nonce && one.ciphertext != two.ciphertext);
    }

    #[test]
    fn what_was_changed_is_not_opened() {
        let key = key();
        let sealed = key.seal("a", b"secret").unwrap();
        let ciphertext = STANDARD.decode(&sealed.ciphertext).unwrap();
        for at in 0..ciphertext.len() {
            let mut other = ciphertext.clone();
            other[at] ^= 1;
            let other = Sealed {
                ciphertext: STANDARD.encode(other),
                ..sealed.clone()
            };
            assert!(key.open("a", &other).is_err(), "byte {at}");
        }
        let cut = Sealed {
            nonce: String::new(),
            ..sealed
        };
        assert!(key.open("a", &cut).is_err());
    }

    #[test]
    fn another_key_is_told_by_name() {
        let (old, other) = (key(), key());
        let sealed = old.seal("a", b"secret").unwrap();
        let told = other.open("a", &sealed).unwrap_err().to_string();
        assert!(told.contains(&old.ids()[0]) && told.contains(&other.ids()[0]), "{told}");
        assert!(
            MasterKey::default()
                .open("a", &sealed)
                .unwrap_err()
                .to_string()
                .ends_with("none")
        );
        assert_eq!(MasterKey::default().seal("a", b"secret"), Err(NotSealed::NoKey));
    }

    #[test]
    fn a_key_that_is_put_on_top_seals_and_the_one_below_still_opens() {
        let old = key();
        let sealed = old.seal("a", b"secret").unwrap();
        let both = MasterKey::parse(&format!("# since spring\n{}\n{}", key().reveal(), old.reveal())).unwrap();
        assert_eq!(both.open("a", &sealed).unwrap(), b"secret");
        let newer = both.seal("a", b"secret").unwrap();
        assert_eq!(newer.key_id, both.ids()[0]);
        assert!(old.open("a", &newer).is_err());
    }

    #[test]
    fn a_text_without_keys_is_refused_with_its_line() {
        assert_eq!(MasterKey::parse("\n# none\n").unwrap_err(), NotAMasterKey::Empty);
        let text = format!("{}QUJD\n", key().reveal());
        assert_eq!(MasterKey::parse(&text).unwrap_err(), NotAMasterKey::Line { line: 2 });
    }

    #[test]
    fn nothing_shows_a_secret() {
        let key = key();
        let sealed = key.seal("a", b"secret").unwrap();
        let shown = format!("{key:?} {sealed:?}");
        assert!(!shown.contains(key.reveal().trim()) && !shown.contains(&sealed.ciphertext));
        let kept = serde_json::to_string(&sealed).unwrap();
        assert_eq!(serde_json::from_str::<Sealed>(&kept).unwrap(), sealed);
    }
}
