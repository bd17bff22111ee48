//! What `renkei serve` and `renkei up` are told: a file, or a few options in its place.

use std::ffi::OsString;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use renkei_hub::config::{AgentsConfig, DEFAULT_LISTEN, HubConfig};
use renkei_site::pick::Pick;
use renkei_site::uplink::UplinkConfig;
use serde::Deserialize;

use renkei_types::name::Name;
use renkei_types::network::Range;

use super::site::{ALL, SiteConfig, SiteSettings};
use crate::arguments::serve::{Driver, Log, Serve, Up};

/// The folder for root.
const SYSTEM_DATA: &str = "/var/lib/renkei";

/// What `renkei serve` is to do.
#[derive(Clone, Debug)]
pub struct ServeSettings {
    /// The hub, if it is one.
    pub hub: Option<HubConfig>,
    /// The site to which this computer is invited by its own hub.
    pub invite: Option<Name>,
    /// The host's agent, if it is one.
    pub site: Option<SiteSettings>,
    /// What is logged.
    pub log: tracing::Level,
    /// Whether it ends with whoever started it.
    pub stop_with_stdin: StopWithStdin,
}

/// Whether the end of standard input is a wish to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopWithStdin {
    /// It is.
    Yes,
    /// It means nothing.
    No,
}

/// What `renkei up` is to do.
#[derive(Clone, Debug)]
pub struct UpSettings {
    /// Where everything is kept.
    pub data: PathBuf,
    /// Where the API listens.
    pub listen: SocketAddr,
    /// What is logged, as it was typed.
    pub log: &'static str,
    /// What runs machines.
    pub driver: Driver,
    /// The addresses between this computer and its machines' networks.
    pub transit: Option<Range>,
}

/// Why a file with roles is not understood.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// It cannot be read.
    #[error("cannot read `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It is not TOML, or has a key that is not known.
    #[error("`{}` is not understood\nhint: docs/operators/renkei.toml shows every key", path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// Where and what.
        source: Box<toml::de::Error>,
    },
    /// It has none of the tables.
    #[error("`{}` has no table `[hub]` and none `[site]`: it is nothing to serve\nhint: docs/operators/renkei.toml shows every key", path.display())]
    Nothing {
        /// The file.
        path: PathBuf,
    },
    /// It is about a host only.
    #[error("`{}` has no table `[hub]`", path.display())]
    NoHub {
        /// The file.
        path: PathBuf,
    },
    /// There is no folder for the data.
    #[error("there is no place for the data: neither XDG_DATA_HOME nor HOME is set\nhint: name one with `--data DIR`")]
    NoData,
}

/// The whole file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    pub hub: Option<HubConfig>,
    pub site: Option<SiteConfig>,
}

/// The meaning of `renkei serve`.
pub fn serve(typed: Serve) -> Result<ServeSettings, ConfigError> {
    let File { hub, site } = match typed.config {
        Some(path) => match read(path.clone())? {
            File { hub: None, site: None } => return Err(ConfigError::Nothing { path }),
            roles => roles,
        },
        // clap asks for one of the two.
        None => File {
            hub: typed.database.map(|database| HubConfig {
                listen: typed.listen.unwrap_or(DEFAULT_LISTEN),
                master_key: typed.master_key,
                agents: typed.agents.map(|listen| AgentsConfig { listen, url: None }),
                ..HubConfig::over(database)
            }),
            site: typed.site.map(|data| SiteConfig {
                driver: pick(typed.driver),
                memory_percent: typed.memory_percent.unwrap_or(ALL),
                uplink: Box::new(UplinkConfig {
                    v4: typed.transit,
                    ..UplinkConfig::default()
                }),
                ..SiteConfig::in_folder(data)
            }),
        },
    };
    let url = typed.hub;
    let stop_with_stdin = if typed.stop_with_stdin {
        StopWithStdin::Yes
    } else {
        StopWithStdin::No
    };
    Ok(ServeSettings {
        hub,
        invite: typed.invite,
        site: site.map(|config| SiteSettings { config, url }),
        log: level(typed.log),
        stop_with_stdin,
    })
}

/// What is asked for, in the agent's own words.
pub fn pick(driver: Driver) -> Pick {
    match driver {
        Driver::Auto => Pick::Auto,
        Driver::Qemu => Pick::Qemu,
        Driver::Fake => Pick::Fake,
    }
}

/// The meaning of `renkei up`.
pub fn up(typed: Up) -> Result<UpSettings, ConfigError> {
    Ok(UpSettings {
        data: data(typed.data)?,
        listen: typed.listen,
        driver: typed.driver,
        transit: typed.transit,
        log: word(typed.log),
    })
}

/// The folder of `renkei up`.
pub(super) fn data(typed: Option<PathBuf>) -> Result<PathBuf, ConfigError> {
    Ok(match typed {
        // The hub may be in another folder.
        Some(data) => std::path::absolute(&data).unwrap_or(data),
        None if rustix::process::geteuid().is_root() => PathBuf::from(SYSTEM_DATA),
        None => in_data_home("renkei")?,
    })
}

