//! `--resume-drop` as long as the library does not have it: it is refused, and nothing is done.

use std::future::ready;
use std::sync::Arc;
use std::time::Duration;

use renkei_transfer::ssh::Prompt;
use renkei_transfer::{Ending, Observer, Request, Stop, Summary, Verified};

fn refused(what: &str) -> Summary {
    Summary {
        ending: Ending::Usage,
        bytes: 0,
        resumed_bytes: 0,
        sent_bytes: 0,
        files: 0,
        skipped: 0,
        deleted: 0,
        elapsed: Duration::ZERO,
        data_elapsed: Duration::ZERO,
        retries: 0,
        requests: 0,
        failures: Vec::new(),
        failed: 0,
        verified: Verified::No,
        journal: None,
        notes: Vec::new(),
        cause: Some(format!("{what} is not in this version")),
    }
}

/// Removes a journal and what the copy left at its target.
pub fn resume_drop(
    _: String,
    _: Request,
    _: Arc<dyn Prompt>,
    _: Arc<dyn Observer>,
    _: Stop,
) -> impl Future<Output = Summary> {
    ready(refused("`--resume-drop`"))
}
