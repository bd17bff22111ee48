//! Passwords: which are taken, how they are kept, how they are checked.
//!
//! Kept as Argon2id in the PHC string form, with the parameters of OWASP's Password Storage Cheat Sheet: 19 MiB, 2 passes,
//! 1 lane. Rules as in NIST SP 800-63B, section 5.1.1: long enough, not a common one, nothing about kinds of characters.
//!
//! Hashing takes tens of milliseconds of a processor and 19 MiB: whoever serves requests does it off the async threads and
//! only some at once.

use std::fmt;
use std::hint::black_box;

use argon2::password_hash::{self, PasswordHasher as _, PasswordVerifier as _, phc};
use argon2::{Algorithm, Argon2, Params, Version};
use renkei_types::name::UserName;

use crate::secret::NoRandomness;

/// Characters that a password has at least.
pub const SHORTEST: usize = 12;
/// Characters that a password has at most.
pub const LONGEST: usize = 256;

/// How new passwords are hashed.
const PARAMS: Params = Params::DEFAULT;
/// More memory than this (KiB) or passes than this no hub of ours has ever written: a row that asks for them would only
/// bring the hub down.
const MOST_MEMORY: u32 = 1 << 20;
const MOST_PASSES: u32 = 64;

/// Passwords of [`SHORTEST`] characters and more from the tops of published lists, and those that this product invites.
const COMMON: &[&str] = &[
    "012345678910",
    "0123456789ab",
    "123456654321",
    "123456789012",
    "1234567890123",
    "12345678901234",
    "1234567891011",
    "123456789abc",
    "1234567890qwerty",
    "1234qwerasdf",
    "1234qwerasdfzxcv",
    "1q2w3e4r5t6y",
    "1q2w3e4r5t6y7u",
    "1q2w3e4r5t6y7u8i",
    "1qaz2wsx3edc",
    "1qaz2wsx3edc4rfv",
    "987654321012",
    "abcd12345678",
    "abcdefghijkl",
    "abcdefghijklm",
    "admin1234567",
    "admin12345678",
    "adminadminadmin",
    "administrator",
    "administrator1",
    "administrator123",
    "asdfghjkl123",
    "asdfghjklzxcvbnm",
    "basketball123",
    "changeme1234",
    "changemenow!",
    "changemeplease",
    "correcthorsebatterystaple",
    "correct horse battery staple",
    "football1234",
    "iloveyou1234",
    "letmein12345",
    "p@ssw0rd1234",
    "p@ssword1234",
    "passw0rd1234",
    "password0000",
    "password1234",
    "password12345",
    "password123456",
    "password1234567",
    "password12345678",
    "password123!",
    "password1password1",
    "passwordpassword",
    "q1w2e3r4t5y6",
    "q1w2e3r4t5y6u7i8",
    "qazwsxedcrfv",
    "qwer1234qwer",
    "qwerty123456",
    "qwerty1234567",
    "qwerty12345678",
    "qwertyqwerty",
    "qwertyuiop12",
    "qwertyuiop123",
    "qwertyuiop[]",
    "qwertyuiopasdf",
    "qwertyuiopasdfghjkl",
    "renkei123456",
    "renkeirenkei",
    "secret123456",
    "superman1234",
    "test12345678",
    "testtesttest",
    "trustno1trustno1",
    "welcome12345",
    "zaq12wsxcde3",
    "zxcvbnm12345",
    "zxcvbnmasdfghjkl",
];

/// A password as it is kept.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash(phc::PasswordHash);

/// Why a password is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// Too short.
    #[error("a password has at least {SHORTEST} characters")]
    Short,
    /// Too long.
    #[error("a password has at most {LONGEST} characters")]
    Long,
    /// It is the user's name.
    #[error("the user name is no password")]
    Name,
    /// It is one of those that are tried first.
    #[error("this password is one of the first that anybody would try")]
    Common,
}

/// A password could not be hashed.
#[derive(Debug, thiserror::Error)]
pub enum NotHashed {
    /// There is no salt.
    #[error("a password could not be hashed")]
    Randomness(#[from] NoRandomness),
    /// Argon2 refused.
    #[error("a password could not be hashed")]
    Argon2(#[source] password_hash::Error),
}

/// A text that is not an Argon2id hash that this product would have written. Never holds the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is not the hash of a password: it must be an Argon2id PHC string of at most 1 GiB and 64 passes")]
pub struct NotAHash;

/// Whether a new password may be taken.
///
/// # Errors
///
/// When it may not, with the reason.
pub fn check_new(password: &str, user: &UserName) -> Result<(), Unfit> {
    let characters = password.chars().count();
    if characters < SHORTEST {
        return Err(Unfit::Short);
    }
    if characters > LONGEST {
        return Err(Unfit::Long);
    }
    let folded = password.to_lowercase();
    if folded == user.as_str() {
        return Err(Unfit::Name);
    }
    if COMMON.contains(&folded.as_str()) || repeats(&folded) {
        return Err(Unfit::Common);
    }
    Ok(())
}

/// Whether it is a part of one to four characters over and over.
fn repeats(password: &str) -> bool {
    (1..=4).any(|part| {
        password
            .chars()
            .skip(part)
            .eq(password.chars().take(password.chars().count() - part))
    })
}

/// Whether `password` is the one that is kept. Without one (no such account, or an account without a password) the answer is
/// no, and takes as long.
pub fn verify(password: &str, kept: Option<&PasswordHash>) -> bool {
    // A character has at most four bytes; more was never taken, and how long it takes to say so tells only what was sent.
    if password.len() > LONGEST * 4 {
        return false;
    }
    if let Some(PasswordHash(kept)) = kept {
        return hasher().verify_password(password.as_bytes(), kept).is_ok();
    }
    let mut out = [0_u8; Params::DEFAULT_OUTPUT_LEN];
    let done = hasher().hash_password_into(password.as_bytes(), b"nobody's password", &mut out);
    let _ = black_box((done, out));
    false
}

fn hasher() -> Argon2<'static> {
    Argon2::new(Algorithm::Argon2id, Version::V0x13, PARAMS)
}

impl PasswordHash {
    /// Hashes a password that [`check_new`] has let pass.
    ///
    /// # Errors
    ///
    /// When there are no random bytes, or not enough memory.
    pub fn new(password: &str) -> Result<Self, NotHashed> {
        let mut salt = [0; 16];
        getrandom::fill(&mut salt).map_err(NoRandomness::from)?;
        let hash = hasher().hash_password_with_salt(password.as_bytes(), &salt);
        hash.map(Self).map_err(NotHashed::Argon2)
    }

