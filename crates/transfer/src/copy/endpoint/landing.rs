//! Where things land: scp's rules, as a pure function.
//!
//! Nothing here touches a file system. What stands at the target is looked up before and handed in.

/// What stands where the target was named, links followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Nothing.
    Nothing,
    /// A directory.
    Directory,
    /// A regular file.
    File,
    /// A device, FIFO or socket.
    Special,
}

/// A source as far as landing is concerned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arriving {
    /// The last name of its path.
    pub name: Vec<u8>,
    /// Whether it is a directory.
    pub is_dir: bool,
    /// Which of the sources as typed it came from; several when a glob matched several.
    pub typed: usize,
}

/// How the target was named.
#[derive(Clone, Debug)]
pub struct Target<'a> {
    /// As typed.
    pub path: &'a [u8],
    /// What stands there.
    pub standing: Standing,
    /// `-T`.
    pub contents: bool,
    /// `--update`, `--checksum` or `--delete`: a second run must land where the first did.
    pub repeatable: bool,
}

/// Where one source goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Landed {
    /// Its path at the target side.
    pub path: Vec<u8>,
    /// Where the source's own name was hung under the target: the last name of `path` then comes from the source, which
    /// is not trusted when it is a server's answer to a glob.
    pub named_by_source: bool,
}

/// Why a copy cannot land.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LandingError {
    /// Many sources into one file.
    #[error("several sources need a directory as target, and `{0}` is a file")]
    ManyIntoFile(String),
    /// A directory where a file stands.
    #[error("`{0}` is a file; a directory cannot be copied onto it")]
    DirectoryOntoFile(String),
    /// The target ends in `/` but is a file.
    #[error("`{0}` ends in `/` but is not a directory")]
    NotADirectory(String),
    /// `--update` and its kin with a directory need to know which of two places is meant.
    #[error(
        "with --update, --checksum or --delete say where `{name}` goes: `{target}/` copies it to `{target}/{name}`, -T copies its contents into `{target}`"
    )]
    Ambiguous {
        /// The source's last name.
        name: String,
        /// The target as typed.
        target: String,
    },
}

/// Whether the target has to be made as a directory first, and where each source goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Landing {
    /// This directory must be made (with no parents) before anything lands.
    pub make_dir: Option<Vec<u8>>,
    /// In the order of the sources.
    pub places: Vec<Landed>,
}

/// Decides where every source lands.
pub fn land(target: &Target<'_>, sources: &[Arriving]) -> Result<Landing, LandingError> {
    let shown = || renkei_types::printable::Printable(target.path).to_string();
    let slash = target.path.ends_with(b"/") && !target.path.is_empty();
    let exists_as_dir = target.standing == Standing::Directory;
    let exists_as_file = matches!(target.standing, Standing::File | Standing::Special);
    if slash && exists_as_file {
        return Err(LandingError::NotADirectory(shown()));
    }
    if sources.len() > 1 && exists_as_file {
        return Err(LandingError::ManyIntoFile(shown()));
    }
    if exists_as_file && sources.iter().any(|source| source.is_dir) {
        return Err(LandingError::DirectoryOntoFile(shown()));
    }
    if let (true, false, false, Some(dir)) = (
        target.repeatable,
        target.contents,
        slash,
        sources.iter().find(|source| source.is_dir),
    ) {
        return Err(LandingError::Ambiguous {
            name: renkei_types::printable::Printable(&dir.name).to_string(),
            target: shown(),
        });
    }
    let itself = || Landed {
        path: target.path.to_vec(),
        named_by_source: false,
    };
    // A source without a name of its own (`dir/.`) has its contents copied into the target.
    let below = |name: &[u8]| match name {
        b"." => itself(),
        _ => Landed {
            path: join(target.path, name),
            named_by_source: true,
        },
    };
    if target.contents {
        let many = sources.len() > 1 || slash || sources.iter().any(|source| source.is_dir);
        let make_dir = (many && !exists_as_dir).then(|| trimmed(target.path));
        let into_dir = exists_as_dir || make_dir.is_some();
        let place = |source: &Arriving| {
            if source.is_dir || !into_dir {
                itself()
            } else {
                below(&source.name)
            }
        };
        return Ok(Landing {
            make_dir,
            places: sources.iter().map(place).collect(),
        });
    }
    if exists_as_dir {
        return Ok(Landing {
            make_dir: None,
            places: sources.iter().map(|source| below(&source.name)).collect(),
        });
    }
    // From here on nothing, or a file that will be replaced, stands at the target.
    if slash || sources.len() > 1 {
        // One glob that matched several directories into a target that does not exist: their contents land together.
        let one_glob = !slash
            && sources
                .iter()
                .all(|source| source.is_dir && source.typed == sources[0].typed);
        let place = |source: &Arriving| if one_glob { itself() } else { below(&source.name) };
        return Ok(Landing {
            make_dir: Some(trimmed(target.path)),
            places: sources.iter().map(place).collect(),
        });
    }
    Ok(Landing {
        make_dir: None,
        places: sources.iter().map(|_| itself()).collect(),
    })
}

/// `dir` and `name` with one `/` between; an empty `dir` is the working or login directory.
pub fn join(dir: &[u8], name: &[u8]) -> Vec<u8> {
    let mut path = dir.to_vec();
    if !path.is_empty() && !path.ends_with(b"/") {
        path.push(b'/');
    }
    path.extend_from_slice(name);
    path
}

