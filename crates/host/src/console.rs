//! The serial console of a machine, as a driver gives it.

use std::os::unix::net::UnixStream;

/// An open console. There is one at a time for each machine, as QEMU's sockets take one client at a time: whoever has several who
/// look on shares it between them. It ends when the machine does not run any more, and is given back by dropping it.
#[derive(Debug)]
pub struct Console {
    /// What the machine said last before, at most [`LONGEST_LOG`] bytes, the latest at the end.
    pub log: Vec<u8>,
    /// Bytes to and from the machine.
    pub stream: UnixStream,
}

/// The most bytes that a console's log has; what is older is forgotten.
pub const LONGEST_LOG: usize = 64 * 1024;
