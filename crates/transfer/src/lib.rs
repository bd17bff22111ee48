//! Drives the plan over SSH with real files: copy, resume, verify.

mod event;
mod filter;
mod glob;
mod limit;
mod local;
mod request;

pub use event::{Bottleneck, Ending, Event, Failure, Observer, Progress, Summary, Verified};
pub use renkei_ssh as ssh;
pub use request::{Checkpoint, Existing, Filter, Location, Request, Tuning};
