//! Drives the plan over SSH with real files: copy, resume, verify.

mod copy;
mod event;
mod filter;
mod glob;
pub mod journal;
mod limit;
mod local;
pub mod manifest;
mod request;
mod whole_file;

pub use copy::{Stop, copy, resume_drop, verify};
pub use event::{Bottleneck, Ending, Event, Failure, Observer, Progress, Summary, Verified};
pub use renkei_plan::Chunks;
pub use renkei_ssh as ssh;
pub use request::{Checkpoint, Existing, Filter, Location, Request, Tuning, VerifyRequest};
