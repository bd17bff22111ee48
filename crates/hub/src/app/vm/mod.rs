//! Machines: what is meant for each, and what follows from what their hosts report.
//!
//! What reports, deadlines and cancelling do to a machine is decided by pure functions of the machine, its open operation and the
//! time ([`seen`], [`deadline`]); the rest reads, asks them, and commits.

pub mod deadline;
pub mod intent;
pub mod outcome;
pub mod seen;
pub mod verb;

#[cfg(test)]
mod chaos;
#[cfg(test)]
mod trial;
