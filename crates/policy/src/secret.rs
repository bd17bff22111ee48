//! Secrets that are made here: those of tokens, and one-time passwords.
//!
//! A token's secret is `renkei_`, 32 random bytes as 43 digits in base 62, and their CRC-32 as 6 more: nothing that a double
//! click or a shell would stop at, to be recognised by scanners of leaked secrets, and a typing mistake is told from a
//! revoked token without asking the database.

use std::fmt;

use aws_lc_rs::{constant_time, digest};

/// With what each token's secret begins.
pub const PREFIX: &str = "renkei_";
/// Digits of the random bytes: 62^43 is just above 2^256.
const RANDOM_DIGITS: usize = 43;
/// Digits of the checksum: 62^6 is above 2^32.
const CHECKSUM_DIGITS: usize = 6;
/// Characters of a whole secret.
const CHARACTERS: usize = PREFIX.len() + RANDOM_DIGITS + CHECKSUM_DIGITS;

/// The secret of a token. Shown once, by [`Secret::reveal`]; never kept.
#[derive(Clone)]
pub struct Secret([u8; 32]);

/// What is kept of a secret: the SHA-256 of its text, so that `sha256sum` finds the row of one that has leaked. With 256
/// random bits there is nothing to guess, so neither salt nor a slow hash would add anything.
#[derive(Clone, Copy)]
pub struct SecretHash([u8; 32]);

/// Why a text is not the secret of a token. Never holds the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotASecret {
    /// It begins otherwise.
    #[error("a token begins with `{PREFIX}`")]
    Prefix,
    /// It is too short or too long.
    #[error("a token has {CHARACTERS} characters, this has {got}: it was cut, or something was added")]
    Length {
        /// Its length in bytes.
        got: usize,
    },
    /// Something other than a letter or digit.
    #[error("after `{PREFIX}` a token has only letters and digits: character {at} is something else")]
    Character {
        /// Which one, from 1.
        at: usize,
    },
    /// The last digits do not go with the others.
    #[error("the token is mistyped: its checksum does not match")]
    Checksum,
}

/// The system has no random bytes.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the system gives no random bytes")]
pub struct NoRandomness(#[from] getrandom::Error);

impl Secret {
    /// A new one.
    ///
    /// # Errors
    ///
    /// When the system has no random bytes.
    pub fn generate() -> Result<Self, NoRandomness> {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes)?;
        Ok(Self(bytes))
    }

    /// Reads what a caller shows.
    ///
    /// # Errors
    ///
    /// When it cannot be one, with the reason, without the text.
    pub fn parse(text: &str) -> Result<Self, NotASecret> {
        let digits = text.strip_prefix(PREFIX).ok_or(NotASecret::Prefix)?;
        if let Some(at) = digits.bytes().position(|byte| value(byte).is_none()) {
            return Err(NotASecret::Character {
                at: PREFIX.len() + at + 1,
            });
        }
        let (Some(random), Some(checksum), CHARACTERS) =
            (digits.get(..RANDOM_DIGITS), digits.get(RANDOM_DIGITS..), text.len())
        else {
            return Err(NotASecret::Length { got: text.len() });
        };
        if checksum != checksum_of(random) {
            return Err(NotASecret::Checksum);
        }
        decode(random).map(Self).ok_or(NotASecret::Checksum)
    }

    /// The text that is shown to whoever asked for the token.
    pub fn reveal(&self) -> String {
        let random = encode(&self.0, RANDOM_DIGITS);
        let checksum = checksum_of(&random);
        format!("{PREFIX}{random}{checksum}")
    }

    /// What is kept, and what is looked up.
    pub fn hash(&self) -> SecretHash {
        SecretHash(sha256(self.reveal().as_bytes()))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

impl SecretHash {
    /// As it was kept.
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// To be kept.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Whether it is that of `secret`; takes as long for any other.
    pub fn is_of(&self, secret: &Secret) -> bool {
        constant_time::verify_slices_are_equal(&self.0, &secret.hash().0).is_ok()
    }
}

impl fmt::Debug for SecretHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretHash(..)")
    }
}

/// A password that is printed once and typed by a person: 5 groups of 4 from 32 signs that look different from one another
/// (no 0, 1, l, o), 100 bits.
///
/// # Errors
///
/// When the system has no random bytes.
pub fn one_time_password() -> Result<String, NoRandomness> {
    let mut bytes = [0; 20];
    getrandom::fill(&mut bytes)?;
    let groups: Vec<String> = bytes
        .chunks(4)
        .map(|group| group.iter().map(|byte| sign(*byte)).collect())
        .collect();
    Ok(groups.join("-"))
}

/// One of the 32 signs, by the low five bits.
fn sign(byte: u8) -> char {
    let sign = match byte & 31 {
        few @ 0..=7 => b'2' + few,
        few @ 8..=18 => b'a' + (few - 8),
        few @ 19..=20 => b'm' + (few - 19),
        few => b'p' + (few - 21),
    };
    char::from(sign)
}

