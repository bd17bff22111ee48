//! Byte counts, rates and durations, as people write and read them.
//!
//! Shown values are rounded to three figures and meant for eyes only; machine-readable output carries plain numbers.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use thiserror::Error;

/// A number of bytes.
///
/// Read as `500`, `64k`, `1.5G`, `10MiB`: letters k, M, G, T, P of either case are powers of 1000, with an `i` powers of
/// 1024; a `B` may follow. Shown as `1.24 GB`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ByteSize(pub u64);

/// Bytes a second. Read like a [`ByteSize`], optionally with `/s`. Shown as `310 MB/s`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rate(pub u64);

/// A duration for eyes: `0.42 s`, `12.3 s`, `2m 03s`, `5h 07m`, `3d 04h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Elapsed(pub Duration);

/// A text that is no size.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SizeError {
    /// There is no number at its beginning.
    #[error("`{0}` is not a size; write for example 500M, 1.5G or 64Ki")]
    NotANumber(String),
    /// The number is followed by something unknown.
    #[error("`{text}` has the unknown unit `{unit}`; units are k, M, G, T, P (1000) and Ki, Mi, Gi, Ti, Pi (1024)")]
    UnknownUnit {
        /// All of the text.
        text: String,
        /// The part not understood.
        unit: String,
    },
    /// It does not fit into 64 bits.
    #[error("`{0}` is too large")]
    TooLarge(String),
}

/// Splits a text into number and unit. The number is at most "digits.digits".
fn split_number(text: &str) -> (&str, &str) {
    let end = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    text.split_at(end)
}

/// `number × unit`, rounded down, without floating point so that every byte count is exact.
fn scale(text: &str, number: &str, unit: u64) -> Result<u64, SizeError> {
    let not_a_number = || SizeError::NotANumber(text.to_owned());
    let too_large = || SizeError::TooLarge(text.to_owned());
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    if whole.is_empty() || fraction.is_empty() || fraction.contains('.') {
        return Err(not_a_number());
    }
    let whole: u64 = whole.parse().map_err(|_| too_large())?;
    // Eighteen decimals are finer than a byte in any unit here.
    let fraction = &fraction[..fraction.len().min(18)];
    let parts: u128 = fraction.parse().map_err(|_| not_a_number())?;
    let places = 10_u128.pow(fraction.len() as u32);
    let value = u128::from(whole) * u128::from(unit) + parts * u128::from(unit) / places;
    u64::try_from(value).map_err(|_| too_large())
}

fn parse_bytes(text: &str) -> Result<u64, SizeError> {
    let (number, rest) = split_number(text.trim());
    if number.is_empty() {
        return Err(SizeError::NotANumber(text.to_owned()));
    }
    let rest = rest.trim_start();
    let unknown = || SizeError::UnknownUnit {
        text: text.to_owned(),
        unit: rest.to_owned(),
    };
    // A lower-case b may mean bits, so only the capital is taken.
    let unit = rest.strip_suffix('B').unwrap_or(rest);
    let (letter, base) = match unit.strip_suffix('i') {
        Some(letter) if !letter.is_empty() => (letter, 1024_u64),
        _ => (unit, 1000),
    };
    let power = match letter {
        "" => 0,
        "k" | "K" => 1,
        "m" | "M" => 2,
        "g" | "G" => 3,
        "t" | "T" => 4,
        "p" | "P" => 5,
        _ => return Err(unknown()),
    };
    scale(text, number, base.pow(power))
}

impl FromStr for ByteSize {
    type Err = SizeError;

    fn from_str(text: &str) -> Result<Self, SizeError> {
        parse_bytes(text).map(Self)
    }
}

impl FromStr for Rate {
    type Err = SizeError;

    fn from_str(text: &str) -> Result<Self, SizeError> {
        let bytes = text.trim().strip_suffix("/s").unwrap_or(text);
        parse_bytes(bytes).map(Self)
    }
}

/// mscp's sizes (`-s`, `-S`, `-b`): a whole number, k, m, g of either case are powers of 1024.
///
/// # Errors
/// Anything else.
pub fn parse_mscp_size(text: &str) -> Result<ByteSize, SizeError> {
    parse_mscp(text, 1024).map(ByteSize)
}

/// mscp's rate (`-L`): bits a second, a whole number, k, m, g of either case are powers of 1000. The result is in bytes
/// a second, rounded down but at least 1 for anything that is not 0.
///
/// # Errors
/// Anything else.
pub fn parse_mscp_bit_rate(text: &str) -> Result<Rate, SizeError> {
    let bits = parse_mscp(text, 1000)?;
    Ok(Rate(if bits == 0 { 0 } else { (bits / 8).max(1) }))
}

fn parse_mscp(text: &str, base: u64) -> Result<u64, SizeError> {
    let (number, unit) = split_number(text);
    if number.is_empty() || number.contains('.') {
        return Err(SizeError::NotANumber(text.to_owned()));
    }
    let power = match unit {
        "" => 0,
        "k" | "K" => 1,
        "m" | "M" => 2,
        "g" | "G" => 3,
        _ => {
            return Err(SizeError::UnknownUnit {
                text: text.to_owned(),
                unit: unit.to_owned(),
            });
        }
    };
    scale(text, number, base.pow(power))
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&three_figures(self.0))
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{}/s", three_figures(self.0)))
    }
}

/// `999 B`, `1.24 GB`, `31.0 MB`, `310 MB`.
fn three_figures(bytes: u64) -> String {
    const UNITS: [&str; 7] = ["B", "kB", "MB", "GB", "TB", "PB", "EB"];
    if bytes < 1000 {
        return format!("{bytes} B");
    }
    let mut value = bytes as f64;
    let mut unit = 0;
    // 999.5 would be shown as 1000: that is 1.00 of the next unit.
    while value >= 999.5 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    let decimals = match value {
        v if v < 9.995 => 2,
        v if v < 99.95 => 1,
        _ => 0,
    };
    format!("{value:.decimals$} {}", UNITS[unit])
}

impl fmt::Display for Elapsed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs_f64();
        if seconds < 9.995 {
            return f.pad(&format!("{seconds:.2} s"));
        }
        if seconds < 59.95 {
            return f.pad(&format!("{seconds:.1} s"));
        }
        let whole = seconds.round() as u64;
        let (days, hours, minutes) = (whole / 86_400, whole / 3600 % 24, whole / 60 % 60);
        f.pad(&if days > 0 {
            format!("{days}d {hours:02}h")
        } else if hours > 0 {
            format!("{hours}h {minutes:02}m")
        } else {
            format!("{minutes}m {:02}s", whole % 60)
        })
    }
}
