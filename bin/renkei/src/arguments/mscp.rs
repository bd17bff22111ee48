//! mscp's options, for when this binary is called through a link of that name.
//!
//! Letters and meanings are mscp 0.2.4's; the help texts are ours.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{ArgAction, Parser};
use renkei_types::size::{ByteSize, Rate, parse_mscp_bit_rate, parse_mscp_size};

/// `mscp [options] source … target`.
#[derive(Clone, Debug, Parser)]
#[command(
    name = "mscp",
    bin_name = "mscp",
    about = "Copies files over several SSH connections (renkei, with mscp's options)",
    version = super::VERSION,
    disable_help_flag = true,
    disable_version_flag = true,
    args_override_self = true,
    max_term_width = 100,
    override_usage = "mscp [OPTIONS] SOURCE... TARGET"
)]
pub struct Mscp {
    /// Sources, then the target; exactly one side is [user@]host:path
    #[arg(value_name = "SOURCE... TARGET")]
    pub paths: Vec<OsString>,
    /// SSH connections [default: floor(ln(cores) * 2) + 1]
    #[arg(short = 'n', value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub connections: Option<u32>,
    /// Processors to run on, as a hexadecimal mask [default: all]
    #[arg(short = 'm', value_name = "MASK", value_parser = mask)]
    pub cpus: Option<u128>,
    /// Connection attempts not yet authenticated at the same time
    #[arg(short = 'u', value_name = "N", default_value = "8", value_parser = clap::value_parser!(u32).range(1..))]
    pub startups: u32,
    /// Seconds between connection attempts
    #[arg(short = 'I', value_name = "S", default_value = "0", value_parser = clap::value_parser!(u32).range(..=86_400))]
    pub interval: u32,
    /// Write a checkpoint to this file when the copy fails or is interrupted
    #[arg(short = 'W', value_name = "FILE")]
    pub checkpoint: Option<PathBuf>,
    /// Go on from the checkpoint in this file, which names sources and target
    #[arg(short = 'R', value_name = "FILE")]
    pub resume: Option<PathBuf>,
    /// Smallest chunk in bytes, with k, m or g in their powers of 1024 [default: 16m]
    #[arg(short = 's', value_name = "B", value_parser = parse_mscp_size)]
    pub min_chunk: Option<ByteSize>,
    /// Largest chunk in bytes [default: size / connections / 4]
    #[arg(short = 'S', value_name = "B", value_parser = parse_mscp_size)]
    pub max_chunk: Option<ByteSize>,
    /// SFTP requests in flight on each connection [default: as measured]
    #[arg(short = 'a', value_name = "N", value_parser = clap::value_parser!(u32).range(1..=65_536))]
    pub ahead: Option<u32>,
    /// Bytes a request [default: as large as the server takes]
    #[arg(short = 'b', value_name = "B", value_parser = parse_mscp_size)]
    pub request_size: Option<ByteSize>,
    /// Most bits a second, with k, m or g in their powers of 1000 [default: no limit]
    #[arg(short = 'L', value_name = "R", value_parser = parse_mscp_bit_rate)]
    pub limit: Option<Rate>,
    /// IPv4 only
    #[arg(short = '4', overrides_with = "ipv6")]
    pub ipv4: bool,
    /// IPv6 only
    #[arg(short = '6', overrides_with = "ipv4")]
    pub ipv6: bool,
    /// Say more; may be repeated
    #[arg(short = 'v', action = ArgAction::Count)]
    pub verbose: u8,
    /// Print nothing; wins over -v
    #[arg(short = 'q')]
    pub quiet: bool,
    /// Say what happens on the SSH connections; may be repeated
    #[arg(short = 'd', action = ArgAction::Count)]
    pub debug: u8,
    /// Copy nothing; with -vv show what would be copied, with -W write the checkpoint
    #[arg(short = 'D')]
    pub dry_run: bool,
    /// Accepted: directories are always copied whole
    #[arg(short = 'r')]
    pub recursive: bool,
    /// User to log in as
    #[arg(short = 'l', value_name = "USER")]
    pub login: Option<String>,
    /// Port of the server
    #[arg(short = 'P', value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    pub port: Option<u16>,
    /// Configuration file in place of ~/.ssh/config
    #[arg(short = 'F', value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// An option as in the ssh configuration; one that is not known is ignored
    #[arg(short = 'o', value_name = "KEY=VALUE")]
    pub option: Vec<String>,
    /// Key to log in with
    #[arg(short = 'i', value_name = "FILE")]
    pub identity: Vec<PathBuf>,
    /// Go through these hosts, separated by commas
    #[arg(short = 'J', value_name = "HOSTS")]
    pub jump: Option<String>,
    /// Ciphers to offer
    #[arg(short = 'c', value_name = "LIST")]
    pub cipher: Option<String>,
    /// MACs to offer
    #[arg(short = 'M', value_name = "LIST")]
    pub mac: Option<String>,
    /// Compression: yes, no, zlib or zlib@openssh.com
    #[arg(short = 'C', value_name = "KIND", value_parser = ["yes", "no", "zlib", "zlib@openssh.com"])]
    pub compression: Option<String>,
    /// TCP congestion control of the connections
    #[arg(short = 'g', value_name = "NAME")]
    pub congestion: Option<String>,
    /// Keep access and modification times
    #[arg(short = 'p')]
    pub preserve: bool,
    /// Leave Nagle's algorithm on
    #[arg(short = 'N')]
    pub nagle: bool,
    /// Print this help
    #[arg(short = 'h', action = ArgAction::HelpShort)]
    pub help: Option<bool>,
}

/// A hexadecimal mask, with or without `0x`, of at least one processor.
fn mask(text: &str) -> Result<u128, String> {
    let digits = text
        .strip_prefix("0x")
        .or_else(|| text.strip_prefix("0X"))
        .unwrap_or(text);
    // `from_str_radix` takes a sign, which no mask has.
    if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err("a mask is a hexadecimal number such as ff".to_owned());
    }
    match u128::from_str_radix(digits, 16) {
        Ok(0) => Err("the mask leaves no processor".to_owned()),
        Ok(mask) => Ok(mask),
        Err(_) => Err("a mask is a hexadecimal number of at most 32 digits".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mask_is_hexadecimal() {
        assert_eq!(mask("ff"), Ok(0xff));
        assert_eq!(mask("0xF0"), Ok(0xf0));
        for text in ["", "0", "0x", "+1", "g", "1ffffffffffffffffffffffffffffffff"] {
            assert!(mask(text).is_err(), "{text}");
        }
    }
}
