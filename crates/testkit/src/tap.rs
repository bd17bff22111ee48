//! A TAP device as the guest at its other end sees it: whole frames out and in.

use std::os::fd::OwnedFd;

use anyhow::{Context, Result};
use rustix::io::Errno;

use crate::namespace::Namespace;

/// The largest frame that is read.
const LARGEST: usize = 16 * 1024;

/// A TAP device. It is down again when this is dropped.
#[derive(Debug)]
pub struct Tap(OwnedFd);

impl Tap {
    /// Opens the device of this name in a namespace.
    pub fn open(space: &Namespace, name: &str) -> Result<Self> {
        let name = name.to_owned();
        space.inside(move || crate::wan::tun::open_tap(&name)).map(Self)
    }

    /// Sends a frame.
    pub fn send(&self, frame: &[u8]) -> Result<()> {
        rustix::io::write(&self.0, frame).context("cannot send a frame")?;
        Ok(())
    }

    /// The next frame, if one has come.
    pub fn receive(&self) -> Result<Option<Vec<u8>>> {
        let mut frame = vec![0; LARGEST];
        match rustix::io::read(&self.0, &mut frame) {
            Ok(length) => {
                frame.truncate(length);
                Ok(Some(frame))
            }
            Err(Errno::AGAIN) => Ok(None),
            Err(error) => Err(error).context("cannot receive a frame"),
        }
    }
}
