//! Passwords: asked at the terminal without echo, read from standard input, or made up. Never on the command line.

use std::io::{self, BufRead as _, Read as _};
use std::vec::IntoIter;

use renkei_transfer::ssh::{Echo, Prompt as _, PromptError, Terminal};

use super::failure::Failure;

/// The most bytes that are read from standard input.
const LONGEST_INPUT: u64 = 4096;
/// Without letters and digits that are taken for one another; 32 of them, so that a byte chooses evenly.
const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
/// Letters of a made-up password: 100 bits.
const LENGTH: usize = 20;

/// Where passwords come from.
pub enum Passwords {
    /// Asked for.
    Terminal,
    /// Lines that have been read.
    Lines(IntoIter<String>),
}

impl Passwords {
    /// Reads standard input, a password a line.
    pub fn of_standard_input() -> Result<Self, Failure> {
        let lines = io::stdin().lock().take(LONGEST_INPUT).lines();
        let lines: Vec<String> = lines.collect::<Result<_, _>>().map_err(Failure::Stream)?;
        Ok(Self::Lines(lines.into_iter()))
    }

    /// The next one.
    pub fn next(&mut self, question: &str) -> Result<String, Failure> {
        match self {
            Self::Terminal => ask(question, Echo::Off),
            Self::Lines(lines) => lines.next().ok_or(Failure::Input("password")),
        }
    }

    /// A new one, at the terminal typed twice.
    pub fn new_one(&mut self) -> Result<String, Failure> {
        match self {
            Self::Terminal => {
                let new = ask("new password: ", Echo::Off)?;
                let again = ask("new password again: ", Echo::Off)?;
                if new == again {
                    Ok(new)
                } else {
                    Err(Failure::Repetition)
                }
            }
            Self::Lines(lines) => lines.next().ok_or(Failure::Input("new password")),
        }
    }
}

/// Asks at the terminal.
pub fn ask(question: &str, echo: Echo) -> Result<String, Failure> {
    Terminal.ask(question, echo).map_err(|error| match error {
        PromptError::Declined => Failure::Declined,
        error => Failure::Question(error),
    })
}

/// One that nobody chose, easy to type: groups of four.
pub fn made_up() -> Result<String, Failure> {
    let mut bytes = [0; LENGTH];
    getrandom::fill(&mut bytes).map_err(Failure::Random)?;
    let mut password = String::with_capacity(LENGTH + LENGTH / 4);
    for (index, byte) in bytes.into_iter().enumerate() {
        if index > 0 && index % 4 == 0 {
            password.push('-');
        }
        password.push(char::from(LETTERS[usize::from(byte % 32)]));
    }
    Ok(password)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_made_up_password_is_typed_in_groups_and_never_the_same() {
        let password = made_up().unwrap();
        assert!(password.split('-').all(|group| group.len() == 4), "{password}");
        assert_eq!(password.split('-').count(), 5);
        assert_ne!(password, made_up().unwrap());
    }

    #[test]
    fn a_line_too_few_is_told() {
        let mut lines = Passwords::Lines(vec!["one".to_owned()].into_iter());
        assert_eq!(lines.next("").unwrap(), "one");
        assert!(matches!(lines.new_one(), Err(Failure::Input("new password"))));
    }
}