/// Without trailing slashes, but `/` stays.
pub fn trimmed(path: &[u8]) -> Vec<u8> {
    let mut end = path.len();
    while end > 1 && path[end - 1] == b'/' {
        end -= 1;
    }
    path[..end].to_vec()
}

/// The last name of a path as scp takes it: `a/b/` is `b`; none for `/`, `.` and `..`, whose contents are meant.
pub fn last_name(path: &[u8]) -> Option<&[u8]> {
    let mut end = path.len();
    while end > 0 && path[end - 1] == b'/' {
        end -= 1;
    }
    let path = &path[..end];
    let start = path.iter().rposition(|&byte| byte == b'/').map_or(0, |at| at + 1);
    match &path[start..] {
        b"" | b"." | b".." => None,
        name => Some(name),
    }
}

/// The directory part of a path: `.` when there is none.
pub fn parent(path: &[u8]) -> Vec<u8> {
    let path = trimmed(path);
    match path.iter().rposition(|&byte| byte == b'/') {
        None => b".".to_vec(),
        Some(0) => b"/".to_vec(),
        Some(at) => trimmed(&path[..at]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &str) -> Arriving {
        Arriving {
            name: name.into(),
            is_dir: false,
            typed: 0,
        }
    }

    fn dir(name: &str) -> Arriving {
        Arriving {
            name: name.into(),
            is_dir: true,
            typed: 0,
        }
    }

    fn paths(path: &str, standing: Standing, sources: &[Arriving]) -> Vec<String> {
        let target = Target {
            path: path.as_bytes(),
            standing,
            contents: false,
            repeatable: false,
        };
        let landing = land(&target, sources).unwrap();
        landing
            .places
            .iter()
            .map(|place| String::from_utf8(place.path.clone()).unwrap())
            .collect()
    }

    #[test]
    fn scps_rules() {
        use Standing::{Directory, File, Nothing};
        assert_eq!(paths("t", Nothing, &[file("a")]), ["t"]);
        assert_eq!(paths("t", File, &[file("a")]), ["t"]);
        assert_eq!(paths("t", Directory, &[file("a")]), ["t/a"]);
        assert_eq!(paths("t/", Nothing, &[file("a")]), ["t/a"]);
        assert_eq!(paths("t", Nothing, &[dir("d")]), ["t"]);
        assert_eq!(paths("t", Directory, &[dir("d")]), ["t/d"]);
        assert_eq!(paths("t", Nothing, &[file("a"), file("b")]), ["t/a", "t/b"]);
        assert_eq!(paths("", Directory, &[file("a")]), ["a"]);
    }

    #[test]
    fn what_has_no_name_is_copied_by_its_contents() {
        assert_eq!(paths("t", Standing::Directory, &[dir("."), file("a")]), ["t", "t/a"]);
        assert_eq!(paths("t/", Standing::Nothing, &[dir(".")]), ["t/"]);
    }

    #[test]
    fn one_glob_of_directories_into_nothing_lands_together() {
        assert_eq!(paths("t", Standing::Nothing, &[dir("d1"), dir("d2")]), ["t", "t"]);
        let mut second = dir("d2");
        second.typed = 1;
        assert_eq!(paths("t", Standing::Nothing, &[dir("d1"), second]), ["t/d1", "t/d2"]);
    }

    #[test]
    fn what_cannot_land_is_an_error_that_names_the_target() {
        let target = |standing, path| Target {
            path,
            standing,
            contents: false,
            repeatable: false,
        };
        let error = land(&target(Standing::File, b"t"), &[dir("d")]).unwrap_err();
        assert_eq!(error, LandingError::DirectoryOntoFile("t".into()));
        let error = land(&target(Standing::File, b"t/"), &[file("a")]).unwrap_err();
        assert_eq!(error, LandingError::NotADirectory("t/".into()));
        let error = land(&target(Standing::File, b"t"), &[file("a"), file("b")]).unwrap_err();
        assert_eq!(error, LandingError::ManyIntoFile("t".into()));
    }

    #[test]
    fn a_repeatable_copy_of_a_directory_says_where() {
        let mut target = Target {
            path: b"t",
            standing: Standing::Directory,
            contents: false,
            repeatable: true,
        };
        assert!(matches!(
            land(&target, &[dir("d")]),
            Err(LandingError::Ambiguous { .. })
        ));
        assert!(land(&target, &[file("a")]).is_ok());
        target.path = b"t/";
        assert_eq!(land(&target, &[dir("d")]).unwrap().places[0].path, b"t/d");
        target.contents = true;
        assert_eq!(land(&target, &[dir("d")]).unwrap().places[0].path, b"t/");
    }

    #[test]
    fn contents_go_into_the_target_whether_or_not_it_exists() {
        for standing in [Standing::Nothing, Standing::Directory] {
            let target = Target {
                path: b"t",
                standing,
                contents: true,
                repeatable: false,
            };
            let landing = land(&target, &[dir("d")]).unwrap();
            assert_eq!(landing.places[0].path, b"t");
            assert_eq!(landing.make_dir.is_some(), standing == Standing::Nothing);
        }
    }

    #[test]
    fn names_and_parents() {
        assert_eq!(last_name(b"a/b//"), Some(&b"b"[..]));
        assert_eq!(last_name(b"/"), None);
        assert_eq!(last_name(b"a/.."), None);
        assert_eq!(parent(b"a"), b".");
        assert_eq!(parent(b"/a"), b"/");
        assert_eq!(parent(b"a/b/"), b"a");
    }
}
