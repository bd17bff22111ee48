//! `renkei cp`, and mscp.

use renkei_transfer::Request;

use crate::printer::Output;
use crate::session;
use crate::settings::task;

/// Copies.
pub fn run(request: Request, output: Output) -> u8 {
    let task = task(&request);
    session::run(output, task, |prompt, observer, stop| {
        renkei_transfer::copy(request, prompt, observer, stop)
    })
}
