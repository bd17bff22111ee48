//! Tests of the client against OpenSSH's server and against scripted ones, and of the codec by properties.

mod codec;
mod hostile;
mod peer;
mod pipeline;
mod server;
mod start;
