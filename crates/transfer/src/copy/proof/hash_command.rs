//! Hashes of files at a server, computed there: `b3sum` or `sha256sum` over an SSH channel.
//!
//! One process for many files. No name stands in the command line: names go NUL-separated through standard input, and the
//! answers are matched by their order. Login shells talk, lack programs, or are not shells at all, so nothing is believed
//! that is not exactly as expected: a known hash first, then as many lines as names, each with a hash, and exit code 0.
//! Whatever is odd is no error here; the caller reads the files back.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;

use bytes::Bytes;
use renkei_ssh::{ByteReceiver, ChannelEnd, ConnectErrorKind};
use renkei_types::tree_hash::hash_whole;
use tokio::sync::OnceCell;

use crate::copy::endpoint::landing::join;
use crate::copy::server::{Line, Server};

/// Asked for before all others; its hash is known.
const EMPTY: &[u8] = b"/dev/null";
/// Digits of a hash.
const DIGITS: usize = 64;
/// The end of a line.
const END: usize = 1;
/// Names sent at once.
const CHUNK: usize = 32 << 10;
/// How long the first answer may take, which is about an empty file.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often a command is run anew when its connection is lost.
const ATTEMPTS: usize = 5;
/// After so many odd answers nothing more is asked: a login node may end what computes for long.
const MOST_ODD: u32 = 3;

/// What such a program says of a file.
pub type Digest = [u8; 32];

/// A program that servers have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    /// Gives the hash that is known of everything that was read.
    B3sum,
    /// Nearly everywhere; what it says can be compared only with a second reading of the source.
    Sha256sum,
}

impl Program {
    /// No word of it needs quoting, in any shell.
    fn command(self) -> &'static str {
        match self {
            Self::B3sum => "xargs -0 b3sum --no-names --",
            Self::Sha256sum => "xargs -0 sha256sum --",
        }
    }

    /// What it says of [`EMPTY`].
    fn first_line(self) -> Vec<u8> {
        match self {
            Self::B3sum => format!("{}\n", hash_whole(&[])).into_bytes(),
            Self::Sha256sum => {
                let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
                [empty.as_bytes(), b"  ", EMPTY, b"\n"].concat()
            }
        }
    }

    /// The longest line for a path of so many bytes.
    fn most(self, path: usize) -> usize {
        match self {
            Self::B3sum => DIGITS + END,
            // A backslash, two spaces, and the name with what GNU coreutils escapes in it.
            Self::Sha256sum => 1 + DIGITS + 2 + 2 * path + END,
        }
    }

    /// Reads a line without its end.
    fn digest(self, line: &[u8]) -> Option<Digest> {
        let digits = match self {
            Self::B3sum => line,
            Self::Sha256sum => {
                // In front of a name in which something is escaped stands a backslash (md5sum(1)).
                let line = line.strip_prefix(b"\\").unwrap_or(line);
                let (digits, name) = line.split_at_checked(DIGITS)?;
                let is_named = name.starts_with(b"  ") || name.starts_with(b" *");
                is_named.then_some(digits)?
            }
        };
        let hash: renkei_types::tree_hash::Root = std::str::from_utf8(digits).ok()?.parse().ok()?;
        Some(hash.0)
    }
}

/// A server that may be asked for hashes.
pub struct HashCommand {
    program: Program,
    server: Arc<Server>,
    /// The login directory.
    home: OnceCell<Vec<u8>>,
    odd: AtomicU32,
}

/// Why there are no hashes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Odd {
    /// The connection was lost.
    Lost,
    /// The command began well, and then came what should not.
    Answer,
    /// It did not even know the hash of nothing.
    Useless,
}

impl HashCommand {
    pub fn new(program: Program, server: Arc<Server>) -> Self {
        Self {
            program,
            server,
            home: OnceCell::new(),
            odd: AtomicU32::new(0),
        }
    }

    /// Whether it is still worth asking.
    pub fn is_usable(&self) -> bool {
        self.odd.load(Relaxed) < MOST_ODD
    }

    /// The hashes of all these files, or none.
    pub async fn hashes(&self, paths: &[Vec<u8>]) -> Option<Vec<Digest>> {
        for _ in 0..ATTEMPTS {
            let line = self.server.any_line().await.ok()?;
            let odd = match self.ask(&line, paths).await {
                Ok(hashes) => return Some(hashes),
                Err(odd) => odd,
            };
            match odd {
                // The session notices a moment later than the channel.
                Odd::Lost => tokio::time::sleep(Duration::from_millis(100)).await,
                Odd::Answer | Odd::Useless => {
                    log::debug!("the server's {:?} answers oddly ({odd:?})", self.program);
                    let weight = if odd == Odd::Useless { MOST_ODD } else { 1 };
                    self.odd.fetch_add(weight, Relaxed);
                    return None;
                }
            }
        }
        None
    }

