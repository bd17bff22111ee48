//! How each tool is called. Everyone gets the same client configuration and no tuning.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::case::{Data, Direction};
use super::place::Server;

/// The known tools.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// `renkei cp`, no flags.
    Renkei,
    /// `renkei cp --verify`.
    RenkeiVerify,
    /// `renkei cp --json`, which tells requests and the time between first and last byte.
    RenkeiJson,
    /// `scp`.
    Scp,
    /// `rsync -a`.
    Rsync,
    /// `rclone copy`.
    Rclone,
    /// The n-th `--peer`.
    Peer(usize),
}

impl Kind {
    /// Short, for a promise.
    pub fn word(self) -> &'static str {
        match self {
            Kind::Renkei | Kind::RenkeiVerify | Kind::RenkeiJson => "renkei cp",
            Kind::Scp => "scp",
            Kind::Rsync => "rsync -a",
            Kind::Rclone => "rclone",
            Kind::Peer(_) => "the peer",
        }
    }
}

/// A binary given with `--peer NAME=PATH`.
#[derive(Clone, Debug)]
pub struct Peer {
    /// For the table.
    pub name: String,
    /// Called as `PATH -r -q -F CONFIGURATION SOURCE TARGET`, which scp, mscp and `renkei cp` all understand.
    pub path: PathBuf,
}

impl std::str::FromStr for Peer {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Peer> {
        let (name, path) = text.split_once('=').context("write it as NAME=PATH")?;
        Ok(Peer {
            name: name.to_owned(),
            path: path.into(),
        })
    }
}

/// What the command lines need to know.
pub struct Programs {
    /// The release build.
    pub renkei: PathBuf,
    /// Others on demand.
    pub peers: Vec<Peer>,
}

/// One copy to be made.
#[derive(Clone, Copy)]
pub struct Errand<'a> {
    /// Where the server is.
    pub server: &'a Server,
    /// Which end is remote.
    pub direction: Direction,
    /// What is copied.
    pub data: Data,
    /// An existing file or directory.
    pub source: &'a Path,
    /// What does not exist yet and shall be the copy.
    pub target: &'a Path,
}

impl Programs {
    /// The name in the table.
    pub fn name(&self, kind: Kind) -> &str {
        match kind {
            Kind::Renkei => "renkei cp",
            Kind::RenkeiVerify => "renkei cp --verify",
            Kind::RenkeiJson => "renkei cp --json",
            Kind::Scp => "scp",
            Kind::Rsync => "rsync -a",
            Kind::Rclone => "rclone",
            Kind::Peer(index) => self.peers.get(index).map_or("?", |peer| &peer.name),
        }
    }

    /// The command line.
    pub fn words(&self, kind: Kind, errand: Errand<'_>) -> Vec<OsString> {
        let config = errand.server.config.as_os_str();
        match kind {
            Kind::Renkei => errand.scp_like(&[self.renkei.as_os_str(), "cp".as_ref(), "-F".as_ref(), config]),
            Kind::RenkeiVerify => errand.scp_like(&[
                self.renkei.as_os_str(),
                "cp".as_ref(),
                "--verify".as_ref(),
                "-F".as_ref(),
                config,
            ]),
            Kind::RenkeiJson => errand.scp_like(&[
                self.renkei.as_os_str(),
                "cp".as_ref(),
                "--json".as_ref(),
                "-F".as_ref(),
                config,
            ]),
            Kind::Scp => errand.scp_like(&["scp".as_ref(), "-r".as_ref(), "-q".as_ref(), "-F".as_ref(), config]),
            Kind::Peer(index) => {
                let path = self
                    .peers
                    .get(index)
                    .map(|peer| peer.path.as_path())
                    .unwrap_or(Path::new("false"));
                let mut words = vec![path.as_os_str()];
                if path
                    .file_name()
                    .is_some_and(|name| name.to_string_lossy().starts_with("renkei"))
                {
                    words.push("cp".as_ref());
                }
                words.extend(["-r".as_ref(), "-q".as_ref(), "-F".as_ref(), config]);
                errand.scp_like(&words)
            }
            Kind::Rsync => errand.rsync(),
            Kind::Rclone => errand.rclone(),
        }
    }
}

impl Errand<'_> {
    /// `program… SOURCE TARGET`, one of them with the host in front.
    fn scp_like(&self, program: &[&std::ffi::OsStr]) -> Vec<OsString> {
        let host = format!("{}:", self.server.host);
        let [source, target] = self.ends(&host, self.source.into(), self.target.into());
        program
            .iter()
            .map(|word| (*word).to_owned())
            .chain([source, target])
            .collect()
    }

    fn rsync(&self) -> Vec<OsString> {
        let mut shell = OsString::from("ssh -F ");
        shell.push(&self.server.config);
        let mut from = self.source.as_os_str().to_owned();
        if !matches!(self.data, Data::File(_)) {
            // For rsync a trailing slash means: the contents.
            from.push("/");
        }
        let host = format!("{}:", self.server.host);
        let [source, target] = self.ends(&host, from, self.target.into());
        vec!["rsync".into(), "-a".into(), "-e".into(), shell, source, target]
    }

    fn rclone(&self) -> Vec<OsString> {
        let verb = if matches!(self.data, Data::File(_)) {
            "copyto"
        } else {
            "copy"
        };
        let [source, target] = self.ends(":sftp:", self.source.into(), self.target.into());
        let server = self.server;
        // An empty configuration file name: nothing is read, nothing is written.
        let mut words: Vec<OsString> = vec![
            "rclone".into(),
            verb.into(),
            "--quiet".into(),
            "--config".into(),
            "".into(),
        ];
        words.extend(["--sftp-host".into(), server.address.ip().to_string().into()]);
        words.extend(["--sftp-port".into(), server.address.port().to_string().into()]);
        words.extend(["--sftp-user".into(), server.user.clone().into()]);
        words.extend(["--sftp-key-file".into(), server.identity.clone().into()]);
        words.extend(["--sftp-known-hosts-file".into(), server.known_hosts.clone().into()]);
        words.extend([source, target]);
        words
    }

    fn ends(&self, prefix: &str, source: OsString, target: OsString) -> [OsString; 2] {
        let remote = |path: OsString| {
            let mut word = OsString::from(prefix);
            word.push(path);
            word
        };
        match self.direction {
            Direction::Up => [source, remote(target)],
            Direction::Down => [remote(source), target],
        }
    }
}
