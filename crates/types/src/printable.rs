//! Names made safe to show.
//!
//! A file name is bytes and comes from a place that is not trusted: it may hold escape sequences, line ends, marks that
//! turn the writing direction, or no valid UTF-8 at all. Everything that prints a name goes through here. The names
//! that are opened are never touched.

use std::borrow::Cow;
use std::fmt::{self, Write as _};
use std::str;

use serde::Serialize;

use crate::hex;

/// Shows a name on one line, without anything that a terminal could act upon.
///
/// Printable characters stand as they are. A backslash is doubled; line feed, carriage return and tab are `\n`, `\r` and
/// `\t`; every other byte of a control, format or invalid sequence is `\x` with two lower-case digits. The form is
/// lossless: [`unescape`] gives the bytes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Printable<'a>(pub &'a [u8]);

impl fmt::Display for Printable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for chunk in self.0.utf8_chunks() {
            let valid = chunk.valid();
            let mut plain = 0;
            for (at, c) in valid.char_indices() {
                if c != '\\' && is_printable(c) {
                    continue;
                }
                let next = at + c.len_utf8();
                f.write_str(&valid[plain..at])?;
                plain = next;
                match c {
                    '\\' => f.write_str("\\\\")?,
                    '\n' => f.write_str("\\n")?,
                    '\r' => f.write_str("\\r")?,
                    '\t' => f.write_str("\\t")?,
                    _ => escape_bytes(&valid.as_bytes()[at..next], f)?,
                }
            }
            f.write_str(&valid[plain..])?;
            escape_bytes(chunk.invalid(), f)?;
        }
        Ok(())
    }
}

fn escape_bytes(bytes: &[u8], f: &mut impl fmt::Write) -> fmt::Result {
    for &byte in bytes {
        f.write_str("\\x")?;
        hex::write_byte(byte, f)?;
    }
    Ok(())
}

/// Whether a terminal shows this character and does nothing else with it.
///
/// Not so: C0 and C1 controls, line and paragraph separators, and the format characters (Unicode category Cf, which has
/// the bidirectional controls and the tags) as far as they are invisible, with the fillers that look like nothing.
#[must_use]
pub fn is_printable(c: char) -> bool {
    !(c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}'
            | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}'))
}

/// Reads back what [`Printable`] wrote; none if it is not of that form.
///
/// Whatever stands unescaped is taken as it is, so that a later version may escape more characters.
#[must_use]
pub fn unescape(text: &[u8]) -> Option<Vec<u8>> {
    let mut name = Vec::with_capacity(text.len());
    let mut bytes = text.iter().copied();
    while let Some(byte) = bytes.next() {
        name.push(match byte {
            b'\\' => match bytes.next()? {
                b'\\' => b'\\',
                b'n' => b'\n',
                b'r' => b'\r',
                b't' => b'\t',
                b'x' => hex::digit(bytes.next()?)? << 4 | hex::digit(bytes.next()?)?,
                _ => return None,
            },
            plain => plain,
        });
    }
    Some(name)
}

/// A name in JSON. To be flattened into the object that it belongs to.
///
/// `path` is the name itself where it is valid UTF-8. Else it is for reading only, with each invalid byte as `\xNN`, and
/// `path_hex` is there too and has all of the name's bytes. A reader that wants the exact name takes `path_hex` if it is
/// present and `path` otherwise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct JsonName<'a> {
    /// The name.
    pub path: Cow<'a, str>,
    /// Two lower-case digits a byte, only for a name that is not UTF-8.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path_hex: Option<String>,
}

impl<'a> From<&'a [u8]> for JsonName<'a> {
    fn from(name: &'a [u8]) -> Self {
        if let Ok(path) = str::from_utf8(name) {
            return Self {
                path: Cow::Borrowed(path),
                path_hex: None,
            };
        }
        let (mut path, mut path_hex) = (String::new(), String::new());
        for chunk in name.utf8_chunks() {
            path.push_str(chunk.valid());
            // Writing to a string cannot fail.
            let _ = escape_bytes(chunk.invalid(), &mut path);
        }
        let _ = hex::write(name, &mut path_hex);
        Self {
            path: Cow::Owned(path),
            path_hex: Some(path_hex),
        }
    }
}

/// Makes serialised JSON safe for a terminal: whatever a terminal might act upon becomes `\uNNNN`, which means the same.
///
/// JSON's own rules only escape the controls below U+0020; C1 controls and direction marks would stand as they are.
/// `json` must be one compact JSON text, where such characters only occur within strings.
#[must_use]
pub fn terminal_safe_json(json: &str) -> Cow<'_, str> {
    if json.chars().all(is_printable) {
        return Cow::Borrowed(json);
    }
    let mut safe = String::with_capacity(json.len() + 16);
    for c in json.chars() {
        if is_printable(c) {
            safe.push(c);
        } else {
            for unit in c.encode_utf16(&mut [0; 2]) {
                let _ = write!(safe, "\\u{unit:04x}");
            }
        }
    }
    Cow::Owned(safe)
}
