//! What to move next, as a pure state machine.
//!
//! No I/O, no clock, no randomness: the same inputs in the same order give the same outputs. The engine in
//! `renkei-transfer` asks it for jobs and tells it what came of them; tests run it in virtual time.

#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing
    )
)]

