//! `cargo xtask demo`: the product on this machine. First copies, beside what everyone has; then, as root, real machines.
//!
//! It shows; `cargo xtask bench` measures.

mod copy;
mod machines;
mod prompt;
mod range;
mod stage;

use anyhow::Result;

use crate::timing::Minutes;
use crate::{apt, tool};

/// What comes when all has been shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum After {
    /// Everything runs on, to be tried, until Ctrl-C.
    GoOn,
    /// The end.
    End,
}

/// Shows it.
pub fn run(after: After) -> Result<()> {
    let mut minutes = Minutes::start("demo");
    apt::install(copy::PACKAGES, &mut minutes)?;
    let renkei = minutes.part("build", tool::release_binary)?;
    copy::run(&renkei, &mut minutes)?;
    println!();
    match machines::missing(&mut minutes) {
        Some(why) => println!("the second part, with real machines, is left out: {why}"),
        None => machines::run(&renkei, after, &mut minutes)?,
    }
    println!();
    minutes.finish();
    Ok(())
}
