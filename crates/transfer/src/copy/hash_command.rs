//! Hashes of files at a server, computed there: `b3sum` over an SSH channel.
//!
//! One process for many files. No name stands in the command line: names go NUL-separated through standard input, and the
//! answers are matched by their order. Login shells talk, lack programs, or are not shells at all, so nothing is believed
//! that is not exactly as expected: a known hash first, then as many lines as names, each a hash, and exit code 0. Whatever
//! is odd is no error here; the caller reads the files back.
//!
//! `sha256sum` is not used: what it says can be compared only with a second reading of the source, and reading back asks
//! nothing of the source.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;

use bytes::Bytes;
use renkei_ssh::sftp::Sftp;
use renkei_ssh::{ChannelEnd, ConnectErrorKind, Connection};
use renkei_types::tree_hash::{Root as Hash, hash_whole};
use tokio::sync::OnceCell;

use super::landing::join;
use super::server::Server;
use super::trouble::Trouble;

/// No word of it needs quoting, in any shell.
const COMMAND: &str = "xargs -0 b3sum --no-names --";
/// 64 digits and the end of the line.
const LINE: usize = 65;
/// Names sent at once.
const CHUNK: usize = 32 << 10;
/// How long a far shell may take to hash nothing.
const PROBE: Duration = Duration::from_secs(20);
/// How often a command is run anew when its connection is lost.
const ATTEMPTS: usize = 5;
/// After so many odd answers nothing more is asked: a login node may end what computes for long.
const MOST_ODD: u32 = 3;

/// A server that may be asked for hashes.
pub struct HashCommand {
    server: Arc<Server>,
    /// The login directory, once it is known that the command works; none if it does not.
    works: OnceCell<Option<Vec<u8>>>,
    odd: AtomicU32,
}

/// Why there are no hashes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Odd {
    /// The connection was lost.
    Lost,
    /// Anything but the answer that was to come.
    Answer,
}

impl HashCommand {
    pub fn new(server: Arc<Server>) -> Self {
        Self {
            server,
            works: OnceCell::new(),
            odd: AtomicU32::new(0),
        }
    }

    /// Whether it is still worth asking.
    pub fn is_usable(&self) -> bool {
        self.odd.load(Relaxed) < MOST_ODD && !matches!(self.works.get(), Some(None))
    }

    /// The hashes of all these files, or none.
    pub async fn hashes(&self, paths: &[Vec<u8>]) -> Option<Vec<Hash>> {
        if !self.is_usable() {
            return None;
        }
        let home = self.works.get_or_init(|| self.probe()).await.as_deref()?;
        let names: Vec<Vec<u8>> = paths.iter().map(|path| absolute(home, path)).collect();
        let hashes = self.ask(&names).await;
        if hashes.is_none() {
            self.odd.fetch_add(1, Relaxed);
        }
        hashes
    }

    /// The login directory, where the far side knows BLAKE3 and says nothing else.
    async fn probe(&self) -> Option<Vec<u8>> {
        let empty = [b"/dev/null".to_vec()];
        let asked = tokio::time::timeout(PROBE, self.ask(&empty));
        let home = self.server.run(|sftp: Sftp| async move {
            // Where this fails nothing can be asked; the reason does not matter.
            sftp.realpath(b".").await.map_err(Trouble::far("resolve", b"."))
        });
        let (asked, home) = tokio::join!(asked, home);
        let right = asked.ok().flatten() == Some(vec![hash_whole(&[])]);
        let home = home.ok().filter(|home| right && home.starts_with(b"/"));
        if home.is_none() {
            log::debug!("the server has no usable b3sum; files are read back");
        }
        home.map(|home| home.to_vec())
    }

    async fn ask(&self, names: &[Vec<u8>]) -> Option<Vec<Hash>> {
        for _ in 0..ATTEMPTS {
            let line = self.server.any_line().await.ok()?;
            match ask(&line.connection, names).await {
                Ok(hashes) => return Some(hashes),
                Err(Odd::Answer) => return None,
                // The session notices a moment later than the channel.
                Err(Odd::Lost) => tokio::time::sleep(Duration::from_millis(100)).await,
            }
        }
        None
    }
}

/// Runs the command once.
async fn ask(connection: &Connection, names: &[Vec<u8>]) -> Result<Vec<Hash>, Odd> {
    let channel = connection.exec(COMMAND).await.map_err(|error| match error.kind() {
        ConnectErrorKind::Lost => Odd::Lost,
        _ => Odd::Answer,
    })?;
    let mut input = names.join(&0);
    input.push(0);
    let (mut tx, mut rx) = channel.split();
    let send = async {
        let mut input = Bytes::from(input);
        while !input.is_empty() {
            // A command that ends without reading shows in its answer.
            if tx.send(input.split_to(input.len().min(CHUNK))).await.is_err() {
                break;
            }
        }
        let _ = tx.finish().await;
        Ok(())
    };
    let receive = async {
        let mut answer = Vec::new();
        while let Some(data) = rx.recv().await {
            answer.extend_from_slice(&data);
            if answer.len() > names.len() * LINE {
                return Err(Odd::Answer);
            }
        }
        Ok(answer)
    };
    let ((), answer) = tokio::try_join!(send, receive)?;
    match rx.end() {
        ChannelEnd::Lost => Err(Odd::Lost),
        ChannelEnd::Closed(Some(exit)) if exit.is_success() => parse(&answer, names.len()).ok_or(Odd::Answer),
        _ => Err(Odd::Answer),
    }
}

/// `count` lines, each a hash and nothing else.
fn parse(answer: &[u8], count: usize) -> Option<Vec<Hash>> {
    if answer.len() != count * LINE {
        return None;
    }
    let line = |line: &[u8]| std::str::from_utf8(line.strip_suffix(b"\n")?).ok()?.parse().ok();
    answer.chunks(LINE).map(line).collect()
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
        assert_eq!(parse(one.as_bytes(), 1), Some(vec![hash]));
        assert_eq!(parse(one.repeat(2).as_bytes(), 2), Some(vec![hash; 2]));
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
    fn every_name_is_absolute() {
        assert_eq!(absolute(b"/home/u", b"-rf"), b"/home/u/-rf");
        assert_eq!(absolute(b"/", b"./a"), b"/./a");
        assert_eq!(absolute(b"/home/u", b"/data/a"), b"/data/a");
    }
}
