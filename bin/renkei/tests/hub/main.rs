//! The commands that speak with a hub, against a real one: `renkei up` in a process of its own, asked by the built binary.

mod access;
mod admin;
mod build;
mod catalog;
mod console;
mod follow;
mod host;
mod machines;
mod mdx;
mod networks;
mod nouns;
mod people;
mod reach;
mod sessions;
mod ssh;
mod support;
mod terminal;
mod tls;
mod units;
mod vm;
