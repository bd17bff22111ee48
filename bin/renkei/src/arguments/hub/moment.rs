//! A moment, as people write it: in some days, on a day, or exactly.

use std::str::FromStr;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

/// When.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// So long from now.
    In(SignedDuration),
    /// Then.
    At(Timestamp),
}

/// A text that is no moment.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "`{0}` is no time: write 90m, 12h, 30d or 2w from now, a day as 2027-03-31 (its beginning in UTC), or 2027-03-31T18:00:00+09:00"
)]
pub struct NotAMoment(String);

impl Moment {
    /// As a time, seen from `now`; the latest time there is when it is further away.
    pub fn seen_from(self, now: Timestamp) -> Timestamp {
        match self {
            Self::In(duration) => now.saturating_add(duration).unwrap_or(Timestamp::MAX),
            Self::At(time) => time,
        }
    }
}

impl FromStr for Moment {
    type Err = NotAMoment;

    fn from_str(text: &str) -> Result<Self, NotAMoment> {
        let exact = || text.parse::<Timestamp>().ok();
        // A date and a time without an offset would be read as the date alone.
        let date = || text.parse::<Date>().ok().filter(|_| text.len() == "2027-03-31".len());
        let day = || date()?.to_zoned(TimeZone::UTC).ok().map(|zoned| zoned.timestamp());
        if let Some(duration) = duration(text) {
            return Ok(Self::In(duration));
        }
        exact()
            .or_else(day)
            .map(Self::At)
            .ok_or_else(|| NotAMoment(text.to_owned()))
    }
}

/// `90m`, `12h`, `30d`, `2w`.
fn duration(text: &str) -> Option<SignedDuration> {
    let number = text.get(..text.len().checked_sub(1)?)?;
    let seconds = match text.chars().last()? {
        'm' => 60,
        'h' => 3600,
        'd' => 86_400,
        'w' => 604_800,
        _ => return None,
    };
    let number: u32 = number
        .bytes()
        .all(|digit| digit.is_ascii_digit())
        .then(|| number.parse().ok())??;
    Some(SignedDuration::from_secs(i64::from(number) * seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_days_and_times_are_read() {
        let now: Timestamp = "2026-11-21T12:00:00Z".parse().unwrap();
        for (text, then) in [
            ("90m", "2026-11-21T13:30:00Z"),
            ("12h", "2026-11-22T00:00:00Z"),
            ("30d", "2026-12-21T12:00:00Z"),
            ("2w", "2026-12-05T12:00:00Z"),
            ("2027-03-31", "2027-03-31T00:00:00Z"),
            ("2027-03-31T18:00:00+09:00", "2027-03-31T09:00:00Z"),
            ("2027-03-31T09:00:00Z", "2027-03-31T09:00:00Z"),
        ] {
            let moment: Moment = text.parse().unwrap();
            assert_eq!(moment.seen_from(now).to_string(), then, "{text}");
        }
    }

    #[test]
    fn what_is_no_moment_is_named() {
        for text in [
            "",
            "d",
            "-1d",
            "+1d",
            "1y",
            "30",
            "tomorrow",
            "2027-02-30",
            "2027-03-31T18:00",
            "日",
        ] {
            let error = text.parse::<Moment>().unwrap_err();
            assert!(error.to_string().contains(&format!("`{text}`")), "{text}");
        }
    }

    #[test]
    fn a_moment_beyond_all_calendars_is_the_last_one() {
        let moment: Moment = "4294967295w".parse().unwrap();
        assert_eq!(moment.seen_from(Timestamp::UNIX_EPOCH), Timestamp::MAX);
    }
}