pub(crate) fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut hash = [0; 32];
    for (to, from) in hash.iter_mut().zip(digest::digest(&digest::SHA256, bytes).as_ref()) {
        *to = *from;
    }
    hash
}

/// The checksum's digits.
fn checksum_of(random: &str) -> String {
    encode(&crc32fast::hash(random.as_bytes()).to_be_bytes(), CHECKSUM_DIGITS)
}

/// The number that the bytes are, highest first, in as many digits of base 62.
fn encode(bytes: &[u8], digits: usize) -> String {
    let mut number = bytes.to_vec();
    let mut text = Vec::with_capacity(digits);
    for _ in 0..digits {
        let mut rest = 0_u16;
        for byte in &mut number {
            let value = rest << 8 | u16::from(*byte);
            // `rest` is below 62, so the quotient is below 256.
            *byte = (value / 62) as u8;
            rest = value % 62;
        }
        text.push(digit(rest as u8));
    }
    text.iter().rev().collect()
}

/// The 32 bytes of a number in base 62; none if it has more.
fn decode(text: &str) -> Option<[u8; 32]> {
    let mut number = [0_u8; 32];
    for byte in text.bytes() {
        let mut carry = u16::from(value(byte)?);
        for place in number.iter_mut().rev() {
            let sum = u16::from(*place) * 62 + carry;
            *place = (sum & 0xff) as u8;
            carry = sum >> 8;
        }
        if carry != 0 {
            return None;
        }
    }
    Some(number)
}

fn digit(value: u8) -> char {
    char::from(match value {
        0..=9 => b'0' + value,
        10..=35 => b'A' + (value - 10),
        _ => b'a' + (value - 36),
    })
}

fn value(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'A'..=b'Z' => Some(digit - b'A' + 10),
        b'a'..=b'z' => Some(digit - b'a' + 36),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_secret_is_read_back(bytes: [u8; 32]) {
            let text = Secret(bytes).reveal();
            prop_assert_eq!(text.len(), CHARACTERS);
            prop_assert_eq!(Secret::parse(&text).unwrap().0, bytes);
        }

        #[test]
        fn one_wrong_digit_is_a_typing_mistake(bytes: [u8; 32], at in PREFIX.len()..CHARACTERS, other in 0_u8..62) {
            let text = Secret(bytes).reveal();
            let mut wrong = text.clone();
            wrong.replace_range(at..=at, &digit(other).to_string());
            prop_assume!(wrong != text);
            prop_assert_eq!(Secret::parse(&wrong).unwrap_err(), NotASecret::Checksum);
        }

        #[test]
        fn any_text_is_read_without_panic(text: String) {
            let _ = Secret::parse(&text);
            let _ = Secret::parse(&format!("{PREFIX}{text}"));
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        let text = Secret([7; 32]).reveal();
        assert_eq!(Secret::parse("ghp_x").unwrap_err(), NotASecret::Prefix);
        assert_eq!(Secret::parse(&text[..50]).unwrap_err(), NotASecret::Length { got: 50 });
        assert_eq!(
            Secret::parse(&format!("{text}A")).unwrap_err(),
            NotASecret::Length { got: 57 }
        );
        assert_eq!(
            Secret::parse(&format!("{text} ")).unwrap_err(),
            NotASecret::Character { at: 57 }
        );
    }

    #[test]
    fn a_number_that_no_32_bytes_hold_is_refused() {
        let random = "z".repeat(RANDOM_DIGITS);
        let text = format!("{PREFIX}{random}{}", checksum_of(&random));
        assert_eq!(Secret::parse(&text).unwrap_err(), NotASecret::Checksum);
    }

    // By Python's int, zlib.crc32 and hashlib.sha256.
    #[test]
    fn the_form_does_not_change() {
        let secret = Secret([7; 32]);
        assert_eq!(
            secret.reveal(),
            "renkei_1fJjkkpe9PiTw9KSulA8Ghct30vZz4HpdQ5c5b9cPF12dZ9Ea"
        );
        let kept: String = secret
            .hash()
            .as_bytes()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        assert_eq!(kept, "bb58f14d2a7052d5d0cb066f1c30149e8d705b0adef079ee86295796bc632f9c");
    }

    #[test]
    fn only_the_secret_itself_has_its_hash() {
        let (one, other) = (Secret::generate().unwrap(), Secret::generate().unwrap());
        assert!(SecretHash::new(*one.hash().as_bytes()).is_of(&one));
        assert!(!one.hash().is_of(&other));
    }

    #[test]
    fn nothing_shows_a_secret_by_accident() {
        let secret = Secret([7; 32]);
        assert_eq!(format!("{secret:?} {:?}", secret.hash()), "Secret(..) SecretHash(..)");
    }

    #[test]
    fn one_time_passwords_have_32_different_signs() {
        let signs: BTreeSet<char> = (0..=255).map(sign).collect();
        assert_eq!(
            signs.into_iter().collect::<String>(),
            "23456789abcdefghijkmnpqrstuvwxyz"
        );
        let password = one_time_password().unwrap();
        assert_eq!(password.len(), 24);
        assert_ne!(password, one_time_password().unwrap());
    }
}
