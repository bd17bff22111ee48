//! `renkei token`.

use clap::{Args, Subcommand};
use renkei_types::action::Scope;
use renkei_types::name::Name;

use super::moment::Moment;
use super::{Delete, Freeze, One, Planned, Thaw};

/// What can be done with tokens.
#[derive(Clone, Debug, Subcommand)]
pub enum Verb {
    /// List your tokens, without their secrets
    List(List),
    /// Show one, without its secret
    Show(One),
    /// Make one; its secret is shown this once
    Create(Create),
    /// Revoke one, for ever
    #[command(visible_alias = "revoke")]
    Delete(Delete),
    /// Let it do nothing, until the freeze is lifted or ends
    Freeze(Freeze),
    /// Lift a freeze
    Thaw(Thaw),
}

/// `renkei token list`.
#[derive(Clone, Debug, Args)]
pub struct List {
    /// Everybody's, not only yours; for administrators
    #[arg(long)]
    pub all: bool,
}

/// `renkei token create`.
#[derive(Clone, Debug, Args)]
pub struct Create {
    /// What for
    pub name: Name,
    /// What it may be used for: `*`, `*:read`, `noun:*` or `noun:verb`, such as project:read; may be repeated
    #[arg(long = "scope", short = 's', value_name = "SCOPE", required = true)]
    pub scopes: Vec<Scope>,
    /// From when on it does not work: in 12h, 30d or 2w, on 2027-03-31, or at a time (RFC 3339) [default: the hub's, 30d]
    #[arg(long, value_name = "WHEN")]
    pub expires: Option<Moment>,
    // Not from RENKEI_PROJECT: what a token can reach is said where it is made.
    /// The only project that it may be used for, by name or id [default: all]
    #[arg(long, short = 'p', value_name = "PROJECT")]
    pub project: Option<String>,
    /// Whether to do it.
    #[command(flatten)]
    pub planned: Planned,
}
