//! The agent of a host. It takes from the hub what the host is meant to hold, compares that with what its driver sees, and lets the
//! driver take the next step.
//!
//! [`reconcile`] decides for one machine and [`Agent`] for all of them; both are without I/O. What must outlive a crash is [`Kept`]
//! before it is acted on. A host that is cut off from the hub goes on with what it was last told. [`join`](join::join) makes a computer a host;
//! [`run`](run::run) is the ring of I/O around the agent.

pub mod identity;
pub mod join;
pub mod keep;
pub mod pick;
pub mod reconcile;
pub mod run;
pub mod template;
pub mod uplink;

mod agent;
mod console;
mod dial;
mod fruitless;
mod tls;
mod trouble;

pub use agent::{Agent, Who};
pub use dial::DialError;
pub use fruitless::Fruitless;
pub use identity::{DataFolder, FolderError, Identity};
pub use keep::{FileKeep, Keep, KeepError, Kept, Marks, MemoryKeep, Reached};
pub use reconcile::{Next, Powering, Question, Then, reconcile};
pub use tls::TlsError;
pub use trouble::Trouble;
