//! Memory and disk of machines. Unlike the sizes of files, their letters are powers of 1024, as QEMU and mdx mean them.

use std::fmt;
use std::str::FromStr;

/// Memory in MiB: read as `512M`, `64G`, `1T`, also with `i` or `iB` after the letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory(pub u64);

/// Disk in GiB: read as `500G`, `1T`, also with `i` or `iB` after the letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Disk(pub u64);

/// A text that is no amount of memory or disk.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum NotAnAmount {
    /// No whole number with a unit.
    #[error("`{0}` is no amount: write a whole number and M, G, T or P (powers of 1024), for example 64G; or 0")]
    Form(String),
    /// Finer than what is counted.
    #[error("`{text}` is finer than what is counted: whole {unit}")]
    TooFine {
        /// What was typed.
        text: String,
        /// What is counted.
        unit: &'static str,
    },
}

impl FromStr for Memory {
    type Err = NotAnAmount;

    fn from_str(text: &str) -> Result<Self, NotAnAmount> {
        mebibytes(text).map(Self)
    }
}

impl FromStr for Disk {
    type Err = NotAnAmount;

    fn from_str(text: &str) -> Result<Self, NotAnAmount> {
        let mebibytes = mebibytes(text)?;
        if !mebibytes.is_multiple_of(1024) {
            return Err(NotAnAmount::TooFine {
                text: text.to_owned(),
                unit: "GiB",
            });
        }
        Ok(Self(mebibytes / 1024))
    }
}

fn mebibytes(text: &str) -> Result<u64, NotAnAmount> {
    let form = || NotAnAmount::Form(text.to_owned());
    if text == "0" {
        return Ok(0);
    }
    let end = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(form)?;
    let (number, unit) = text.split_at(end);
    let unit = unit
        .strip_suffix("iB")
        .or_else(|| unit.strip_suffix('i'))
        .unwrap_or(unit);
    let scale: u64 = match unit {
        "m" | "M" => 1,
        "g" | "G" => 1 << 10,
        "t" | "T" => 1 << 20,
        "p" | "P" => 1 << 30,
        _ => return Err(form()),
    };
    let number: u64 = number.parse().map_err(|_| form())?;
    number.checked_mul(scale).ok_or_else(form)
}

impl fmt::Display for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&largest(self.0, &["MiB", "GiB", "TiB", "PiB"]))
    }
}

impl fmt::Display for Disk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&largest(self.0, &["GiB", "TiB", "PiB"]))
    }
}

/// In the largest unit that leaves a whole number: what is shown is exact.
fn largest(mut number: u64, units: &[&str]) -> String {
    let mut units = units.iter().copied();
    let mut unit = units.next().unwrap_or_default();
    for larger in units {
        if number == 0 || !number.is_multiple_of(1024) {
            break;
        }
        (number, unit) = (number / 1024, larger);
    }
    format!("{number} {unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_are_powers_of_1024() {
        for (text, mebibytes) in [
            ("512M", 512),
            ("64G", 65_536),
            ("64Gi", 65_536),
            ("64GiB", 65_536),
            ("1T", 1 << 20),
        ] {
            assert_eq!(text.parse(), Ok(Memory(mebibytes)), "{text}");
        }
        assert_eq!("0".parse(), Ok(Memory(0)));
        assert_eq!("1T".parse(), Ok(Disk(1024)));
        assert_eq!("2048M".parse(), Ok(Disk(2)));
    }

    #[test]
    fn what_is_no_amount_is_refused() {
        for text in [
            "",
            "64",
            "G",
            "1.5G",
            "-1G",
            "64k",
            "64 G",
            "99999999999999999999G",
            "18446744073709551615P",
        ] {
            assert!(matches!(text.parse::<Memory>(), Err(NotAnAmount::Form(_))), "{text}");
        }
        assert!(matches!("500M".parse::<Disk>(), Err(NotAnAmount::TooFine { .. })));
    }

    #[test]
    fn amounts_are_shown_exactly() {
        assert_eq!(Memory(65_536).to_string(), "64 GiB");
        assert_eq!(Memory(1546).to_string(), "1546 MiB");
        assert_eq!(Disk(1024).to_string(), "1 TiB");
        assert_eq!(Disk(0).to_string(), "0 GiB");
    }
}
