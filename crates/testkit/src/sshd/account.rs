//! A user who exists for one server only.
//!
//! sshd runs in a mount namespace of its own in which `/etc/passwd`, `/etc/shadow`, `/etc/group` and `/etc/pam.d/sshd` are
//! files of the test.

use std::fs::Permissions;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

/// How a user proves who he is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Login {
    /// The user's key.
    Key,
    /// The method `password`, and no other.
    Password,
    /// The method `keyboard-interactive` asking for the password, and no other.
    KeyboardInteractive,
    /// The key, then a one-time code by `keyboard-interactive`.
    KeyThenCode,
}

/// A private account.
///
/// It is a stranger on this machine: it can write only to its home and to what a test opens to it, unless its number is 0.
#[derive(Clone, Debug)]
pub struct Account {
    name: String,
    uid: u32,
    shell: PathBuf,
    password: Option<String>,
    codes: Vec<String>,
    home_files: Vec<(PathBuf, Vec<u8>)>,
}

impl Default for Account {
    fn default() -> Self {
        Self {
            name: "tester".to_owned(),
            uid: 47_011,
            shell: "/bin/bash".into(),
            password: None,
            codes: vec![],
            home_files: vec![],
        }
    }
}

impl Account {
    /// `tester` with the number 47011, `/bin/bash`, an empty home and no password.
    pub fn new() -> Self {
        Self::default()
    }

    /// The login shell.
    #[must_use]
    pub fn shell(mut self, shell: impl Into<PathBuf>) -> Self {
        self.shell = shell.into();
        self
    }

    /// The user's number; 0 keeps the rights of root under the private name and home.
    #[must_use]
    pub fn uid(mut self, uid: u32) -> Self {
        self.uid = uid;
        self
    }

    /// The password.
    #[must_use]
    pub fn password(mut self, password: &str) -> Self {
        self.password = Some(password.to_owned());
        self
    }

    /// Codes that are accepted in this order, each once.
    #[must_use]
    pub fn one_time_codes(mut self, codes: &[&str]) -> Self {
        self.codes = codes.iter().map(|code| (*code).to_owned()).collect();
        self
    }

    /// A file in the home directory, such as a `.bashrc` that talks.
    #[must_use]
    pub fn home_file(mut self, name: impl Into<PathBuf>, content: impl Into<Vec<u8>>) -> Self {
        self.home_files.push((name.into(), content.into()));
        self
    }

    /// The login name.
    pub fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn owner(&self) -> u32 {
        self.uid
    }

    /// Makes the home directory and the files that replace those of `/etc`; gives the words that start a program among
    /// them.
    pub(super) fn prepare(&self, folder: &Path, home: &Path, login: Login) -> Result<Vec<String>> {
        ensure!(rustix::process::getuid().is_root(), "a private account needs root");
        self.make_home(home)?;
        let etc = folder.join("etc");
        std::fs::create_dir(&etc)?;
        let (name, uid) = (&self.name, self.uid);
        let line = format!(
            "{name}:x:{uid}:{uid}:test account:{}:{}\n",
            home.display(),
            self.shell.display()
        );
        // The first entry that fits counts, also for the number 0.
        write(
            &etc.join("passwd"),
            line + &std::fs::read_to_string("/etc/passwd")?,
            0o644,
        )?;
        write(
            &etc.join("group"),
            std::fs::read_to_string("/etc/group")? + &format!("{name}:x:{uid}:\n"),
            0o644,
        )?;
        let hash = match &self.password {
            Some(password) => crypt(password)?,
            // Not `!` nor `*LK*`: these lock the account for keys as well.
            None => "*".to_owned(),
        };
        write(
            &etc.join("shadow"),
            format!("{name}:{hash}:19000:0:99999:7:::\n"),
            0o640,
        )?;
        write(&etc.join("pam"), self.pam_rules(folder, login)?, 0o644)?;
        let mut binds = String::from("set -e\n");
        for (ours, theirs) in [
            ("passwd", "passwd"),
            ("group", "group"),
            ("shadow", "shadow"),
            ("pam", "pam.d/sshd"),
        ] {
            binds += &format!("mount --bind '{}' /etc/{theirs}\n", etc.join(ours).display());
        }
        binds += "exec \"$@\"";
        let words = [
            "unshare",
            "--mount",
            "--propagation",
            "private",
            "--",
            "/bin/sh",
            "-c",
            &binds,
            "sh",
        ];
        Ok(words.map(str::to_owned).to_vec())
    }

    fn make_home(&self, home: &Path) -> Result<()> {
        for (name, content) in &self.home_files {
            let path = home.join(name);
            if let Some(parent) = path.parent() {
                std::fs::create_dir_all(parent)?;
            }
            std::fs::write(&path, content).with_context(|| format!("cannot write `{}`", path.display()))?;
            chown(&path, Some(self.uid), Some(self.uid))?;
        }
        chown(home, Some(self.uid), Some(self.uid))?;
        Ok(())
    }

    fn pam_rules(&self, folder: &Path, login: Login) -> Result<String> {
        let check = match login {
            Login::KeyThenCode => format!(
                "pam_exec.so quiet expose_authtok {}",
                self.code_checker(folder)?.display()
            ),
            Login::Key | Login::Password | Login::KeyboardInteractive => "pam_unix.so".to_owned(),
        };
        // `pam_exec` has no say in setting credentials, and PAM takes silence for a refusal: hence the second line.
        let all = "required pam_permit.so";
        Ok(format!(
            "auth requisite {check}\nauth {all}\naccount {all}\nsession {all}\n"
        ))
    }

    /// A script that accepts the first line of a file once; PAM gives it the answer on standard input.
    fn code_checker(&self, folder: &Path) -> Result<PathBuf> {
        let codes = folder.join("codes");
        write(&codes, self.codes.join("\n") + "\n", 0o600)?;
        let script = format!(
            "#!/bin/sh\nexec 9<'{codes}'\nflock 9\ngiven=$(tr -d '\\000')\nwanted=$(head -n 1 '{codes}')\n\
             [ -n \"$wanted\" ] && [ \"$given\" = \"$wanted\" ] || exit 1\nsed -i 1d '{codes}'\n",
            codes = codes.display()
        );
        let path = folder.join("check-code");
        write(&path, script, 0o700)?;
        Ok(path)
    }
}

fn write(path: &Path, content: String, mode: u32) -> Result<()> {
    std::fs::write(path, content).with_context(|| format!("cannot write `{}`", path.display()))?;
    std::fs::set_permissions(path, Permissions::from_mode(mode))?;
    Ok(())
}

/// The SHA-512 crypt(3) hash that shadow(5) takes; perl is on every Debian, and the password is in no command line.
fn crypt(password: &str) -> Result<String> {
    use std::io::Write;
    let mut salt = [0; 8];
    getrandom::fill(&mut salt)?;
    let salt = salt
        .iter()
        .fold(String::from("$6$"), |salt, byte| salt + &format!("{byte:02x}"));
    let mut perl = Command::new("perl")
        .args(["-e", "$p = <STDIN>; chomp $p; print crypt($p, $ARGV[0])", &salt])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot start perl to hash a password")?;
    if let Some(mut input) = perl.stdin.take() {
        writeln!(input, "{password}")?;
    }
    let output = perl.wait_with_output()?;
    let hash = String::from_utf8(output.stdout)?;
    if !output.status.success() || !hash.starts_with(&salt) {
        bail!("perl made no password hash");
    }
    Ok(hash)
}
