//! SSH keys and certificates made for one test by `ssh-keygen`.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::process::run;

/// Kinds of keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyKind {
    /// `ssh-ed25519`.
    Ed25519,
    /// `ssh-rsa` of 2048 bits.
    Rsa,
    /// `ecdsa-sha2-nistp256`.
    Ecdsa,
}

impl KeyKind {
    /// As `ssh-keygen -t` and file names call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ed25519 => "ed25519",
            Self::Rsa => "rsa",
            Self::Ecdsa => "ecdsa",
        }
    }

    fn bits(self) -> &'static str {
        match self {
            Self::Rsa => "2048",
            Self::Ed25519 | Self::Ecdsa => "256",
        }
    }
}

/// A key pair on disk.
#[derive(Clone, Debug)]
pub struct KeyPair {
    private: PathBuf,
}

impl KeyPair {
    /// Makes an unprotected pair: `path` and `path.pub`.
    pub fn generate(path: &Path, kind: KeyKind) -> Result<Self> {
        Self::generate_protected(path, kind, "")
    }

    /// Makes a pair whose private half needs `passphrase`.
    pub fn generate_protected(path: &Path, kind: KeyKind, passphrase: &str) -> Result<Self> {
        let mut command = Command::new("ssh-keygen");
        command.args([
            "-q",
            "-t",
            kind.name(),
            "-b",
            kind.bits(),
            "-C",
            "renkei-test",
            "-N",
            passphrase,
            "-f",
        ]);
        run(command.arg(path))?;
        Ok(Self {
            private: path.to_owned(),
        })
    }

    /// File of the private half.
    pub fn private(&self) -> &Path {
        &self.private
    }

    /// File of the public half.
    pub fn public(&self) -> PathBuf {
        with_suffix(&self.private, ".pub")
    }

    /// File of its certificate, where one was made by [`KeyPair::sign`].
    pub fn certificate(&self) -> PathBuf {
        with_suffix(&self.private, "-cert.pub")
    }

    /// Type and base64 of the public half, as known_hosts and authorized_keys have them, without the comment.
    pub fn public_line(&self) -> Result<String> {
        let path = self.public();
        let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read `{}`", path.display()))?;
        Ok(text.split_whitespace().take(2).collect::<Vec<_>>().join(" "))
    }

    /// With this pair as the authority, makes the certificate of `subject`: `NAME-cert.pub` beside it.
    pub fn sign(&self, subject: &KeyPair, role: Role, certificate: &Certificate, principal: &str) -> Result<PathBuf> {
        let role = if *certificate == Certificate::WrongType {
            role.opposite()
        } else {
            role
        };
        let mut command = Command::new("ssh-keygen");
        command.args(["-q", "-I", "renkei-test", "-s"]).arg(&self.private);
        if role == Role::Host {
            command.arg("-h");
        }
        command.args([
            "-n",
            if *certificate == Certificate::OtherPrincipal {
                "somebody-else"
            } else {
                principal
            },
        ]);
        command.args([
            "-V",
            if *certificate == Certificate::Expired {
                "-10d:-5d"
            } else {
                "-5m:+1d"
            },
        ]);
        if let Certificate::CriticalOption(name) = certificate {
            command.args(["-O", &format!("critical:{name}=x")]);
        }
        run(command.arg(subject.public()))?;
        Ok(subject.certificate())
    }
}

/// Whom a certificate is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// A server.
    Host,
    /// A user.
    User,
}

impl Role {
    fn opposite(self) -> Self {
        match self {
            Self::Host => Self::User,
            Self::User => Self::Host,
        }
    }
}

/// What a certificate is like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Certificate {
    /// Nothing is wrong with it.
    Valid,
    /// It ended five days ago.
    Expired,
    /// It names somebody else.
    OtherPrincipal,
    /// It is for a user where a host's is needed, or the other way round.
    WrongType,
    /// It carries this critical option, which nobody knows.
    CriticalOption(String),
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}
