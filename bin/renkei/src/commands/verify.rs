//! `renkei verify`.

use renkei_transfer::VerifyRequest;

use crate::printer::{Output, Task};
use crate::session;

/// Checks a manifest.
pub fn run(request: VerifyRequest, output: Output) -> u8 {
    session::run(output, Task::Verify, |prompt, observer, stop| {
        renkei_transfer::verify(request, prompt, observer, stop)
    })
}
