//! How often one may try to sign in.
//!
//! Failures are counted per account and per address. Five are free; then each one doubles the time for which nothing is
//! checked, from a second to a quarter of an hour. A quarter of an hour without a failure takes one off the count. The right
//! password clears its account; it does not clear the address, or an attacker with one account could go on for ever with
//! those of others.
//!
//! The store keeps a [`Failures`] per [`Key`]. In one transaction it reads both and writes what [`begin`] gives; then the
//! password is checked; then it writes what [`right`] or [`wrong`] makes of them, read anew. Because an attempt
//! counts for its account before it is checked, a hundred at once are not a hundred guesses.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::secret::sha256;

/// Failures before there is any delay.
const FREE: u32 = 5;
/// The delay after the last free one.
const FIRST: SignedDuration = SignedDuration::from_secs(1);
/// No delay is longer.
const LONGEST: SignedDuration = SignedDuration::from_mins(15);
/// After as long without a failure one is forgotten.
const FORGET: SignedDuration = SignedDuration::from_mins(15);
/// More are not counted, so that an account is free again after some hours whatever was done to it: the first count with
/// the longest delay.
const MOST: u32 = FREE + 10;

/// What failures are counted for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(String);

/// The failures counted for one key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failures {
    /// How many at the time of the last.
    count: u32,
    /// When the last was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    last: Option<Timestamp>,
}

/// Nothing is checked before a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many failed sign-ins: nothing is checked before {until}")]
pub struct Locked {
    /// When it is checked again.
    pub until: Timestamp,
}

/// An attempt that may be checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "an attempt that is not counted before it is checked can be repeated without limit"]
pub struct Begun {
    /// What is to be kept for the account before the password is checked.
    pub account: Failures,
}

/// Whether a password may be checked now.
///
/// # Errors
///
/// When the account or the address is locked. Such an attempt is not counted.
pub fn begin(account: Failures, address: Failures, now: Timestamp) -> Result<Begun, Locked> {
    match account.locked(now).max(address.locked(now)) {
        Some(until) => Err(Locked { until }),
        None => Ok(Begun {
            account: account.and_one(now),
        }),
    }
}

/// What is to be kept for the account after the right password, and the address stays as it is.
pub fn right() -> Failures {
    Failures::default()
}

/// What is to be kept for the address after a wrong password; the account's failure was counted by [`begin`].
pub fn wrong(address: Failures, now: Timestamp) -> Failures {
    address.and_one(now)
}

impl Failures {
    /// Until when nothing is checked; none if it is checked.
    fn locked(self, now: Timestamp) -> Option<Timestamp> {
        let beyond = self.count.checked_sub(FREE)?;
        // Ten doublings of a second are already beyond the longest.
        let delay = (FIRST * (1 << beyond.min(10))).min(LONGEST);
        // Another hub's clock may be ahead; it cannot make the delay longer than it is.
        let until = self.last?.min(now).saturating_add(delay).ok()?;
        (now < until).then_some(until)
    }

    /// With one more failure.
    fn and_one(self, now: Timestamp) -> Self {
        Self {
            count: self.remaining(now).saturating_add(1).min(MOST),
            last: Some(self.last.map_or(now, |last| last.max(now))),
        }
    }

    /// How many are not forgotten.
    fn remaining(self, now: Timestamp) -> u32 {
        let quiet = self.last.map_or(SignedDuration::ZERO, |last| now.duration_since(last));
        let forgotten = u32::try_from(quiet.as_secs() / FORGET.as_secs()).unwrap_or_default();
        self.count.saturating_sub(forgotten)
    }

    /// Whether it says nothing any more, so that its row can go.
    pub fn forgotten(self, now: Timestamp) -> bool {
        self.remaining(now) == 0
    }
}

impl Key {
    /// That of an account, by the name that was typed, whether there is such an account or not.
    ///
    /// The name is hashed: people type passwords into the field for the name.
    pub fn account(name: &str) -> Self {
        let hash = sha256(name.trim().to_lowercase().as_bytes());
        Self(
            hash.iter()
                .fold("account ".to_owned(), |key, byte| format!("{key}{byte:02x}")),
        )
    }

