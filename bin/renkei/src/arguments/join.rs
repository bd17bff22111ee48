//! `renkei join`.

use std::net::IpAddr;
use std::path::PathBuf;

use clap::Args;
use renkei_types::name::Name;

/// `renkei join`.
#[derive(Debug, Args)]
pub struct Join {
    /// Where the hub takes agents: https://HOST:PORT
    #[arg(value_name = "URL")]
    pub url: String,
    /// What `renkei site invite` printed [default: read from standard input, where no list of processes shows it]
    #[arg(value_name = "TOKEN")]
    pub token: Option<String>,
    /// What the host will be called in its site [default: this computer's name]
    #[arg(long)]
    pub name: Option<Name>,
    /// Where the site's other hosts reach it [default: the address from which the hub is reached]
    #[arg(long)]
    pub address: Option<IpAddr>,
    /// Where the agent keeps what it was given [default: renkei-site in the user's data folder, /var/lib/renkei-site for root]
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
}
