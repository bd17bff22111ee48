//! The name service and DHCP of a segment: one dnsmasq in the gateway's namespace, which answers what is written down for it and never
//! chooses.
//!
//! It goes on when the agent ends, and is found again by its file with the process id, its command line and the namespace that it is in.
//! With another configuration it is started anew: it keeps nothing that would be lost.

use std::fs;
use std::net::IpAddr;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use renkei_types::agent::SegmentIntent;
use renkei_types::id::SegmentId;
use renkei_types::network::{Mac, Range};
use renkei_types::segment::Segment;
use rustix::process::{Pid, Signal, kill_process};

use super::error::NetworkError;
use super::label;
use super::program::{Space, job};
use super::uplink::Uplink;

/// The longest that an old one may take to end.
const PATIENCE: Duration = Duration::from_secs(5);
/// For how long a machine may use an address without asking again, seconds. It gets the same one.
const LEASE: u32 = 3600;

/// What the service of a segment answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Service {
    pub segment: SegmentId,
    /// All but on which link it is.
    lines: Vec<String>,
}

/// A machine's adapter, and what it is told of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reservation {
    pub mac: Mac,
    pub addresses: Vec<IpAddr>,
}

impl Service {
    /// Of a segment in which these adapters are.
    pub(super) fn of(segment: &SegmentIntent, uplink: &Uplink, reservations: &[Reservation]) -> Self {
        let link = label::leg_name(segment.id);
        let mut lines: Vec<String> = [
            "no-resolv",
            "no-hosts",
            "no-poll",
            "bogus-priv",
            "bind-interfaces",
            "except-interface=lo",
            "dhcp-authoritative",
            "leasefile-ro",
            "quiet-dhcp",
            "quiet-dhcp6",
            "quiet-ra",
        ]
        .map(str::to_owned)
        .into();
        lines.push(format!("interface={link}"));
        let servers = if segment.dns.is_empty() {
            &uplink.dns
        } else {
            &segment.dns
        };
        lines.extend(servers.iter().map(|server| format!("server={server}")));
        let clocks = if segment.ntp.is_empty() {
            &uplink.ntp
        } else {
            &segment.ntp
        };
        lines.extend(v4(segment, clocks));
        lines.extend(segment.v6.iter().flat_map(|range| v6(range, (segment, &link), clocks)));
        for one in reservations {
            let mine = one.addresses.iter().filter_map(|address| match address {
                IpAddr::V4(_) if segment.v4.has(*address) => Some(address.to_string()),
                IpAddr::V6(_) if segment.v6.is_some_and(|range| range.has(*address)) => Some(format!("[{address}]")),
                _ => None,
            });
            lines.extend(mine.map(|address| format!("dhcp-host={},{address}", one.mac)));
        }
        Self {
            segment: segment.id,
            lines,
        }
    }

    /// Makes it so: writes its configuration and starts it, if it does not run with it yet.
    pub(super) fn make(&self, space: &Space, (folder, link_index): (&Path, u32)) -> Result<(), NetworkError> {
        let files = Files::of(folder, self.segment);
        let text = self.text(&files, link_index);
        let same = fs::read_to_string(&files.configuration).is_ok_and(|before| before == text);
        if same && files.runs().is_some_and(|id| is_in(id, space)) {
            return Ok(());
        }
        files.stop()?;
        let failed = |source| NetworkError::File {
            file: files.configuration.clone(),
            source,
        };
        fs::create_dir_all(folder).map_err(failed)?;
        let draft = files.configuration.with_extension("new");
        fs::write(&draft, text).map_err(failed)?;
        fs::rename(&draft, &files.configuration).map_err(failed)?;
        let doing = format!("start the name service of segment `{}`", self.segment);
        let file = format!("--conf-file={}", files.configuration.display());
        space.run(job(&doing, &["dnsmasq", &file])).map(drop)
    }

    /// The number of the link is in it because one that was made anew needs a service that is started anew.
    fn text(&self, files: &Files, link_index: u32) -> String {
        let mut text = format!(
            "# Made by renkei; changes are overwritten.\n# On link {link_index}.\npid-file={}\n",
            files.process.display()
        );
        for line in &self.lines {
            text.push_str(line);
            text.push('\n');
        }
        text
    }
}

/// Ends the service of a segment. That there is none is fine.
pub(super) fn stop(folder: &Path, segment: SegmentId) -> Result<(), NetworkError> {
    let files = Files::of(folder, segment);
    files.stop()?;
    for file in [&files.configuration, &files.process] {
        match fs::remove_file(file) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(NetworkError::File {
                    file: file.clone(),
                    source: error,
                });
            }
            _ => {}
        }
    }
    Ok(())
}

