//! What a host's agent is told, and how a computer becomes a host.

use std::io::{self, Read as _};
use std::net::IpAddr;
use std::path::PathBuf;

use renkei_site::pick::{Pick, Wish};
use renkei_site::uplink::UplinkConfig;
use renkei_types::join::{JoinToken, NotAJoinToken};
use renkei_types::name::{Name, NotAName};
use serde::Deserialize;

use super::serve::{self, ConfigError, in_data_home};
use crate::arguments::join::Join;

/// The folder for root.
const SYSTEM_DATA: &str = "/var/lib/renkei-site";
/// The agent's folder in that of `renkei up`.
pub const SITE_FOLDER: &str = "site";
/// The same below the user's data folder.
const DATA: &str = "renkei-site";
/// This computer's name, as the kernel knows it (proc(5)).
const HOST_NAME: &str = "/proc/sys/kernel/hostname";
/// Memory is declared as it is.
pub const ALL: u32 = 100;
/// The most bytes of a token that are read.
const LONGEST_TOKEN: u64 = 4096;

/// The table `[site]`. A key that is not known is an error.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SiteConfig {
    /// The folder in which `renkei join` has put what the host was given.
    #[serde(default = "system_data")]
    pub data: PathBuf,
    /// What runs machines.
    #[serde(default)]
    pub driver: Pick,
    /// How much memory is declared, per 100 of what the computer has.
    #[serde(default = "declared")]
    pub memory_percent: u32,
    /// Where the networks meet the outside, should this become the site's gateway.
    #[serde(default)]
    pub uplink: Box<UplinkConfig>,
}

/// What the agent is to do.
#[derive(Clone, Debug)]
pub struct SiteSettings {
    /// What the file says.
    pub config: SiteConfig,
    /// Where the hub is now, if not where it was when the host joined.
    pub url: Option<String>,
}

/// Who joins, and where.
#[derive(Clone, Debug)]
pub struct JoinSettings {
    /// Where the hub takes agents.
    pub url: String,
    /// From the invitation.
    pub token: JoinToken,
    /// What the host will be called.
    pub name: Name,
    /// Where the site's other hosts reach it.
    pub address: Option<IpAddr>,
    /// Where the agent keeps what it was given.
    pub data: PathBuf,
}

/// Why a command to join is not understood.
#[derive(Debug, thiserror::Error)]
pub enum NotToJoin {
    /// The token.
    #[error(transparent)]
    Token(#[from] NotAJoinToken),
    /// It cannot be read.
    #[error("cannot read the token from standard input")]
    Input(#[source] io::Error),
    /// The computer has no usable name.
    #[error("this computer's name cannot be a host's: name one with `--name`")]
    Name(#[from] NotAName),
    /// There is no folder for the data.
    #[error(transparent)]
    Data(#[from] ConfigError),
}

/// The meaning of `renkei join`.
pub fn join(typed: Join) -> Result<JoinSettings, NotToJoin> {
    let token = match typed.token {
        Some(token) => token,
        None => read_token().map_err(NotToJoin::Input)?,
    };
    Ok(JoinSettings {
        url: typed.url,
        token: token.parse()?,
        name: typed.name.map_or_else(own_name, Ok)?,
        address: typed.address,
        data: match typed.data {
            Some(data) => data,
            None if rustix::process::geteuid().is_root() => system_data(),
            None => in_data_home(DATA)?,
        },
    })
}

/// Where hosts of this computer keep what is theirs, if nobody has said otherwise: after `renkei join`, and below `renkei up`.
pub fn host_folders() -> Vec<PathBuf> {
    let joined = match rustix::process::geteuid().is_root() {
        true => Ok(system_data()),
        false => in_data_home(DATA),
    };
    let up = serve::data(None).map(|data| data.join(SITE_FOLDER));
    joined.into_iter().chain(up).collect()
}

/// This computer's name.
pub fn own_name() -> Result<Name, NotAName> {
    let name = std::fs::read_to_string(HOST_NAME).unwrap_or_default();
    Name::try_from(name.trim().to_owned())
}

fn read_token() -> io::Result<String> {
    let mut token = String::new();
    io::stdin().take(LONGEST_TOKEN).read_to_string(&mut token)?;
    Ok(token)
}

fn system_data() -> PathBuf {
    PathBuf::from(SYSTEM_DATA)
}

fn declared() -> u32 {
    ALL
}

impl SiteConfig {
    /// What is asked of a driver.
    pub fn wish(&self) -> Wish {
        Wish {
            driver: self.driver,
            memory_percent: self.memory_percent,
            uplink: (*self.uplink).clone(),
        }
    }

    /// In this folder, otherwise as without a file.
    pub fn in_folder(data: PathBuf) -> Self {
        Self {
            data,
            driver: Pick::Auto,
            memory_percent: ALL,
            uplink: Box::default(),
        }
    }
}