    /// Runs the command once.
    async fn ask(&self, line: &Line, paths: &[Vec<u8>]) -> Result<Vec<Digest>, Odd> {
        let command = self.program.command();
        let (channel, input) = tokio::join!(line.connection.exec(command), self.input(line, paths));
        let channel = channel.map_err(|error| match error.kind() {
            ConnectErrorKind::Lost => Odd::Lost,
            _ => Odd::Useless,
        })?;
        let mut input = input?;
        // Every name has its end in the input.
        let most = paths.len() * self.program.most(0) + 2 * input.len();
        let (mut tx, mut rx) = channel.split();
        let send = async {
            while !input.is_empty() {
                // A command that ends without reading shows in its answer.
                if tx.send(input.split_to(input.len().min(CHUNK))).await.is_err() {
                    break;
                }
            }
            let _ = tx.finish().await;
            Ok(())
        };
        let ((), answer) = tokio::try_join!(send, receive(&mut rx, self.program, most))?;
        match rx.end() {
            ChannelEnd::Lost => Err(Odd::Lost),
            ChannelEnd::Closed(Some(exit)) if exit.is_success() => {
                parse(self.program, &answer, paths.len()).ok_or(Odd::Answer)
            }
            _ => Err(Odd::Answer),
        }
    }

    /// All names, each with a NUL behind it.
    async fn input(&self, line: &Line, paths: &[Vec<u8>]) -> Result<Bytes, Odd> {
        let is_relative = |path: &Vec<u8>| !path.starts_with(b"/");
        let home = if paths.iter().any(is_relative) {
            let ask = || async {
                let home = line.sftp.realpath(b".").await;
                let home = home.map_err(|error| if error.is_transient() { Odd::Lost } else { Odd::Useless })?;
                if home.starts_with(b"/") {
                    Ok(home.to_vec())
                } else {
                    Err(Odd::Useless)
                }
            };
            self.home.get_or_try_init(ask).await?.as_slice()
        } else {
            b""
        };
        let mut input = [EMPTY, b"\0"].concat();
        for path in paths {
            input.extend_from_slice(&absolute(home, path));
            input.push(0);
        }
        Ok(input.into())
    }
}

/// What the command writes, when it begins as it should.
async fn receive(rx: &mut ByteReceiver, program: Program, most: usize) -> Result<Vec<u8>, Odd> {
    let first = program.first_line();
    let mut answer = Vec::new();
    while answer.len() < first.len() {
        let Ok(data) = tokio::time::timeout(PATIENCE, rx.recv()).await else {
            return Err(Odd::Useless);
        };
        let Some(data) = data else { break };
        answer.extend_from_slice(&data);
    }
    if *rx.end() == ChannelEnd::Lost {
        return Err(Odd::Lost);
    }
    if !answer.starts_with(&first) {
        return Err(Odd::Useless);
    }
    while let Some(data) = rx.recv().await {
        answer.extend_from_slice(&data);
        if answer.len() > first.len() + most {
            return Err(Odd::Answer);
        }
    }
    answer.drain(..first.len());
    Ok(answer)
}

/// `count` lines, each in the program's form.
fn parse(program: Program, answer: &[u8], count: usize) -> Option<Vec<Digest>> {
    let lines = answer.split_inclusive(|&byte| byte == b'\n');
    let digests = lines.map(|line| program.digest(line.strip_suffix(b"\n")?));
    let digests: Vec<Digest> = digests.collect::<Option<_>>()?;
    (digests.len() == count).then_some(digests)
}

/// SFTP begins where the shell does, in the login directory; but a shell may have gone elsewhere since.
fn absolute(home: &[u8], path: &[u8]) -> Vec<u8> {
    if path.starts_with(b"/") {
        path.to_vec()
    } else {
        join(home, path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_hashes_in_the_right_number_are_an_answer() {
        let hash = hash_whole(b"x");
        let one = format!("{hash}\n");
        let parse = |answer: &[u8], count| parse(Program::B3sum, answer, count);
        assert_eq!(parse(one.as_bytes(), 1), Some(vec![hash.0]));
        assert_eq!(parse(one.repeat(2).as_bytes(), 2), Some(vec![hash.0; 2]));
        for (answer, count) in [
            (one.clone(), 2),
            (one.repeat(2), 1),
            (format!("Welcome!\n{hash}\n"), 1),
            (format!("{hash} "), 1),
            (format!("{hash}"), 1),
            ("g".repeat(64) + "\n", 1),
        ] {
            assert_eq!(parse(answer.as_bytes(), count), None, "{answer}");
        }
    }

    #[test]
    fn names_behind_the_hashes_are_read_over_escaped_or_not() {
        let hash = hash_whole(b"x");
        let parse = |answer: String, count| parse(Program::Sha256sum, answer.as_bytes(), count);
        let odd = format!("{hash}  /a b\n\\{hash}  /c\\nd\n{hash} */e\n");
        assert_eq!(parse(odd, 3), Some(vec![hash.0; 3]));
        for answer in [
            format!("{hash}\n"),
            format!("{hash}  /a\n/b\n"),
            format!("sha256sum: {hash}  /a\n"),
            format!("{hash}  /a"),
        ] {
            assert_eq!(parse(answer.clone(), 1), None, "{answer}");
        }
    }

    #[test]
    fn every_name_is_absolute() {
        assert_eq!(absolute(b"/home/u", b"-rf"), b"/home/u/-rf");
        assert_eq!(absolute(b"/", b"./a"), b"/./a");
        assert_eq!(absolute(b"/home/u", b"/data/a"), b"/data/a");
    }
}
