//! What a machine says, for all who look on: one tape, on which each reads at a place of their own. It holds so much at most, so whoever
//! stays too far behind is left behind, and nobody waits for them.

use std::collections::VecDeque;

/// The most bytes on it: the log that newcomers begin with, and as much again three times for those who read slowly.
const LENGTH: usize = 4 * renkei_host::LONGEST_LOG;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Tape {
    bytes: VecDeque<u8>,
    /// How many bytes were on it before those that are.
    cut: u64,
    ended: bool,
}

/// What there is at a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// These bytes.
    Bytes(Vec<u8>),
    /// Nothing yet.
    Wait,
    /// Nothing any more.
    End,
    /// It is not on the tape any more.
    Behind,
}

impl Tape {
    /// That begins with what was said before.
    pub fn of(log: &[u8]) -> Self {
        let mut tape = Self::default();
        tape.write(log);
        tape
    }

    /// The machine says something.
    pub fn write(&mut self, bytes: &[u8]) {
        self.bytes.extend(bytes);
        let much = self.bytes.len().saturating_sub(LENGTH);
        self.bytes.drain(..much);
        self.cut += much as u64;
    }

    /// The machine says nothing any more.
    pub fn end(&mut self) {
        self.ended = true;
    }

    /// Whether there will be nothing more.
    pub fn has_ended(&self) -> bool {
        self.ended
    }

    /// Where newcomers begin: with what was said last.
    pub fn start(&self) -> u64 {
        let before = self.bytes.len().saturating_sub(renkei_host::LONGEST_LOG);
        self.cut + before as u64
    }

    /// Whether what comes at a place is not on it any more.
    pub fn has_passed(&self, place: u64) -> bool {
        place < self.cut
    }

    /// What comes at a place, at most so many bytes.
    pub fn read(&self, place: u64, most: usize) -> Next {
        let Some(skip) = place.checked_sub(self.cut).and_then(|skip| usize::try_from(skip).ok()) else {
            return Next::Behind;
        };
        let bytes: Vec<u8> = self.bytes.iter().skip(skip).take(most).copied().collect();
        match (bytes.is_empty(), self.ended) {
            (false, _) => Next::Bytes(bytes),
            (true, false) => Next::Wait,
            (true, true) => Next::End,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reads_at_their_own_place_and_in_turn() {
        let mut tape = Tape::of(b"log ");
        tape.write(b"live");
        assert_eq!(tape.read(0, 100), Next::Bytes(b"log live".to_vec()));
        assert_eq!(tape.read(6, 1), Next::Bytes(b"v".to_vec()));
        assert_eq!(tape.read(8, 1), Next::Wait);
        tape.write(b"!");
        tape.end();
        assert_eq!(
            tape.read(8, 1),
            Next::Bytes(b"!".to_vec()),
            "what was said is told to the end"
        );
        assert_eq!(tape.read(9, 1), Next::End);
    }

    #[test]
    fn newcomers_begin_with_the_last_and_the_slow_are_left_behind() {
        let mut tape = Tape::default();
        assert_eq!(tape.start(), 0);
        let piece = vec![b'x'; renkei_host::LONGEST_LOG];
        for _ in 0..4 {
            tape.write(&piece);
        }
        assert_eq!(tape.start(), 3 * piece.len() as u64);
        assert!(!tape.has_passed(0));
        tape.write(b"y");
        assert!(tape.has_passed(0) && !tape.has_passed(1));
        assert_eq!(tape.read(0, 1), Next::Behind);
        assert_eq!(tape.bytes.len(), LENGTH);
        let end = 4 * piece.len() as u64;
        assert_eq!(tape.read(end, 9), Next::Bytes(b"y".to_vec()));
    }
}
