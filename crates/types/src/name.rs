//! Names that people give: checked once, where they come in.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The longest name, in characters.
pub const LONGEST: usize = 64;

/// The name of an organization, project, site or token: 1 to [`LONGEST`] characters of any script, none of them a control or
/// format character, no space at either end, and no `/`, which separates names in commands.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(try_from = "String", into = "String")]
#[schema(value_type = String, min_length = 1, max_length = 64, pattern = "^[^\\s/\\p{C}]([^/\\p{C}]*[^\\s/\\p{C}])?$")]
pub struct Name(String);

/// The name with which a user signs in: 1 to 32 of `a`–`z`, `0`–`9`, `.`, `_`, `-`, the first one a letter.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(try_from = "String", into = "String")]
#[schema(value_type = String, min_length = 1, max_length = 32, pattern = "^[a-z][a-z0-9._-]{0,31}$")]
pub struct UserName(String);

/// The name of a machine, which its guest gets as host name: 1 to 63 of `A`–`Z`, `a`–`z`, `0`–`9`, `.`, `_`, `-`, a letter or digit first
/// and last (RFC 1123, section 2.1, and the underscore that mdx takes).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(try_from = "String", into = "String")]
#[schema(value_type = String, min_length = 1, max_length = 63, pattern = "^[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$")]
pub struct VmName(String);

/// Why a text is not a name.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum NotAName {
    /// Empty, or too long.
    #[error("a name has 1 to {LONGEST} characters")]
    Length,
    /// Control or format characters, `/`, or space at an end.
    #[error("a name has no control characters, no `/`, and no space at its ends")]
    Character,
    /// See [`UserName`].
    #[error("a user name has 1 to 32 of a–z, 0–9, `.`, `_`, `-`, the first one a letter")]
    User,
    /// See [`VmName`].
    #[error("a machine's name has 1 to 63 of A–Z, a–z, 0–9, `.`, `_`, `-`, a letter or digit first and last")]
    Vm,
}

impl Name {
    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What two names have in common that a person would take for the same: used where names must differ.
    pub fn folded(&self) -> String {
        self.0.to_lowercase()
    }
}

impl UserName {
    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl VmName {
    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What two names have in common that a person would take for the same.
    pub fn folded(&self) -> String {
        self.0.to_ascii_lowercase()
    }
}

impl TryFrom<String> for VmName {
    type Error = NotAName;

    fn try_from(text: String) -> Result<Self, NotAName> {
        let ends = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
        let allowed = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        let sound = ends(text.chars().next()) && ends(text.chars().last()) && text.chars().all(allowed);
        if !sound || text.len() > 63 {
            return Err(NotAName::Vm);
        }
        Ok(Self(text))
    }
}

impl TryFrom<String> for Name {
    type Error = NotAName;

    fn try_from(text: String) -> Result<Self, NotAName> {
        if text.is_empty() || text.chars().count() > LONGEST {
            return Err(NotAName::Length);
        }
        let printable = crate::printable::Printable(text.as_bytes()).to_string() == text.replace('\\', "\\\\");
        if !printable || text.contains('/') || text.trim() != text {
            return Err(NotAName::Character);
        }
        Ok(Self(text))
    }
}

impl TryFrom<String> for UserName {
    type Error = NotAName;

    fn try_from(text: String) -> Result<Self, NotAName> {
        let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-".contains(c);
        let first = text.chars().next().is_some_and(|c| c.is_ascii_lowercase());
        if !first || text.len() > 32 || !text.chars().all(allowed) {
            return Err(NotAName::User);
        }
        Ok(Self(text))
    }
}

macro_rules! texts {
    ($($name:ident)*) => {$(
        impl FromStr for $name {
            type Err = NotAName;

            fn from_str(text: &str) -> Result<Self, NotAName> {
                Self::try_from(text.to_owned())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0
            }
        }
    )*};
}

texts! { Name UserName VmName }

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_any_script_are_taken() {
        for text in ["OCS-Developer", "計算科学", "a b", "C:\\x", "x".repeat(64).as_str()] {
            assert!(text.parse::<Name>().is_ok(), "{text}");
        }
    }

    #[test]
    fn names_that_would_mislead_are_refused() {
        assert_eq!("".parse::<Name>(), Err(NotAName::Length));
        assert_eq!("x".repeat(65).parse::<Name>(), Err(NotAName::Length));
        for text in [" a", "a ", "a\nb", "a/b", "a\u{202e}b", "\u{1b}[2J"] {
            assert_eq!(text.parse::<Name>(), Err(NotAName::Character), "{text:?}");
        }
    }

    #[test]
    fn machines_have_names_that_guests_can_have() {
        for text in ["a", "test-1", "node_01.lab", &"a".repeat(63)] {
            assert!(text.parse::<VmName>().is_ok(), "{text}");
        }
        for text in ["", "-a", "a-", "a b", "計算", "a[1-3]", &"a".repeat(64)] {
            assert_eq!(text.parse::<VmName>(), Err(NotAName::Vm), "{text:?}");
        }
    }

    #[test]
    fn user_names_are_plain() {
        assert!("admin".parse::<UserName>().is_ok());
        for text in ["", "Admin", "1a", "a b", "a@b", "ａ", &"a".repeat(33)] {
            assert_eq!(text.parse::<UserName>(), Err(NotAName::User), "{text:?}");
        }
    }
}
