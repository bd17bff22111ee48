//! What a database is over time: migrations forward and back, a chain that shows tampering, files that nobody else reads.

mod backup;
mod migrations;
mod place;
mod tampered;
