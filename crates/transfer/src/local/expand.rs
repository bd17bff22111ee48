//! Globs in local sources.
//!
//! The shell has expanded most of them before we run; what still looks like one was quoted, or matched nothing. As in
//! scp: a name that exists is meant literally, whatever characters it has; a pattern that matches nothing is an error.

use rustix::fs::{Dir, Mode, OFlags};

use super::error::{FileError, Operation};
use crate::glob::{self, Pattern};

/// The paths that `pattern` stands for, in the order of their bytes.
///
/// # Errors
/// Nothing matches, or it is not a valid pattern. A path without pattern characters is returned as it is, also if nothing
/// stands there.
pub fn expand(pattern: &[u8]) -> Result<Vec<Vec<u8>>, FileError> {
    if !glob::is_pattern(pattern) || rustix::fs::lstat(pattern).is_ok() {
        return Ok(vec![pattern.to_vec()]);
    }
    let mut paths = vec![Vec::new()];
    let mut rest = pattern;
    while !rest.is_empty() {
        let (part, slashes, after) = next_part(rest);
        rest = after;
        if glob::is_wild(part) {
            let names = Pattern::new(part).map_err(|source| FileError::Pattern {
                pattern: pattern.to_vec(),
                source,
            })?;
            let mut longer = Vec::new();
            for path in &paths {
                longer.extend(matching(path, &names)?);
            }
            paths = longer;
        } else {
            let name = glob::unescape(part);
            for path in &mut paths {
                path.extend_from_slice(&name);
            }
        }
        for path in &mut paths {
            path.extend_from_slice(slashes);
        }
    }
    // Also takes out files where the pattern goes on as if they were directories.
    paths.retain(|path| rustix::fs::lstat(path).is_ok());
    paths.sort_unstable();
    if paths.is_empty() {
        return Err(FileError::NoMatch {
            pattern: pattern.to_vec(),
        });
    }
    Ok(paths)
}

/// The first name of a path, the slashes that follow, and what is left.
fn next_part(path: &[u8]) -> (&[u8], &[u8], &[u8]) {
    let name = path.iter().take_while(|&&byte| byte != b'/').count();
    let (name, rest) = path.split_at(name);
    let slashes = rest.iter().take_while(|&&byte| byte == b'/').count();
    let (slashes, rest) = rest.split_at(slashes);
    (name, slashes, rest)
}

/// The names in the directory `path` (which ends in a slash or is empty) that match, with the path before them. What is no
/// directory, or may not be read, has none.
fn matching(path: &[u8], names: &Pattern) -> Result<Vec<Vec<u8>>, FileError> {
    let dir = if path.is_empty() { b"." } else { path };
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let Ok(entries) = rustix::fs::open(dir, flags, Mode::empty()).and_then(Dir::new) else {
        return Ok(Vec::new());
    };
    let mut paths = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|error| FileError::io(dir, Operation::List, error))?;
        let name = entry.file_name().to_bytes();
        if name != b"." && name != b".." && names.is_shell_match(name) {
            paths.push([path, name].concat());
        }
    }
    Ok(paths)
}
