//! Machines: what is meant for each, and what follows from what their hosts report.
//!
//! What reports, deadlines and cancelling do to a machine is decided by pure functions of the machine, its open operation and the
//! time ([`seen`], [`deadline`]); the rest reads, asks them, and commits.

pub mod act;
mod cancel;
pub mod change;
pub mod clone;
pub mod console;
pub mod deadline;
mod deploy;
mod heard;
pub mod intent;
pub mod list;
pub mod outcome;
mod plug;
pub mod reach;
mod save;
pub mod seen;
pub mod size;
mod sound;
pub mod verb;
pub mod work;

#[cfg(test)]
mod chaos;
#[cfg(test)]
mod life;
#[cfg(test)]
pub(crate) mod trial;
