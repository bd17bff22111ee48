//! What goes wrong while the small guest is built.

use std::io;
use std::path::PathBuf;

use crate::images::ImagesError;

/// Why the small guest is not built.
#[derive(Debug, thiserror::Error)]
pub enum SmallError {
    /// A program is not installed.
    #[error("the program `{program}` is not installed; it is in Debian's package `{package}`")]
    NoProgram {
        /// Which.
        program: &'static str,
        /// Where it is from.
        package: &'static str,
    },
    /// A program did not do its work.
    #[error("`{program}` failed: {said}")]
    Failed {
        /// With its first arguments.
        program: String,
        /// Its last words.
        said: String,
    },
    /// This computer's package sources do not have it.
    #[error("apt knows no package `{package}`: the small guest is made of Debian's packages for amd64")]
    NoPackage {
        /// Which.
        package: String,
    },
    /// The package sources cannot be reached.
    #[error("the package sources of this computer cannot be reached: {said}")]
    NoNetwork {
        /// What apt said.
        said: String,
    },
    /// A package is not as it should be.
    #[error("Debian's packages have no `{file}`")]
    NoFile {
        /// What was looked for.
        file: String,
    },
    /// A program of a package cannot be understood.
    #[error("`{}` is not a program or library for 64 bits", path.display())]
    NoElf {
        /// Which.
        path: PathBuf,
    },
    /// A file cannot be read or written.
    #[error("cannot {verb} `{}`", path.display())]
    File {
        /// `read`, `write` or the like.
        verb: &'static str,
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The image folder does not take it.
    #[error(transparent)]
    Images(#[from] ImagesError),
}

impl SmallError {
    /// For `map_err`.
    pub(super) fn file(verb: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { verb, path, source }
    }
}
