//! `--files-from`: a list of names below the source.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use renkei_types::printable::Printable;

use super::UsageError;

/// What ends a name in the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Separator {
    /// A line end.
    Line,
    /// A NUL.
    Nul,
}

/// Reads the list from a file, or from standard input for `-`.
pub fn read(path: &Path, separator: Separator) -> Result<Vec<Vec<u8>>, UsageError> {
    let mut list = Vec::new();
    let read = if path.as_os_str() == OsStr::new("-") {
        io::stdin().lock().read_to_end(&mut list)
    } else {
        File::open(path).and_then(|mut file| file.read_to_end(&mut list))
    };
    read.map_err(|source| UsageError::FilesFrom {
        path: path.to_owned(),
        source,
    })?;
    parse(&list, separator)
}

/// Splits the list; names are relative to the source, as rsync's are: a leading `/` and `./` mean nothing.
fn parse(list: &[u8], separator: Separator) -> Result<Vec<Vec<u8>>, UsageError> {
    let end = match separator {
        Separator::Line => b'\n',
        Separator::Nul => b'\0',
    };
    let mut names = Vec::new();
    for typed in list.split(|&byte| byte == end).filter(|name| !name.is_empty()) {
        let parts = typed.split(|&byte| byte == b'/');
        let parts: Vec<&[u8]> = parts.filter(|part| !part.is_empty() && *part != b".").collect();
        if parts.contains(&&b".."[..]) || typed.contains(&0) {
            return Err(UsageError::FilesFromOutside(Printable(typed).to_string()));
        }
        if !parts.is_empty() {
            names.push(parts.join(&b'/'));
        }
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_made_relative_and_blank_lines_skipped() {
        let names = parse(b"a\n\n./b/c\n/d//e/\n.\nwith \r\n", Separator::Line).unwrap();
        assert_eq!(names, [&b"a"[..], b"b/c", b"d/e", b"with \r"]);
    }

    #[test]
    fn nul_lets_names_have_line_ends() {
        let names = parse(b"a\nb\0\xff\0", Separator::Nul).unwrap();
        assert_eq!(names, [&b"a\nb"[..], b"\xff"]);
    }

    #[test]
    fn a_name_that_leads_out_is_refused() {
        for list in [&b"../a\n"[..], b"a/../../b", b"a\0b\n"] {
            assert!(parse(list, Separator::Line).is_err());
        }
    }

    #[test]
    fn a_list_that_is_not_there_is_named() {
        let error = read(Path::new("/nonexistent/list"), Separator::Line).unwrap_err();
        assert!(error.to_string().contains("/nonexistent/list"));
    }
}
