//! What an operator says of where the site's networks meet the outside, and what holds without a word.

use std::net::IpAddr;
use std::path::Path;

use renkei_host::network::uplink::{Outside, Uplink, UplinkV6};
use renkei_types::network::Range;
use serde::Deserialize;

/// The kernel's routes of IPv4 (proc(5)).
const ROUTES: &str = "/proc/net/route";
/// The largest packet without another word: Ethernet's.
const MTU: u16 = 1500;

/// The table `[site.uplink]` of an agent's configuration. Without it the host forwards and masquerades.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct UplinkConfig {
    /// A link that is given to the networks, with the site's addresses on it; the host forwards without.
    pub link: Option<String>,
    /// The addresses on the uplink: the site's own, or a transit range between the host and the networks.
    pub v4: Option<Range>,
    /// Where on the link everything else is; needed with `link`.
    pub router: Option<IpAddr>,
    /// From where each project has the address from which its machines are seen outside; all of `v4` without.
    pub snat_pool: Option<Range>,
    /// For IPv6.
    pub v6: Option<V6Config>,
    /// Bytes in the largest packet; 1500 without.
    pub mtu: Option<u16>,
    /// Name servers for segments that have none of their own.
    pub dns: Vec<IpAddr>,
    /// Time servers for segments that have none of their own.
    pub ntp: Vec<IpAddr>,
}

/// The table `[site.uplink.v6]`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct V6Config {
    /// The addresses on the uplink, /96 or shorter.
    pub range: Range,
    /// Where on it everything else is.
    pub router: IpAddr,
    /// What is given to the site: segments within it are routed.
    pub prefix: Range,
}

/// What does not fit together in the table.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAnUplink {
    /// Something is missing.
    #[error("`[site.uplink]` has `link`, and no `{0}`")]
    Missing(&'static str),
    /// A range has no address for the host.
    #[error("`v4` of `[site.uplink]` is {0}: it has to be a range of IPv4 addresses, /29 or larger")]
    Small(Range),
    /// An address is not where it should be.
    #[error("`{key}` of `[site.uplink]` is not in `{within}`, which is {range}")]
    Outside {
        /// Which key.
        key: &'static str,
        /// In which other's range it has to be.
        within: &'static str,
        /// That range.
        range: Range,
    },
}

impl UplinkConfig {
    /// The uplink. `name` is that of the one link that appears on the host where it forwards; `folder` is for the name services.
    ///
    /// # Errors
    /// If something is missing, or does not fit together; names the key.
    pub fn uplink(&self, name: &str, folder: &Path) -> Result<Uplink, NotAnUplink> {
        let by = default_route(&std::fs::read_to_string(ROUTES).unwrap_or_default());
        let usual = Uplink::transit(name, by.as_deref(), folder);
        let v4 = self.v4.unwrap_or(usual.v4);
        if !v4.is_v4() || v4.prefix() > 29 {
            return Err(NotAnUplink::Small(v4));
        }
        let (outside, router) = match &self.link {
            None => (usual.outside, self.router.or_else(|| v4.hosts().next())),
            Some(_) if self.v4.is_none() => return Err(NotAnUplink::Missing("v4")),
            Some(link) => (Outside::Link(link.clone()), self.router),
        };
        let router = router.ok_or(NotAnUplink::Missing("router"))?;
        let snat_pool = self.snat_pool.unwrap_or(v4);
        let inside = |key, within: (&'static str, Range), address| match within.1.has(address) {
            true => Ok(()),
            false => Err(NotAnUplink::Outside {
                key,
                within: within.0,
                range: within.1,
            }),
        };
        inside("router", ("v4", v4), router)?;
        inside("snat_pool", ("v4", v4), snat_pool.address())?;
        inside("snat_pool", ("v4", v4), snat_pool.last())?;
        if let Some(v6) = &self.v6 {
            inside("v6.router", ("v6.range", v6.range), v6.router)?;
        }
        Ok(Uplink {
            outside,
            v4,
            router,
            snat_pool,
            v6: self.v6.as_ref().map(|v6| UplinkV6 {
                range: v6.range,
                router: v6.router,
                prefix: v6.prefix,
            }),
            mtu: self.mtu.unwrap_or(MTU),
            dns: self.dns.clone(),
            ntp: self.ntp.clone(),
            folder: folder.to_owned(),
        })
    }
}

/// The link of the default route: the one to 0.0.0.0 with the least metric (words 1, 2, 7 and 8 of a line).
fn default_route(routes: &str) -> Option<String> {
    let lines = routes.lines().skip(1).filter_map(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [link, "00000000", _, _, _, _, metric, "00000000", ..] = words[..] else {
            return None;
        };
        Some((metric.parse::<u32>().ok()?, link.to_owned()))
    });
    lines.min().map(|(_, link)| link)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(text: &str) -> Range {
        text.parse().unwrap()
    }

    #[test]
    fn without_a_word_the_host_forwards() {
        let uplink = UplinkConfig::default().uplink("rk-0", Path::new("/n")).unwrap();
        assert!(matches!(uplink.outside, Outside::Host { ref link, .. } if link == "rk-0"));
        assert!(uplink.v4.has(uplink.router));
        let other = UplinkConfig {
            v4: Some(range("198.18.7.0/24")),
            ..UplinkConfig::default()
        };
        let uplink = other.uplink("rk-0", Path::new("/n")).unwrap();
        assert_eq!(uplink.router, IpAddr::from([198, 18, 7, 1]));
        assert_eq!(uplink.snat_pool, range("198.18.7.0/24"));
    }

    #[test]
    fn what_does_not_fit_together_is_named() {
        let with = |text: &str| {
            let config: UplinkConfig = toml::from_str(text).unwrap();
            config.uplink("rk-0", Path::new("/n")).unwrap_err().to_string()
        };
        assert!(with("link = \"eth1\"").contains("`v4`"));
        assert!(with("link = \"eth1\"\nv4 = \"203.0.113.0/24\"").contains("`router`"));
        assert!(with("v4 = \"203.0.113.0/30\"").contains("/29"));
        assert!(with("v4 = \"203.0.113.0/24\"\nrouter = \"192.0.2.1\"").contains("`router`"));
        assert!(with("v4 = \"203.0.113.0/24\"\nsnat_pool = \"192.0.2.0/28\"").contains("`snat_pool`"));
        assert!(toml::from_str::<UplinkConfig>("gate = 1").is_err());
    }

    #[test]
    fn the_default_route_with_the_least_metric_counts() {
        let routes = "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n\
            wlan0\t00000000\t0101A8C0\t0003\t0\t0\t600\t00000000\t0\t0\t0\n\
            eth0\t00000000\t0100000A\t0003\t0\t0\t100\t00000000\t0\t0\t0\n\
            eth0\t0000000A\t00000000\t0001\t0\t0\t100\t00FFFFFF\t0\t0\t0\n";
        assert_eq!(default_route(routes).as_deref(), Some("eth0"));
        assert_eq!(default_route("Iface\n"), None);
    }
}
