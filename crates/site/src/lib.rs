//! The agent of a host. It takes from the hub what the host is meant to hold, compares that with what its driver sees, and lets the
//! driver take the next step.
//!
//! [`reconcile`] decides for one machine and [`Agent`] for all of them; both are without I/O. What must outlive a crash is [`Kept`]
//! before it is acted on. A host that is cut off from the hub goes on with what it was last told.

pub mod keep;
pub mod reconcile;

mod agent;
mod trouble;

pub use agent::{Agent, Who};
pub use keep::{FileKeep, Keep, KeepError, Kept, Marks, MemoryKeep, Reached};
pub use reconcile::{Next, Powering, Question, Then, reconcile};
pub use trouble::Trouble;
