//! How a server is reached: the options that `cp` and `verify` share with `ssh`.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

/// Options of the connections; those of one letter mean what they mean to `scp`.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Connection")]
pub struct Connection {
    /// Port of the server [default: from the ssh configuration, else 22]
    #[arg(short = 'P', value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    pub port: Option<u16>,
    /// Key to log in with; may be repeated
    #[arg(short = 'i', value_name = "FILE")]
    pub identity: Vec<PathBuf>,
    /// Configuration file in place of ~/.ssh/config; `none` reads none
    #[arg(short = 'F', value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// An option as in the ssh configuration, such as `-o ServerAliveInterval=5`; may be repeated
    #[arg(short = 'o', value_name = "KEY=VALUE")]
    pub option: Vec<String>,
    /// Go through these hosts, separated by commas: [user@]host[:port]
    #[arg(short = 'J', value_name = "HOSTS")]
    pub jump: Option<String>,
    /// User to log in as, where the location names none
    #[arg(short = 'l', value_name = "USER")]
    pub login: Option<String>,
    /// IPv4 only
    #[arg(short = '4', overrides_with = "ipv6")]
    pub ipv4: bool,
    /// IPv6 only
    #[arg(short = '6', overrides_with = "ipv4")]
    pub ipv6: bool,
    /// Let this ssh command make the connections (GSSAPI, hardware keys); words are split at spaces
    #[arg(long, value_name = "COMMAND")]
    pub ssh_command: Option<OsString>,
    /// Ciphers to offer, separated by commas [default: AES-GCM first where the processor has AES]
    #[arg(long, value_name = "LIST")]
    pub cipher: Option<String>,
    /// TCP congestion control of the connections, such as bbr [default: the system's]
    #[arg(long, value_name = "NAME")]
    pub congestion: Option<String>,
    /// Give up when nothing has worked for so long: 90s, 5m, 1h
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = duration)]
    pub timeout: Duration,
}

/// `90`, `90s`, `5m`, `1h`: whole seconds, minutes or hours, not zero.
pub fn duration(text: &str) -> Result<Duration, String> {
    let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
    let factor = match unit {
        "" | "s" => 1,
        "m" => 60,
        "h" => 3600,
        _ => return Err("write a time as 90s, 5m or 1h".to_owned()),
    };
    let number: u64 = number.parse().map_err(|_| "write a time as 90s, 5m or 1h".to_owned())?;
    match number.checked_mul(factor) {
        Some(0) => Err("a time of zero lets nothing happen".to_owned()),
        Some(seconds) => Ok(Duration::from_secs(seconds)),
        None => Err("that is too long".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_has_a_unit_or_is_in_seconds() {
        assert_eq!(duration("90"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("5m"), Ok(Duration::from_secs(300)));
        assert_eq!(duration("2h"), Ok(Duration::from_secs(7200)));
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "",
            "s",
            "m5",
            "5d",
            "-1",
            "1.5m",
            "0",
            "0h",
            "99999999999999999999",
            "9999999999999999999h",
        ] {
            assert!(duration(text).is_err(), "{text}");
        }
    }
}
