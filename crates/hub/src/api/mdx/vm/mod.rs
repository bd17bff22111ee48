//! `/api/vm/…`: machines.

mod asked;
mod words;
