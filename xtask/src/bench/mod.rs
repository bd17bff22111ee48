//! `cargo xtask bench`: measurements, as opposed to tests. Nothing here fails because something is slow; the report says so.

pub mod cp;
pub mod hub;
mod kept;
