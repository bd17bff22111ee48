//! `renkei`: arguments become settings, settings become one call, and its end becomes an exit code.
//!
//! Called through a link named `mscp` it takes mscp's options. Nothing else happens in this crate: what a copy does is
//! the business of `renkei_transfer`.

mod arguments;
mod commands;
mod exit;
mod invocation;
mod location;
mod printer;
mod processors;
mod session;
mod settings;
mod terminal;

#[cfg(not(feature = "cp"))]
compile_error!("a build needs at least one command: enable the feature `cp`");

use std::process::ExitCode;

fn main() -> ExitCode {
    if commands::complete() {
        return ExitCode::SUCCESS;
    }
    let code = match invocation::understand(std::env::args_os()) {
        Ok(settings) => commands::run(settings),
        Err(refusal) => refusal.tell(),
    };
    ExitCode::from(code)
}
