//! Exit codes: a contract with scripts, told in docs/cp.md and docs/cli.md.

use renkei_transfer::Ending;

/// Everything was done.
pub const COMPLETE: u8 = 0;
/// Some files failed, or the command itself did.
pub const FAILED: u8 = 1;
/// The command was not understood.
pub const USAGE: u8 = 2;
/// No connection, or no login.
pub const NOT_CONNECTED: u8 = 3;
/// Interrupted by SIGINT or SIGTERM.
pub const INTERRUPTED: u8 = 130;

/// The code of a copy's end.
pub fn code(ending: Ending) -> u8 {
    match ending {
        Ending::Complete => COMPLETE,
        Ending::SomeFailed => FAILED,
        Ending::Usage => USAGE,
        Ending::NotConnected => NOT_CONNECTED,
        Ending::Lost => 4,
        Ending::Interrupted => INTERRUPTED,
    }
}
