//! What the command line says about connections, under ssh's own letters.
//!
//! Plain data: the meaning of an option is given where it is used.

use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// Which addresses of a host may be used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Family {
    /// What the configuration says, normally both.
    #[default]
    Any,
    /// IPv4 only (`-4`).
    V4,
    /// IPv6 only (`-6`).
    V6,
}

/// Options that hold for all connections of one command.
#[derive(Clone, Default)]
pub struct Options {
    /// `-F`: the configuration file to read in place of the user's and the system's.
    pub config_file: Option<PathBuf>,
    /// `-o`: options in the form of the configuration file.
    pub options: Vec<String>,
    /// `-i`: key files.
    pub identities: Vec<PathBuf>,
    /// `-J`: jump hosts, comma-separated, the first one first.
    pub jump: Option<String>,
    /// `-l`: the login name, where the destination names none.
    pub login: Option<String>,
    /// `-P`: the port, where the destination names none.
    pub port: Option<u16>,
    /// `-4`, `-6`.
    pub family: Family,
    /// Ciphers to offer, comma-separated, in order.
    pub cipher: Option<String>,
    /// MACs to offer, comma-separated, in order.
    pub mac: Option<String>,
    /// Compression: `none`, `zlib`, `zlib@openssh.com`, or `yes` and `no` as in the configuration file.
    pub compression: Option<String>,
    /// TCP congestion control of the first socket, by the kernel's name for it.
    pub congestion: Option<String>,
    /// Leave Nagle's algorithm on.
    pub nagle: bool,
    /// Use this program, called as ssh is, in place of the SSH in this crate. Split at spaces.
    pub ssh_command: Option<OsString>,
    /// How long connecting to one address, and the exchange of versions and keys, may take; zero: what the
    /// configuration says, else 30 s.
    pub connect_timeout: Duration,
    /// How often `-v` was given.
    pub verbose: u8,
    /// The password to use in place of a prompt; hidden in `Debug`.
    pub password: Option<String>,
    /// The passphrase of key files to use in place of a prompt; hidden in `Debug`.
    pub passphrase: Option<String>,
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hidden = |secret: &Option<String>| secret.as_ref().map(|_| "(hidden)");
        f.debug_struct("Options")
            .field("config_file", &self.config_file)
            .field("options", &self.options)
            .field("identities", &self.identities)
            .field("jump", &self.jump)
            .field("login", &self.login)
            .field("port", &self.port)
            .field("family", &self.family)
            .field("cipher", &self.cipher)
            .field("mac", &self.mac)
            .field("compression", &self.compression)
            .field("congestion", &self.congestion)
            .field("nagle", &self.nagle)
            .field("ssh_command", &self.ssh_command)
            .field("connect_timeout", &self.connect_timeout)
            .field("verbose", &self.verbose)
            .field("password", &hidden(&self.password))
            .field("passphrase", &hidden(&self.passphrase))
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_do_not_show_in_debug_output() {
        let options = Options {
            password: Some("correct horse".into()),
            passphrase: Some("battery staple".into()),
            ..Options::default()
        };
        let shown = format!("{options:?}");
        assert!(!shown.contains("horse") && !shown.contains("staple"), "{shown}");
    }
}
