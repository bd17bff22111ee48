//! What makes machines and networks so on a host: the only crate that changes the computer it runs on.
//!
//! [`Driver`] shows what there is ([`Machine`]), begins one [`Step`] at a time, and opens consoles ([`Console`]); none of it waits.
//! What should be done next is not decided here but in `renkei-site`. [`fake::Fake`] only pretends, keeps its machines in memory or
//! in a file, and misbehaves as it is told; [`qemu::Qemu`] runs real ones; [`contract`] is what every driver has to pass, the fake one
//! first. [`images::Images`] holds what machines' disks are made from, [`network::Network`] what their adapters are plugged into;
//! [`small`] builds a guest.

pub mod contract;
pub mod fake;
pub mod images;
pub mod network;
pub mod qemu;
pub mod small;

mod allowed;
mod chain;
mod console;
mod driver;
mod machine;
mod step;
mod whole;

pub use chain::chain;
pub use console::{Console, LONGEST_LOG};
pub use driver::{Driver, DriverError};
pub use machine::{Doing, Form, Lasting, Machine, Record, StepFault};
pub use step::{Act, Step, Verb};
pub use whole::write_whole;
