//! What goes wrong in the folder of images.

use std::io;
use std::path::PathBuf;

use super::Digest;

/// Why the folder of images does not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum ImagesError {
    /// A file or folder cannot be made, read or written.
    #[error("cannot {verb} `{}`", path.display())]
    File {
        /// `read`, `write` or the like.
        verb: &'static str,
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A record has something else in it.
    #[error("`{}` is not a record of an image: another version, or damaged", path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// Where and what.
        source: serde_json::Error,
    },
    /// A record says that it is of something else.
    #[error("`{}` is the record of `{says}`, not of `{of}`", path.display())]
    Other {
        /// The file.
        path: PathBuf,
        /// What was looked for.
        of: String,
        /// What it says.
        says: String,
    },
    /// A file that a template or image needs is not there.
    #[error("`{of}` needs `{}`, which is not there", path.display())]
    Missing {
        /// The template's name or the image's id.
        of: String,
        /// The content's digest.
        digest: Digest,
        /// Where it should be.
        path: PathBuf,
    },
}

impl ImagesError {
    /// For `map_err`.
    pub(super) fn file(verb: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { verb, path, source }
    }
}
