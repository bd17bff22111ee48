//! An SFTP server that misbehaves as asked.
//!
//! Without faults it is a small, complete SFTP version 3 server over the real file system (draft-ietf-secsh-filexfer-02 and
//! the extensions of OpenSSH's PROTOCOL, section 4), which serves as a fake wherever no sshd is needed: see [`serve`]. A
//! [`Plan`] adds [`Fault`]s. Under a real sshd it runs as the binary `renkei-fault-sftp`: see [`FaultServer`]. It checks
//! nothing about its client beyond what keeps it going.

mod answer;
mod faults;
mod files;
mod op;
mod plan;
mod server;
mod shared;
mod unsynced;

use std::path::PathBuf;

use anyhow::Result;
use tempfile::TempDir;

pub use op::Request;
pub use plan::{Extension, Fault, Plan, Status};
pub use server::serve;

use crate::renkei::built_binary;
use crate::sshd::{Builder, Sshd};

/// The binary that serves SFTP on its standard input and output, misbehaving as the plan in its argument says.
///
/// # Errors
/// If it was not built.
pub fn fault_server_path() -> Result<PathBuf> {
    built_binary("renkei-fault-sftp")
}

/// A real sshd whose SFTP server follows a [`Plan`].
#[derive(Debug)]
pub struct FaultServer {
    sshd: Sshd,
    folder: TempDir,
}

impl FaultServer {
    /// Starts an otherwise stock sshd.
    pub fn start(plan: &Plan) -> Result<Self> {
        Self::start_with(plan, Sshd::builder())
    }

    /// Starts a sshd that is like `builder` in all else.
    pub fn start_with(plan: &Plan, builder: Builder) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("renkei-fault-").tempdir()?;
        shared::open_to_all(folder.path())?;
        plan.write(folder.path())?;
        let program = fault_server_path()?;
        let sshd = builder
            .subsystem(format!("{} {}", program.display(), folder.path().display()))
            .start()?;
        Ok(Self { sshd, folder })
    }

    /// The sshd.
    pub fn sshd(&self) -> &Sshd {
        &self.sshd
    }

    /// Replaces the plan for connections to come; its counts start anew.
    pub fn set_plan(&self, plan: &Plan) -> Result<()> {
        plan.write(self.folder.path())
    }

    /// How often a fault has struck, over all connections.
    pub fn struck(&self) -> usize {
        shared::struck(self.folder.path())
    }

    /// Crashes the host and starts it again: all sessions die, and with [`Fault::LoseUnsynced`] what was written and not
    /// synced reads back as zeros, at its right length. Gives the number of bytes that became zeros.
    pub fn crash(&self) -> Result<u64> {
        self.sshd.kill();
        let lost = unsynced::lose(self.folder.path())?;
        self.sshd.restart()?;
        Ok(lost)
    }
}
