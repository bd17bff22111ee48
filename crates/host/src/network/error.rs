//! What goes wrong with networks.

use std::io;
use std::path::PathBuf;

use renkei_types::id::SegmentId;

/// Why a network could not be made so, or not be looked at.
#[derive(Debug, thiserror::Error)]
pub enum NetworkError {
    /// A name that would not be a file name, or too long for a network namespace.
    #[error("`{0}` cannot be the name of a network namespace: use 1 to 60 letters, digits, `-`, `_`")]
    Name(String),
    /// A program that is needed is not there, or could not be started.
    #[error("cannot run `{program}` to {doing}")]
    Start {
        /// The program.
        program: String,
        /// What it was to do.
        doing: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A program refused.
    #[error("cannot {doing}: `{program}` says: {said}")]
    Refused {
        /// The program.
        program: String,
        /// What it was to do.
        doing: String,
        /// Its own words.
        said: String,
    },
    /// A program answered what we cannot read.
    #[error("cannot {doing}: the answer of `{program}` is not understood")]
    Answer {
        /// The program.
        program: String,
        /// What it was to do.
        doing: String,
        /// What is wrong with it.
        #[source]
        source: serde_json::Error,
    },
    /// A file that could not be written.
    #[error("cannot write `{}`", file.display())]
    File {
        /// Which.
        file: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Something else has a name that would be ours.
    #[error("link `{name}` in namespace `{namespace}` is not what it should be but `{found}`: remove it")]
    Foreign {
        /// The link's name.
        name: String,
        /// Where it is.
        namespace: String,
        /// What its label says.
        found: String,
    },
    /// A segment whose machines reach nobody but one another.
    #[error(
        "segment `{0}` has no gateway: its addresses overlap with those of another segment of its project, or the site's pool \
         for SNAT has no address left"
    )]
    NoGateway(SegmentId),
}

impl NetworkError {
    /// Whether a retry may help without anybody doing anything.
    pub fn may_pass(&self) -> bool {
        matches!(self, Self::Refused { .. } | Self::File { .. })
    }
}
