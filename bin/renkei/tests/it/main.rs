//! The built binary against real servers: what a copy means, and what is left when something fails.
//!
//! One test binary for all of it, so that it is linked once. What is printed is tested in `output.rs`, what is typed in
//! `usage.rs`; resuming and verification have tests of their own.

mod support;

mod attributes;
mod ends;
mod faults;
mod hostile;
mod landing;
mod links;
mod memory;
mod mscp;
mod names;
mod options;
mod penalties;
mod places;
mod quota;
mod resume;
mod resume_age;
mod resume_breaks;
mod resume_damage;
mod resume_mirror;
mod servers;
mod whole;
