//! Standard input, read by a thread of its own: a read cannot be given up, and must not keep the process from ending.

use std::io::{self, Read as _};
use std::thread;

use tokio::sync::mpsc;

/// Ctrl-], as of telnet and `virsh console`.
const LEAVE: u8 = 0x1d;
/// The most bytes that are read at once.
const AT_ONCE: usize = 4096;
/// Pieces that were read and not taken yet.
const WAITING: usize = 4;

/// Whose keys they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keys {
    /// A person's, who leaves with Ctrl-].
    OfPerson,
    /// A program's: every byte is for the machine.
    AsTheyAre,
}

/// What was typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Typed {
    /// These.
    Keys(Vec<u8>),
    /// The person leaves.
    Leave,
    /// There is nothing more.
    End,
}

/// See the module.
pub struct Keyboard {
    read: mpsc::Receiver<io::Result<Vec<u8>>>,
    keys: Keys,
    /// The person has left, and what was typed before that is on its way.
    leaves: bool,
}

impl Keyboard {
    /// Begins to read.
    pub fn start(keys: Keys) -> io::Result<Self> {
        let (sender, read) = mpsc::channel(WAITING);
        thread::Builder::new().name("keyboard".to_owned()).spawn(move || {
            let mut input = io::stdin().lock();
            let mut bytes = vec![0; AT_ONCE];
            loop {
                let piece = match input.read(&mut bytes) {
                    Ok(0) => return,
                    Ok(read) => Ok(bytes[..read].to_vec()),
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                    Err(error) => Err(error),
                };
                if sender.blocking_send(piece).is_err() {
                    return;
                }
            }
        })?;
        let leaves = false;
        Ok(Self { read, keys, leaves })
    }

    /// The next keys. May be dropped at any moment.
    pub async fn next(&mut self) -> io::Result<Typed> {
        if self.leaves {
            return Ok(Typed::Leave);
        }
        let Some(piece) = self.read.recv().await else {
            return Ok(Typed::End);
        };
        let (typed, leaves) = understood(self.keys, piece?);
        self.leaves = leaves;
        Ok(typed)
    }
}

/// What is meant by some bytes, and whether the person leaves after it.
fn understood(keys: Keys, mut bytes: Vec<u8>) -> (Typed, bool) {
    let leave = bytes.iter().position(|byte| *byte == LEAVE);
    match leave.filter(|_| keys == Keys::OfPerson) {
        None => (Typed::Keys(bytes), false),
        Some(0) => (Typed::Leave, true),
        Some(at) => {
            bytes.truncate(at);
            (Typed::Keys(bytes), true)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_person_leaves_with_a_key_and_a_program_does_not() {
        let typed = |keys, bytes: &[u8]| understood(keys, bytes.to_vec());
        assert_eq!(typed(Keys::OfPerson, b"ls\r"), (Typed::Keys(b"ls\r".to_vec()), false));
        assert_eq!(typed(Keys::OfPerson, b"\x1d"), (Typed::Leave, true));
        assert_eq!(typed(Keys::OfPerson, b"ls\x1dx"), (Typed::Keys(b"ls".to_vec()), true));
        let bytes = b"a\x1db".to_vec();
        assert_eq!(typed(Keys::AsTheyAre, &bytes), (Typed::Keys(bytes), false));
    }
}
