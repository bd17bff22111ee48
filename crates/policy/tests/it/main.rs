//! The policy against a table written down by hand, and against what must hold whatever the table says.

mod properties;
mod table;
mod verify;
mod world;
