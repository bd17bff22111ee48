//! Texts of sshd_config, ssh_config and known_hosts.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::{Builder, Login, Sftp, stock_sftp_server};
use crate::keys::{KeyKind, KeyPair, Role};

/// Everything on disk that a server and its clients need.
#[derive(Debug)]
pub(super) struct Files {
    pub folder: PathBuf,
    pub host_keys: Vec<(KeyKind, KeyPair)>,
    pub user_key: KeyPair,
    pub authority: Option<KeyPair>,
}

impl Files {
    pub(super) fn make(builder: &Builder, folder: &Path, user: &str) -> Result<Self> {
        let mut host_keys = vec![];
        for kind in &builder.host_keys {
            let path = folder.join(format!("host_{}", kind.name()));
            host_keys.push((*kind, KeyPair::generate(&path, *kind)?));
        }
        let path = folder.join(format!("id_{}", builder.user_key.name()));
        let user_key = KeyPair::generate_protected(&path, builder.user_key, &builder.passphrase)?;
        let mut authority = None;
        if builder.host_certificate.is_some() || builder.user_certificate.is_some() {
            let key = KeyPair::generate(&folder.join("authority"), KeyKind::Ed25519)?;
            if let Some(certificate) = &builder.host_certificate {
                for (_, host_key) in &host_keys {
                    let names = format!("{},{},localhost", builder.listen, builder.alias);
                    key.sign(host_key, Role::Host, certificate, &names)?;
                }
            }
            if let Some(certificate) = &builder.user_certificate {
                key.sign(&user_key, Role::User, certificate, user)?;
            }
            authority = Some(key);
        }
        let authorized = if builder.user_certificate.is_some() {
            String::new()
        } else {
            user_key.public_line()? + "\n"
        };
        std::fs::write(folder.join("authorized_keys"), authorized)?;
        Ok(Self {
            folder: folder.to_owned(),
            host_keys,
            user_key,
            authority,
        })
    }

    /// Text of sshd_config.
    pub(super) fn sshd_config(&self, builder: &Builder, port: u16, chroot: Option<&Path>) -> Result<String> {
        let mut text = builder
            .options
            .iter()
            .fold(String::new(), |text, line| text + line + "\n");
        let mut set = |key: &str, value: &str| {
            text += &format!("{key} {value}\n");
        };
        set("Port", &port.to_string());
        set("ListenAddress", &builder.listen.to_string());
        set("PidFile", "none");
        set("LogLevel", "VERBOSE");
        // The folder lies in /tmp, which everybody may write.
        set("StrictModes", "no");
        set(
            "AuthorizedKeysFile",
            &self.folder.join("authorized_keys").display().to_string(),
        );
        set("PermitRootLogin", "yes");
        if builder.account.is_none() {
            // A bash that sshd starts reads `.bashrc`, unless it runs within another shell. What whoever runs the tests
            // has in theirs takes time, may wait for a lock, and is no business of a test.
            set("SetEnv", "SHLVL=1");
        }
        for (_, key) in &self.host_keys {
            set("HostKey", &key.private().display().to_string());
            if builder.host_certificate.is_some() {
                set("HostCertificate", &key.certificate().display().to_string());
            }
        }
        if let (Some(authority), Some(_)) = (&self.authority, &builder.user_certificate) {
            set("TrustedUserCAKeys", &authority.public().display().to_string());
        }
        let (pam, password, keyboard, methods) = match builder.login {
            Login::Key => ("no", "no", "no", "any"),
            Login::Password => ("no", "yes", "no", "password"),
            Login::KeyboardInteractive => ("yes", "no", "yes", "keyboard-interactive"),
            Login::KeyThenCode => ("yes", "no", "yes", "publickey,keyboard-interactive"),
        };
        set("UsePAM", pam);
        set("PasswordAuthentication", password);
        set("KbdInteractiveAuthentication", keyboard);
        set("AuthenticationMethods", methods);
        match &builder.sftp {
            Sftp::Refused => {}
            Sftp::Internal => set("Subsystem", "sftp internal-sftp"),
            Sftp::Command(command) => set("Subsystem", &format!("sftp {command}")),
            Sftp::Stock => {
                let server = stock_sftp_server().context("no sftp-server; is openssh-sftp-server installed?")?;
                set("Subsystem", &format!("sftp {}", server.display()));
            }
            Sftp::Chroot => {
                set("Subsystem", "sftp internal-sftp");
                set("ForceCommand", "internal-sftp");
                let chroot = chroot.context("no directory for the chroot")?;
                set("ChrootDirectory", &chroot.display().to_string());
            }
        }
        Ok(text)
    }

    /// Lines of known_hosts for a client that reaches the server at `port`.
    pub(super) fn known_hosts(&self, builder: &Builder, port: u16) -> Result<String> {
        let names = known_names(builder.listen, port);
        if let (Some(authority), Some(_)) = (&self.authority, &builder.host_certificate) {
            return Ok(format!("@cert-authority {names} {}\n", authority.public_line()?));
        }
        let mut text = String::new();
        for (kind, key) in &self.host_keys {
            if builder
                .known_host_keys
                .as_ref()
                .is_none_or(|known| known.contains(kind))
            {
                text += &format!("{names} {}\n", key.public_line()?);
            }
        }
        Ok(text)
    }

    /// Text of ssh_config with the host's alias and the server's own address.
    pub(super) fn ssh_config(&self, builder: &Builder, port: u16, user: &str) -> String {
        let (alias, address) = (&builder.alias, builder.listen);
        let mut names = format!("{alias} {address}");
        if address.is_loopback() {
            names += " localhost ::1";
        }
        format!(
            "Host {alias}\n  HostName {address}\n\nHost {names}\n  Port {port}\n  User {user}\n  IdentityFile {}\n  \
             IdentitiesOnly yes\n  IdentityAgent none\n  UserKnownHostsFile {}\n  GlobalKnownHostsFile none\n  \
             StrictHostKeyChecking yes\n  UpdateHostKeys no\n",
            self.user_key.private().display(),
            self.folder.join("known_hosts").display(),
        )
    }
}

/// A server's names in known_hosts, at loopback all that mean it.
pub(super) fn known_names(address: IpAddr, port: u16) -> String {
    if address.is_loopback() {
        ["127.0.0.1", "::1", "localhost"]
            .map(|name| host_name(name, port))
            .join(",")
    } else {
        host_name(&address.to_string(), port)
    }
}

/// A host as known_hosts writes it (sshd(8), "SSH_KNOWN_HOSTS FILE FORMAT").
fn host_name(name: &str, port: u16) -> String {
    if port == 22 {
        name.to_owned()
    } else {
        format!("[{name}]:{port}")
    }
}