/// A folder in the user's data folder.
pub(super) fn in_data_home(name: &str) -> Result<PathBuf, ConfigError> {
    let found = data_home(std::env::var_os("XDG_DATA_HOME"), std::env::var_os("HOME"), name);
    found.ok_or(ConfigError::NoData)
}

/// The database of `renkei up` in its folder.
pub fn database_in(data: &Path) -> OsString {
    let mut url = OsString::from("sqlite:");
    url.push(data.join("hub.sqlite"));
    url
}

/// As the XDG base directory specification says: a relative path counts as none.
fn data_home(data_home: Option<OsString>, home: Option<OsString>, name: &str) -> Option<PathBuf> {
    let absolute = |path: OsString| Some(PathBuf::from(path)).filter(|path| path.is_absolute());
    let own = data_home.and_then(absolute);
    let base = own.or_else(|| home.and_then(absolute).map(|home| home.join(".local/share")))?;
    Some(base.join(name))
}

pub(super) fn read(path: PathBuf) -> Result<File, ConfigError> {
    match std::fs::read_to_string(&path) {
        Ok(text) => toml::from_str(&text).map_err(|error| ConfigError::Parse {
            path,
            source: Box::new(error),
        }),
        Err(source) => Err(ConfigError::Read { path, source }),
    }
}

fn level(log: Log) -> tracing::Level {
    match log {
        Log::Error => tracing::Level::ERROR,
        Log::Warn => tracing::Level::WARN,
        Log::Info => tracing::Level::INFO,
        Log::Debug => tracing::Level::DEBUG,
    }
}

fn word(log: Log) -> &'static str {
    match log {
        Log::Error => "error",
        Log::Warn => "warn",
        Log::Info => "info",
        Log::Debug => "debug",
    }
}

#[cfg(test)]
mod tests {
    use renkei_hub::config::DEFAULT_AGENTS;

    use super::*;

    #[test]
    fn an_unknown_key_is_an_error_that_names_it() {
        let error = toml::from_str::<File>("[hub]\ndatabase = \"sqlite:x\"\ndatabse = 1\n").unwrap_err();
        assert!(error.to_string().contains("databse"), "{error}");
        assert!(toml::from_str::<File>("[hub]\ndatabase = \"sqlite:x\"\n[sites]\n").is_err());
        assert!(toml::from_str::<File>("[site]\ndata = \"x\"\ndrive = \"fake\"\n").is_err());
    }

    #[test]
    fn the_sample_is_understood_and_shows_every_key() {
        let sample = include_str!("../../../../docs/operators/renkei.toml");
        let file: File = toml::from_str(sample).unwrap();
        assert_eq!(file.hub.unwrap().listen, DEFAULT_LISTEN);
        // What stands in comments is understood as well.
        let whole: String = sample
            .replace("# master_key =", "master_key =")
            .replace("# [hub.tls]", "[hub.tls]")
            .replace("# certificate =", "certificate =")
            .replace("# key =", "key =")
            .replace("# [hub.agents]", "[hub.agents]")
            .replace("# listen =", "listen =")
            .replace("# url =", "url =")
            .replace("# [site]", "[site]")
            .replace("# data =", "data =")
            .replace("# driver =", "driver =")
            .replace("# memory_percent =", "memory_percent =");
        let file: File = toml::from_str(&whole).unwrap();
        assert_eq!(file.site, Some(SiteConfig::in_folder("/var/lib/renkei-site".into())));
        let hub = file.hub.unwrap();
        assert!(hub.tls.is_some() && hub.master_key.is_some());
        let agents = hub.agents.unwrap();
        assert_eq!(agents.listen, DEFAULT_AGENTS);
        assert!(agents.url.is_some());
    }

    #[test]
    fn the_samples_uplink_is_understood_and_fits_together() {
        let sample = include_str!("../../../../docs/operators/renkei.toml");
        let (_, after) = sample.split_once("# [site.uplink]").unwrap();
        let is_key = |line: &&str| line.starts_with("[site.uplink") || line.split_once(" = ").is_some();
        let lines = after.lines().filter_map(|line| line.strip_prefix("# ")).filter(is_key);
        let whole = format!("[site.uplink]\n{}\n", lines.collect::<Vec<_>>().join("\n"));
        let file: File = toml::from_str(&whole).unwrap();
        let config = file.site.unwrap().uplink;
        let uplink = config.uplink("rk-0", Path::new("/networks")).unwrap();
        assert!(uplink.v6.is_some() && config.link.is_some() && config.mtu.is_some() && config.snat_pool.is_some());
    }

    #[test]
    fn data_lie_in_the_users_data_folder() {
        let some = |path: &str| Some(OsString::from(path));
        assert_eq!(
            data_home(None, some("/home/a"), "renkei"),
            Some("/home/a/.local/share/renkei".into())
        );
        assert_eq!(
            data_home(some("/d"), some("/home/a"), "renkei"),
            Some("/d/renkei".into())
        );
        assert_eq!(
            data_home(some("d"), some("/home/a"), "renkei"),
            Some("/home/a/.local/share/renkei".into())
        );
        assert_eq!(data_home(None, None, "renkei"), None);
    }
}
