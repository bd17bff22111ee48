//! Lower-case hexadecimal, both ways. Private: what is shown to users has its own types.

use std::fmt;

const DIGITS: &[u8; 16] = b"0123456789abcdef";

/// Writes two lower-case digits a byte.
pub(crate) fn write(bytes: &[u8], f: &mut impl fmt::Write) -> fmt::Result {
    bytes.iter().try_for_each(|&byte| write_byte(byte, f))
}

/// Writes one byte as two lower-case digits.
pub(crate) fn write_byte(byte: u8, f: &mut impl fmt::Write) -> fmt::Result {
    f.write_char(DIGITS[usize::from(byte >> 4)].into())?;
    f.write_char(DIGITS[usize::from(byte & 15)].into())
}

/// The value of one digit, either case.
pub(crate) fn digit(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

/// Reads exactly 64 digits.
pub(crate) fn read_32(text: &str) -> Option<[u8; 32]> {
    let text = text.as_bytes();
    if text.len() != 64 {
        return None;
    }
    let mut bytes = [0; 32];
    for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(bytes)
}