fn v4(segment: &SegmentIntent, clocks: &[IpAddr]) -> Vec<String> {
    let range = segment.v4;
    let Some(gateway) = Segment::gateway(&range) else {
        return Vec::new();
    };
    let mask = match range.prefix() {
        0 => 0,
        prefix => u32::MAX << (32 - prefix.min(32)),
    };
    let mask = std::net::Ipv4Addr::from_bits(mask);
    let mut lines = vec![
        format!("dhcp-range={},static,{mask},{LEASE}", range.address()),
        format!("dhcp-option=option:router,{gateway}"),
        format!("dhcp-option=option:dns-server,{gateway}"),
        format!("dhcp-option=option:mtu,{}", segment.mtu),
    ];
    let clocks: Vec<String> = clocks
        .iter()
        .filter(|one| one.is_ipv4())
        .map(IpAddr::to_string)
        .collect();
    if !clocks.is_empty() {
        lines.push(format!("dhcp-option=option:ntp-server,{}", clocks.join(",")));
    }
    lines
}

/// dnsmasq 2.90 takes no IPv6 range of more than a /64: machines in such a segment have what their seed says.
fn v6(range: &Range, (segment, link): (&SegmentIntent, &str), clocks: &[IpAddr]) -> Vec<String> {
    let Some(gateway) = Segment::gateway(range).filter(|_| range.prefix() >= 64) else {
        return Vec::new();
    };
    let mut lines = vec![
        "enable-ra".to_owned(),
        format!("dhcp-range={},static,{},{LEASE}", range.address(), range.prefix()),
        format!("dhcp-option=option6:dns-server,[{gateway}]"),
        format!("ra-param={link},mtu:{},60", segment.mtu),
    ];
    let clocks: Vec<String> = clocks
        .iter()
        .filter(|one| one.is_ipv6())
        .map(|one| format!("[{one}]"))
        .collect();
    if !clocks.is_empty() {
        lines.push(format!("dhcp-option=option6:ntp-server,{}", clocks.join(",")));
    }
    lines
}

/// The files of a service.
struct Files {
    configuration: PathBuf,
    process: PathBuf,
}

impl Files {
    fn of(folder: &Path, segment: SegmentId) -> Self {
        Self {
            configuration: folder.join(format!("{segment}.conf")),
            process: folder.join(format!("{segment}.pid")),
        }
    }

    /// The process, if it is one that was started with these files: numbers are used again.
    fn runs(&self) -> Option<Pid> {
        let text = fs::read_to_string(&self.process).ok()?;
        let id = Pid::from_raw(text.trim().parse().ok()?)?;
        let command = fs::read(format!("/proc/{}/cmdline", id.as_raw_nonzero())).ok()?;
        let file = format!("--conf-file={}", self.configuration.display());
        let mut words = command.split(|byte| *byte == 0);
        words.any(|word| word == file.as_bytes()).then_some(id)
    }

    /// Ends it, and waits until it has ended: the next one needs its ports.
    fn stop(&self) -> Result<(), NetworkError> {
        let until = Instant::now() + PATIENCE;
        while let Some(id) = self.runs() {
            let signal = if Instant::now() < until {
                Signal::TERM
            } else {
                Signal::KILL
            };
            match kill_process(id, signal) {
                Ok(()) | Err(rustix::io::Errno::SRCH) => {}
                Err(error) => {
                    return Err(NetworkError::File {
                        file: self.process.clone(),
                        source: error.into(),
                    });
                }
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        Ok(())
    }
}

/// Whether a process is in this namespace, and not in one of the same name that was removed.
fn is_in(id: Pid, space: &Space) -> bool {
    let its = fs::metadata(format!("/proc/{}/ns/net", id.as_raw_nonzero()));
    let meant = fs::metadata(space.path());
    match (its, meant) {
        (Ok(its), Ok(meant)) => (its.dev(), its.ino()) == (meant.dev(), meant.ino()),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_only_has_the_number_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let segment = SegmentId(uuid::Uuid::from_u128(7));
        let files = Files::of(folder.path(), segment);
        fs::write(&files.process, std::process::id().to_string()).unwrap();
        assert_eq!(files.runs(), None);
        stop(folder.path(), segment).unwrap();
        assert!(!files.process.exists());
    }
}
