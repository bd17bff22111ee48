//! A private, real OpenSSH server for one test.
//!
//! It has its own folder, port, keys, log and client configuration; any number can run beside one another. Started by root
//! it can also have a private account (see [`Account`]), in a mount namespace with its own `/etc/passwd`, so that nothing on
//! the machine changes. It is otherwise a stock server: limits such as `MaxStartups` are the defaults unless set.

mod account;
mod config;
mod server;

use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};

use anyhow::Result;

pub use account::{Account, Login};
pub use server::Sshd;

use crate::keys::{Certificate, KeyKind};

/// What answers `subsystem sftp`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Sftp {
    /// Debian's `sftp-server` as its own process.
    #[default]
    Stock,
    /// The one inside sshd.
    Internal,
    /// The one inside sshd, in a root-owned directory as its root; see [`Sshd::chroot_dir`].
    Chroot,
    /// This command line.
    Command(String),
    /// Nothing: the request is refused.
    Refused,
}

/// Says how the server shall be; see [`Sshd::builder`].
#[derive(Clone, Debug)]
pub struct Builder {
    options: Vec<String>,
    host_keys: Vec<KeyKind>,
    known_host_keys: Option<Vec<KeyKind>>,
    user_key: KeyKind,
    passphrase: String,
    sftp: Sftp,
    host_certificate: Option<Certificate>,
    user_certificate: Option<Certificate>,
    account: Option<Account>,
    login: Login,
    listen: IpAddr,
    port: Option<u16>,
    alias: String,
    launcher: Vec<String>,
}

impl Default for Builder {
    fn default() -> Self {
        Self {
            options: vec![],
            host_keys: vec![KeyKind::Ed25519],
            known_host_keys: None,
            user_key: KeyKind::Ed25519,
            passphrase: String::new(),
            sftp: Sftp::default(),
            host_certificate: None,
            user_certificate: None,
            account: None,
            login: Login::Key,
            listen: Ipv4Addr::LOCALHOST.into(),
            port: None,
            alias: "testhost".to_owned(),
            launcher: vec![],
        }
    }
}

impl Builder {
    /// A line of sshd_config, such as `MaxSessions 2`; it comes before all others, and the first one counts.
    #[must_use]
    pub fn option(mut self, line: impl Into<String>) -> Self {
        self.options.push(line.into());
        self
    }

    /// The kinds of host keys that the server has; Ed25519 unless said.
    #[must_use]
    pub fn host_keys(mut self, kinds: &[KeyKind]) -> Self {
        self.host_keys = kinds.to_vec();
        self
    }

    /// The kinds of host keys that known_hosts has; all of the server's unless said.
    #[must_use]
    pub fn known_host_keys(mut self, kinds: &[KeyKind]) -> Self {
        self.known_host_keys = Some(kinds.to_vec());
        self
    }

    /// The kind of the user's key and the passphrase of its file (empty for none).
    #[must_use]
    pub fn user_key(mut self, kind: KeyKind, passphrase: &str) -> Self {
        self.user_key = kind;
        self.passphrase = passphrase.to_owned();
        self
    }

    /// What serves SFTP.
    #[must_use]
    pub fn sftp(mut self, sftp: Sftp) -> Self {
        self.sftp = sftp;
        self
    }

    /// SFTP is served by this command line; no word of it may need quoting.
    #[must_use]
    pub fn subsystem(self, command: impl Into<String>) -> Self {
        self.sftp(Sftp::Command(command.into()))
    }

    /// SFTP is served from a directory as its root; needs root.
    #[must_use]
    pub fn chroot(self) -> Self {
        self.sftp(Sftp::Chroot)
    }

    /// SFTP is refused.
    #[must_use]
    pub fn no_sftp(self) -> Self {
        self.sftp(Sftp::Refused)
    }

    /// The host shows a certificate, and known_hosts has its authority but no host key.
    #[must_use]
    pub fn host_certificate(mut self, certificate: Certificate) -> Self {
        self.host_certificate = Some(certificate);
        self
    }

    /// The user has a certificate, the server trusts its authority and no key as such.
    #[must_use]
    pub fn user_certificate(mut self, certificate: Certificate) -> Self {
        self.user_certificate = Some(certificate);
        self
    }

    /// The user is a private account in place of whoever runs the test; needs root.
    #[must_use]
    pub fn account(mut self, account: Account) -> Self {
        self.account = Some(account);
        self
    }

    /// How the user logs in. All but [`Login::Key`] need an [`Account`].
    #[must_use]
    pub fn login(mut self, login: Login) -> Self {
        self.login = login;
        self
    }

    /// An account whose only way in is `password`.
    #[must_use]
    pub fn password_user(self, password: &str) -> Self {
        self.account(Account::new().password(password)).login(Login::Password)
    }

    /// The name of the host in the client configuration; `testhost` unless said.
    #[must_use]
    pub fn alias(mut self, name: &str) -> Self {
        self.alias = name.to_owned();
        self
    }

    /// Listens on `address` and `port` and is started through the words of `launcher`: for servers in another network
    /// namespace, where every port is free.
    #[must_use]
    pub(crate) fn elsewhere(mut self, address: IpAddr, port: u16, launcher: Vec<String>) -> Self {
        self.listen = address;
        self.port = Some(port);
        self.launcher = launcher;
        self
    }

    /// Starts the server and waits until it accepts connections.
    ///
    /// # Errors
    /// If sshd is not installed, does not like its configuration, or a part asked for needs root.
    pub fn start(self) -> Result<Sshd> {
        Sshd::start(self)
    }
}

/// Debian's `sftp-server`, or where other systems have it.
pub fn stock_sftp_server() -> Option<&'static Path> {
    [
        "/usr/lib/openssh/sftp-server",
        "/usr/libexec/openssh/sftp-server",
        "/usr/lib/ssh/sftp-server",
    ]
    .into_iter()
    .map(Path::new)
    .find(|path| path.exists())
}

fn sshd_program() -> PathBuf {
    ["/usr/sbin/sshd", "/usr/bin/sshd"]
        .map(PathBuf::from)
        .into_iter()
        .find(|path| path.exists())
        .unwrap_or("sshd".into())
}