    /// Reads what was kept.
    ///
    /// # Errors
    ///
    /// When it is no such hash.
    pub fn parse(text: &str) -> Result<Self, NotAHash> {
        let hash = phc::PasswordHash::new(text).map_err(|_| NotAHash)?;
        let params = Params::try_from(&hash).map_err(|_| NotAHash)?;
        let ours = hash.algorithm == Algorithm::Argon2id.ident()
            && hash.salt.is_some()
            && hash.hash.is_some()
            && params.m_cost() <= MOST_MEMORY
            && params.t_cost() <= MOST_PASSES;
        if ours { Ok(Self(hash)) } else { Err(NotAHash) }
    }

    /// To be kept: a PHC string.
    pub fn to_phc(&self) -> String {
        self.0.to_string()
    }

    /// Whether new passwords are hashed otherwise by now: at the next sign-in, when the password is at hand, it should be
    /// hashed again.
    pub fn needs_rehash(&self) -> bool {
        let same = |params: Params| {
            (params.m_cost(), params.t_cost(), params.p_cost()) == (PARAMS.m_cost(), PARAMS.t_cost(), PARAMS.p_cost())
        };
        self.0.version != Some(Version::V0x13.into()) || !Params::try_from(&self.0).is_ok_and(same)
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "tuna on the blue roof";

    fn fit(password: &str) -> Result<(), Unfit> {
        check_new(password, &"alice.liddell".parse().unwrap())
    }

    #[test]
    fn a_password_is_right_and_no_other() {
        let kept = PasswordHash::parse(&PasswordHash::new(GOOD).unwrap().to_phc()).unwrap();
        assert!(verify(GOOD, Some(&kept)));
        assert!(!verify("tuna on the blue rooF", Some(&kept)));
        assert!(!verify("", Some(&kept)));
        assert!(!kept.needs_rehash());
    }

    #[test]
    fn the_same_password_is_kept_otherwise_each_time() {
        let (one, other) = (PasswordHash::new(GOOD).unwrap(), PasswordHash::new(GOOD).unwrap());
        assert_ne!(one.to_phc(), other.to_phc());
        assert!(
            one.to_phc().starts_with("$argon2id$v=19$m=19456,t=2,p=1$"),
            "{}",
            one.to_phc()
        );
    }

    #[test]
    fn nobody_has_no_password() {
        for password in ["", GOOD, "nobody's password"] {
            assert!(!verify(password, None));
        }
    }

    // From the tests of the reference implementation, phc-winner-argon2, `src/test.c`.
    #[test]
    fn a_hash_of_another_maker_is_read_and_to_be_made_anew() {
        let text = "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc";
        let kept = PasswordHash::parse(text).unwrap();
        assert!(verify("password", Some(&kept)));
        assert!(!verify("Password", Some(&kept)));
        assert!(kept.needs_rehash());
    }

    #[test]
    fn what_is_no_hash_of_ours_is_refused() {
        let good = PasswordHash::new(GOOD).unwrap().to_phc();
        for bad in [
            String::new(),
            GOOD.to_owned(),
            good.replace("argon2id", "argon2i"),
            good.replace("m=19456", "m=4194304"),
            good.replace("t=2", "t=4294967295"),
            good.rsplit_once('$').unwrap().0.to_owned(),
        ] {
            assert_eq!(PasswordHash::parse(&bad).unwrap_err(), NotAHash, "{bad}");
        }
    }

    #[test]
    fn length_is_counted_in_characters() {
        assert_eq!(fit("elevenchars"), Err(Unfit::Short));
        assert_eq!(fit("青い屋根の上のまぐろ一つ"), Ok(()));
        assert_eq!(fit("青い屋根の上のまぐろ"), Err(Unfit::Short));
        let long: String = ('a'..='z').cycle().take(257).collect();
        assert_eq!(fit(&long), Err(Unfit::Long));
        assert_eq!(fit(&long[..256]), Ok(()));
    }

    #[test]
    fn what_is_tried_first_is_refused() {
        assert_eq!(fit("Alice.Liddell"), Err(Unfit::Name));
        for password in ["PasswordPassword", "aaaaaaaaaaaa", "abcabcabcabca", "123412341234"] {
            assert_eq!(fit(password), Err(Unfit::Common), "{password}");
        }
    }

    #[test]
    fn nothing_is_asked_about_kinds_of_characters() {
        assert_eq!(fit("just lower case"), Ok(()));
        assert_eq!(fit("204857193648"), Ok(()));
        assert_eq!(fit(&crate::secret::one_time_password().unwrap()), Ok(()));
    }

    #[test]
    fn the_list_holds_only_what_length_would_let_pass() {
        for common in COMMON {
            assert!(
                common.chars().count() >= SHORTEST,
                "{common} is refused for its length already"
            );
            assert_eq!(*common, common.to_lowercase());
        }
    }
}
