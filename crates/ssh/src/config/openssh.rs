//! The configuration as the system's ssh reads it, by `ssh -G`.
//!
//! ssh applies Match, Include, canonical names and the site's file exactly; no other reader can be relied on to.

use std::process::Stdio;

use tokio::process::Command;
use tokio::sync::OnceCell;

use super::Pairs;
use crate::destination::Destination;
use crate::options::{Family, Options};

/// What ssh printed.
pub(super) struct Read {
    pub pairs: Pairs,
    /// What it prints with no configuration at all, by which a chosen list is told from a default one.
    pub defaults: Pairs,
}

/// Asks `ssh -G`; none if there is no ssh on this machine. The error is ssh's own text.
pub(super) async fn read(dest: &Destination, options: &Options) -> Result<Option<Read>, String> {
    static DEFAULTS: OnceCell<Pairs> = OnceCell::const_new();
    let mut asked = Command::new("ssh");
    asked.arg("-G").args(arguments(dest, options)).args(["--", &dest.host]);
    let mut bare = Command::new("ssh");
    bare.args(["-G", "-F", "none", "--", "host"]);
    let defaults = DEFAULTS.get_or_init(|| async { run(bare).await.ok().flatten().unwrap_or_default() });
    let (pairs, defaults) = tokio::join!(run(asked), defaults);
    Ok(pairs?.map(|pairs| Read {
        pairs,
        defaults: defaults.clone(),
    }))
}

/// The options in ssh's own form, all but the host.
pub(crate) fn arguments(dest: &Destination, options: &Options) -> Vec<std::ffi::OsString> {
    let mut args: Vec<std::ffi::OsString> = Vec::new();
    let mut pair = |flag: &str, value: &std::ffi::OsStr| {
        args.push(flag.into());
        args.push(value.to_owned());
    };
    if let Some(file) = &options.config_file {
        pair("-F", file.as_os_str());
    }
    for option in &options.options {
        pair("-o", option.as_ref());
    }
    for file in &options.identities {
        pair("-i", file.as_os_str());
    }
    let texts = [
        ("-J", options.jump.as_ref()),
        ("-l", dest.user.as_ref().or(options.login.as_ref())),
        ("-c", options.cipher.as_ref()),
        ("-m", options.mac.as_ref()),
    ];
    for (flag, text) in texts {
        if let Some(text) = text {
            pair(flag, text.as_ref());
        }
    }
    if let Some(port) = dest.port.or(options.port) {
        pair("-p", port.to_string().as_ref());
    }
    match options.family {
        Family::Any => {}
        Family::V4 => args.push("-4".into()),
        Family::V6 => args.push("-6".into()),
    }
    args
}

async fn run(mut command: Command) -> Result<Option<Pairs>, String> {
    let output = match command.stdin(Stdio::null()).kill_on_drop(true).output().await {
        Ok(output) => output,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(format!("cannot run `ssh -G`: {error}")),
    };
    if !output.status.success() {
        let text = String::from_utf8_lossy(&output.stderr);
        // Printed whenever standard input is no terminal, whatever else is wrong.
        let lines = text.lines().filter(|line| !line.starts_with("Pseudo-terminal"));
        let text = lines.collect::<Vec<_>>().join("; ");
        return Err(format!("ssh does not accept the configuration: {text}"));
    }
    Ok(Some(pairs(&String::from_utf8_lossy(&output.stdout))))
}

fn pairs(text: &str) -> Pairs {
    text.lines()
        .filter_map(|line| line.split_once(' '))
        .map(|(key, value)| (key.to_ascii_lowercase(), value.trim().to_owned()))
        .collect()
}
