//! Network namespaces of ours, and their settings in /proc/sys.

use std::path::Path;

use super::error::NetworkError;
use super::program::{Job, Space, job};

/// A file in /proc/sys, and what is to be in it.
pub(super) type Setting = (&'static str, &'static str);

/// Makes a namespace, if it cannot be entered.
pub(super) fn make(space: &Space) -> Result<(), NetworkError> {
    let name = space.name();
    let doing = format!("enter network namespace `{name}`");
    if space.run(job(&doing, &["true"])).is_ok() {
        return Ok(());
    }
    let own = Space::own();
    if space.path().exists() {
        // A file without anything mounted on it.
        remove(space)?;
    }
    let doing = format!("make network namespace `{name}`");
    own.run(job(&doing, &["ip", "netns", "add", name])).map(drop)
}

/// Removes a namespace with all that is in it. That there is none is fine.
pub(super) fn remove(space: &Space) -> Result<(), NetworkError> {
    if !space.path().exists() {
        return Ok(());
    }
    let doing = format!("remove network namespace `{}`", space.name());
    let words = ["ip", "netns", "del", space.name()];
    Space::own().run(job(&doing, &words)).map(drop)
}

/// Sets what is otherwise. What the kernel does not have is not there to be set: without br_netfilter, or without IPv6.
pub(super) fn set(space: &Space, settings: &[Setting]) -> Result<(), NetworkError> {
    let there: Vec<Setting> = settings
        .iter()
        .copied()
        .filter(|(file, _)| Path::new(file).exists())
        .collect();
    if there.is_empty() {
        return Ok(());
    }
    let doing = format!("see the settings of network namespace `{}`", space.name());
    let words: Vec<&str> = ["cat"].into_iter().chain(there.iter().map(|(file, _)| *file)).collect();
    let answer = space.run(job(&doing, &words))?;
    let answer = String::from_utf8_lossy(&answer);
    let wrong: Vec<Setting> = there
        .iter()
        .zip(answer.lines())
        .filter(|((_, value), is)| value != is)
        .map(|(setting, _)| *setting)
        .collect();
    // Those that follow one another with one value are written at once.
    for some in wrong.chunk_by(|one, other| one.1 == other.1) {
        let Some((_, value)) = some.first() else { continue };
        let files: Vec<&str> = some.iter().map(|(file, _)| *file).collect();
        let doing = format!(
            "set {} of network namespace `{}` to {value}",
            files.join(", "),
            space.name()
        );
        let words: Vec<&str> = ["tee"].into_iter().chain(files).collect();
        space.run(Job {
            doing: &doing,
            words: &words,
            input: value,
        })?;
    }
    Ok(())
}
