//! What a journal remembers of the command line, so that `--resume` can ask for the same copy again.
//!
//! The words are kept as they were typed and understood anew: that needs no second description of a request, and a
//! later version reads them as it would read them from a person.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// The version of the form.
const VERSION: u32 = 1;

/// A command line and where it was typed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recall {
    version: u32,
    program: Program,
    directory: Word,
    words: Vec<Word>,
}

/// Whose options the words are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Program {
    /// `renkei`.
    Renkei,
    /// `mscp`.
    Mscp,
}

/// A word as text where it is text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
enum Word {
    Text(String),
    Bytes(Vec<u8>),
}

/// Why a remembered command line cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RecallError {
    /// It is not of the form that is written here.
    #[error("the journal does not say which command it belongs to")]
    Form(#[source] serde_json::Error),
    /// A later version wrote it.
    #[error("the journal was written by a later version of renkei (form {0})")]
    Version(u32),
    /// It belongs to a command of the other name.
    #[error("the journal belongs to a copy that was started as `{}`", .0.name())]
    Program(Program),
    /// This version does not understand its options.
    #[error("the options that the journal remembers are not understood")]
    Words(#[source] clap::Error),
}

impl Program {
    /// As it is typed.
    pub fn name(self) -> &'static str {
        match self {
            Self::Renkei => "renkei",
            Self::Mscp => "mscp",
        }
    }
}

impl Recall {
    /// Remembers the words after the program's name, typed in `directory`.
    pub fn new(program: Program, directory: &Path, words: &[OsString]) -> Self {
        Self {
            version: VERSION,
            program,
            directory: directory.as_os_str().into(),
            words: words.iter().map(|word| word.as_os_str().into()).collect(),
        }
    }

    /// The bytes that the journal keeps.
    pub fn to_bytes(&self) -> Vec<u8> {
        // Strings, numbers and lists: nothing that serialising could refuse.
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Reads what [`to_bytes`](Self::to_bytes) wrote.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, RecallError> {
        let recall: Self = serde_json::from_slice(bytes).map_err(RecallError::Form)?;
        match recall.version {
            VERSION => Ok(recall),
            other => Err(RecallError::Version(other)),
        }
    }

    /// Whose options the words are.
    pub fn program(&self) -> Program {
        self.program
    }

    /// Where it was typed.
    pub fn directory(&self) -> PathBuf {
        OsString::from(&self.directory).into()
    }

    /// The command line, with the program's name.
    pub fn command_line(&self) -> Vec<OsString> {
        let name = OsString::from(self.program.name());
        std::iter::once(name)
            .chain(self.words.iter().map(OsString::from))
            .collect()
    }
}

impl From<&OsStr> for Word {
    fn from(word: &OsStr) -> Self {
        match word.to_str() {
            Some(text) => Self::Text(text.to_owned()),
            None => Self::Bytes(word.as_bytes().to_vec()),
        }
    }
}

impl From<&Word> for OsString {
    fn from(word: &Word) -> Self {
        match word {
            Word::Text(text) => text.into(),
            Word::Bytes(bytes) => Self::from_vec(bytes.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_come_back_as_they_were_typed() {
        let words = [OsString::from("cp"), OsString::from_vec(b"\xff".to_vec()), "h:ü".into()];
        let recall = Recall::new(Program::Renkei, Path::new("/d"), &words);
        let back = Recall::from_bytes(&recall.to_bytes()).unwrap();
        assert_eq!(back, recall);
        assert_eq!(back.command_line()[1..], words);
        assert_eq!(back.directory(), Path::new("/d"));
    }

    #[test]
    fn another_form_is_refused() {
        assert!(matches!(Recall::from_bytes(b"{}"), Err(RecallError::Form(_))));
        let later = br#"{"version":2,"program":"renkei","directory":"/","words":[]}"#;
        assert!(matches!(Recall::from_bytes(later), Err(RecallError::Version(2))));
    }
}