    /// That of an address. In IPv6 it is the /64: within it whoever has one address has them all.
    pub fn address(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self(format!("address {address}")),
            IpAddr::V6(address) => {
                let network = Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX));
                Self(format!("address {network}/64"))
            }
        }
    }

    /// To be kept.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    fn after(failures: u32, now: Timestamp) -> Failures {
        (0..failures).fold(Failures::default(), |kept, _| kept.and_one(now))
    }

    #[test]
    fn four_failures_cost_nothing_and_the_fifth_a_second() {
        assert!(begin(after(4, at(0)), Failures::default(), at(0)).is_ok());
        let locked = begin(after(5, at(0)), Failures::default(), at(0)).unwrap_err();
        assert_eq!(locked.until, at(1));
        assert!(begin(after(5, at(0)), Failures::default(), at(1)).is_ok());
    }

    #[test]
    fn the_delay_doubles_up_to_a_quarter_of_an_hour() {
        let delays: Vec<i64> = (5..=17)
            .map(|failures| {
                after(failures, at(0))
                    .locked(at(0))
                    .unwrap()
                    .duration_since(at(0))
                    .as_secs()
            })
            .collect();
        assert_eq!(delays, [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900, 900]);
    }

    #[test]
    fn either_one_locks_and_the_later_time_counts() {
        let (some, more) = (after(6, at(0)), after(9, at(0)));
        assert_eq!(begin(some, more, at(0)), Err(Locked { until: at(16) }));
        assert_eq!(begin(more, some, at(0)), Err(Locked { until: at(16) }));
    }

    #[test]
    fn an_attempt_counts_before_it_is_checked() {
        let mut account = Failures::default();
        let begun = (0..100).filter(|_| match begin(account, Failures::default(), at(0)) {
            Ok(begun) => {
                account = begun.account;
                true
            }
            Err(_) => false,
        });
        assert_eq!(begun.count(), 5);
    }

    #[test]
    fn the_right_password_clears_the_account_not_the_address() {
        let address = after(7, at(0));
        assert_eq!(right(), Failures::default());
        assert!(begin(right(), address, at(0)).is_err());
        assert_eq!(wrong(after(4, at(0)), at(0)), after(5, at(0)));
    }

    #[test]
    fn failures_are_forgotten_one_by_one() {
        let kept = after(7, at(0));
        assert_eq!(kept.remaining(at(899)), 7);
        assert_eq!(kept.remaining(at(900)), 6);
        assert!(!kept.forgotten(at(900 * 6)));
        assert!(kept.forgotten(at(900 * 7)));
        assert!(Failures::default().forgotten(at(0)));
    }

    #[test]
    fn a_name_is_not_kept_and_counts_in_any_case() {
        assert_eq!(Key::account("Alice "), Key::account("alice"));
        assert_ne!(Key::account("alice"), Key::account("bob"));
        assert!(!Key::account("hunter22").as_str().contains("hunter22"));
        assert_eq!(Key::account("alice").as_str().len(), "account ".len() + 64);
    }

    #[test]
    fn an_ipv6_network_is_one_address() {
        let key = |text: &str| Key::address(text.parse().unwrap());
        assert_eq!(key("2001:db8::1"), key("2001:db8::ffff:0:0:2"));
        assert_ne!(key("2001:db8::1"), key("2001:db8:0:1::1"));
        assert_eq!(key("::ffff:192.0.2.1"), key("192.0.2.1"));
        assert_ne!(key("192.0.2.1"), key("192.0.2.2"));
    }

    #[test]
    fn what_is_kept_is_read_back() {
        for kept in [Failures::default(), after(6, at(3))] {
            let text = serde_json::to_string(&kept).unwrap();
            assert_eq!(serde_json::from_str::<Failures>(&text).unwrap(), kept);
        }
    }

    proptest! {
        /// Whatever is tried, in a day nobody has more guesses at an account than the free ones and four an hour, and some.
        #[test]
        fn guesses_are_few(gaps in prop::collection::vec(0_i64..2_000, 1..2_000)) {
            let (mut account, mut now, mut guesses) = (Failures::default(), 0, 0_i64);
            for gap in gaps {
                now += gap;
                if let Ok(begun) = begin(account, Failures::default(), at(now)) {
                    account = begun.account;
                    guesses += 1;
                }
            }
            prop_assert!(guesses <= i64::from(MOST) + 2 * (now / FORGET.as_secs() + 1), "{guesses} in {now} s");
        }

        /// No clock of another hub and no count locks for longer than the longest delay.
        #[test]
        fn nobody_is_locked_for_long(count in prop_oneof![0_u32..100, any::<u32>()], last in -100_000_i64..100_000, now in -100_000_i64..100_000) {
            let kept = Failures { count, last: Some(at(last)) };
            if let Some(until) = kept.locked(at(now)) {
                prop_assert!(until > at(now) && until.duration_since(at(now)) <= LONGEST);
            } else if last >= now {
                prop_assert!(count < FREE);
            }
            let _ = kept.and_one(at(now));
        }
    }
}
