//! Every way in which a command can be wrong that clap cannot see.

use std::io;
use std::path::PathBuf;

use crate::location::LocationError;

/// Why a command was not understood. Exit code 2.
#[derive(Debug, thiserror::Error)]
pub enum UsageError {
    /// Fewer than two paths.
    #[error(
        "a copy needs at least one source and a target\nhint: `renkei cp SOURCE... TARGET`, see `renkei cp --help`"
    )]
    NoTarget,
    /// A source or target.
    #[error(transparent)]
    Location(#[from] LocationError),
    /// `--files-from` with several sources.
    #[error("--files-from names files below one source, but {0} sources were given")]
    FilesFromSources(usize),
    /// The list could not be read.
    #[error("cannot read the names in `{}`", path.display())]
    FilesFrom {
        /// The list.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A name in the list leads out of the source.
    #[error("`{0}` in the list of --files-from leads out of the source")]
    FilesFromOutside(String),
    /// There is no directory for journals.
    #[error("there is no place for journals: neither XDG_STATE_HOME nor HOME is set\nhint: set HOME")]
    NoJournals,
    /// mscp copies to or from a host, not both and not neither.
    #[error("exactly one side of a copy is remote: [user@]host:path")]
    OneSideRemote,
    /// mscp with several hosts.
    #[error("all remote sources must be on the same host, but both `{0}` and `{1}` were named")]
    SeveralHosts(String, String),
    /// mscp's `-S` below its `-s`.
    #[error("the largest chunk ({largest} bytes) is smaller than the smallest ({smallest} bytes)")]
    Chunks {
        /// `-s`.
        smallest: u64,
        /// `-S`.
        largest: u64,
    },
    /// The address of a hub.
    #[cfg(feature = "hub")]
    #[error(transparent)]
    Hub(#[from] super::hub::NotAHub),
    /// A zero where nothing would happen.
    #[error("{0} of zero lets nothing happen")]
    Zero(&'static str),
    /// What a machine is to be.
    #[cfg(feature = "hub")]
    #[error(transparent)]
    Config(#[from] super::ConfigError),
    /// How this computer joins.
    #[cfg(feature = "hub")]
    #[error(transparent)]
    Join(#[from] super::NotToJoin),
}
