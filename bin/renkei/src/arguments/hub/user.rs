//! `renkei user`.

use clap::{Args, Subcommand};
use renkei_types::name::UserName;

use super::{Delete, Freeze, One, Planned, Thaw};

/// What can be done with users.
#[derive(Clone, Debug, Subcommand)]
pub enum Verb {
    /// List users
    List,
    /// Show one
    Show(One),
    /// Make one, with a one-time password that is shown once
    Create(Create),
    /// Change one
    Change(Change),
    /// Set a password, which ends all sessions of the user
    Password(Password),
    /// Delete one
    Delete(Delete),
    /// Let a user do nothing, until the freeze is lifted or ends
    Freeze(Freeze),
    /// Lift a freeze
    Thaw(Thaw),
}

/// `renkei user create`.
#[derive(Clone, Debug, Args)]
pub struct Create {
    /// With which the user signs in
    pub name: UserName,
    /// As people write it
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    pub full_name: String,
    /// Where mail arrives
    #[arg(long, value_name = "ADDRESS", default_value = "", hide_default_value = true)]
    pub email: String,
    /// May do everything in this hub
    #[arg(long)]
    pub administrator: bool,
    /// Read the first password from standard input, in place of making one up; the user must change it
    #[arg(long, conflicts_with = "no_password")]
    pub password_stdin: bool,
    /// Give no password: the user signs in by a token only
    #[arg(long)]
    pub no_password: bool,
    /// Whether to do it.
    #[command(flatten)]
    pub planned: Planned,
}

/// `renkei user change`.
#[derive(Clone, Debug, Args)]
#[group(required = true, args = ["full_name", "email", "administrator", "enabled"])]
pub struct Change {
    /// Which.
    #[command(flatten)]
    pub one: One,
    /// As people write it
    #[arg(long, value_name = "TEXT")]
    pub full_name: Option<String>,
    /// Where mail arrives
    #[arg(long, value_name = "ADDRESS")]
    pub email: Option<String>,
    /// Whether the user may do everything in this hub
    #[arg(long, value_name = "true|false")]
    pub administrator: Option<bool>,
    /// Whether the user may sign in
    #[arg(long, value_name = "true|false")]
    pub enabled: Option<bool>,
    /// Whether to do it.
    #[command(flatten)]
    pub planned: Planned,
}

/// `renkei user password`.
#[derive(Clone, Debug, Args)]
pub struct Password {
    /// Whose, by name or id [default: yours]
    #[arg(value_name = "NAME")]
    pub which: Option<String>,
    /// Read from standard input: your password so far if it is yours that is set, then the new one, a line each
    #[arg(long)]
    pub password_stdin: bool,
}
