//! `renkei cp`, and mscp.

use renkei_transfer::Request;

use crate::printer::Output;
use crate::settings::task;
use crate::{exit, processors, session};

/// Copies.
pub fn run(request: Request, output: Output) -> u8 {
    // Before the first thread is started, because threads inherit it.
    if let Some(mask) = request.tuning.cpus
        && let Err(error) = processors::pin(mask)
    {
        output.error(&format!("cannot run on the processors {mask:x}: {error}"), exit::USAGE);
        return exit::USAGE;
    }
    let task = task(&request);
    session::run(output, task, |prompt, observer, stop| {
        renkei_transfer::copy(request, prompt, observer, stop)
    })
}
