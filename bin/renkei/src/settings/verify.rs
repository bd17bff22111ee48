//! The meaning of `renkei verify`.

use renkei_transfer::VerifyRequest;

use super::{Settings, UsageError, output, ssh_options};
use crate::arguments::verify::Verify;
use crate::location;

/// Understands a command line.
pub fn settings(typed: Verify) -> Result<Settings, UsageError> {
    let timeout = typed.connection.timeout;
    Ok(Settings::Verify {
        request: Box::new(VerifyRequest {
            manifest: typed.manifest,
            target: location::parse(&typed.target)?,
            ssh: ssh_options(typed.connection, typed.display.verbose),
            timeout,
        }),
        output: output(typed.display),
    })
}
