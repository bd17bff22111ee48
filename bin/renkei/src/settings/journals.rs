//! Where journals are kept.

use std::ffi::OsString;
use std::path::PathBuf;

use super::UsageError;

/// `typed`, else `$XDG_STATE_HOME/renkei`, else `~/.local/state/renkei`.
pub fn directory(typed: Option<PathBuf>) -> Result<PathBuf, UsageError> {
    typed
        .or_else(|| default(std::env::var_os("XDG_STATE_HOME"), std::env::var_os("HOME")))
        .ok_or(UsageError::NoJournals)
}

/// The XDG Base Directory specification tells to ignore a path that is not absolute.
fn default(state: Option<OsString>, home: Option<OsString>) -> Option<PathBuf> {
    let absolute = |path: Option<OsString>| path.map(PathBuf::from).filter(|path| path.is_absolute());
    absolute(state)
        .or_else(|| absolute(home).map(|home| home.join(".local/state")))
        .map(|state| state.join("renkei"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_directory_wins_over_home() {
        let both = default(Some("/s".into()), Some("/h".into()));
        assert_eq!(both, Some("/s/renkei".into()));
        assert_eq!(default(None, Some("/h".into())), Some("/h/.local/state/renkei".into()));
        assert_eq!(default(None, None), None);
    }

    #[test]
    fn a_relative_state_directory_is_ignored() {
        let relative = default(Some("s".into()), Some("/h".into()));
        assert_eq!(relative, Some("/h/.local/state/renkei".into()));
    }
}
