//! `renkei image`.

use clap::Subcommand;

use super::{Delete, OfProject, OneOfProject};

/// What can be done with images. They are made by saving machines.
#[derive(Clone, Debug, Subcommand)]
pub enum Verb {
    /// List the disks of templates
    List(OfProject),
    /// Show one
    Show(OneOfProject),
    /// Delete one that no template needs
    Delete(Delete<OneOfProject>),
}
