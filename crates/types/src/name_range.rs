//! Ranges in names: `node-[01-16]` stands for sixteen machines.
//!
//! The clients of mdx work out the names by themselves and look for them afterwards, so this does it exactly as they do: one
//! range, both ends in it, each number with leading zeros to the length of the longer end; a single number in brackets loses
//! the brackets.

/// The most names that a range stands for.
pub const MOST: usize = 200;

/// Why a text stands for no names.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum NoNames {
    /// Signs that no name of a machine has.
    #[error("a name holds ASCII letters, digits, `.`, `_` and `-`, and at most one range such as `[1-3]`")]
    Character,
    /// Brackets that are no range, or a second one.
    #[error("`[` and `]` are for one range of numbers such as `node-[01-16]`")]
    Brackets,
    /// The first number is greater than the last.
    #[error("the range {first}-{last} is empty: the first number is the smaller one")]
    Empty {
        /// The first.
        first: u64,
        /// The last.
        last: u64,
    },
    /// Too many.
    #[error("the range {first}-{last} stands for more than {MOST} names")]
    TooMany {
        /// The first.
        first: u64,
        /// The last.
        last: u64,
    },
}

/// The names that `text` stands for, in their order. Whether each is a name is for whoever takes it to say.
///
/// # Errors
///
/// When it stands for none, or for too many.
pub fn expand(text: &str) -> Result<Vec<String>, NoNames> {
    if !text.is_ascii()
        || text
            .bytes()
            .any(|byte| byte.is_ascii_control() || byte == b'/' || byte == b' ')
    {
        return Err(NoNames::Character);
    }
    let Some((before, rest)) = text.rsplit_once('[') else {
        return if text.contains(']') {
            Err(NoNames::Brackets)
        } else {
            Ok(vec![text.to_owned()])
        };
    };
    let (within, behind) = rest.split_once(']').ok_or(NoNames::Brackets)?;
    if before.contains(['[', ']']) || behind.contains(']') {
        return Err(NoNames::Brackets);
    }
    let name = |number: &str| format!("{before}{number}{behind}");
    let Some((first, last)) = within.split_once('-') else {
        number(within)?;
        return Ok(vec![name(within)]);
    };
    let width = first.len().max(last.len());
    let (first, last) = (number(first)?, number(last)?);
    if first > last {
        return Err(NoNames::Empty { first, last });
    }
    if last - first >= MOST as u64 {
        return Err(NoNames::TooMany { first, last });
    }
    Ok((first..=last)
        .map(|number| name(&format!("{number:0width$}")))
        .collect())
}

/// Digits and nothing else, few enough that they are a number.
fn number(digits: &str) -> Result<u64, NoNames> {
    let plain = (1..=18).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
    digits.parse().ok().filter(|_| plain).ok_or(NoNames::Brackets)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> Vec<String> {
        expand(text).unwrap()
    }

    #[test]
    fn a_range_stands_for_the_names_that_clients_of_mdx_work_out() {
        assert_eq!(names("a-[1-3]"), ["a-1", "a-2", "a-3"]);
        assert_eq!(names("n[08-11]"), ["n08", "n09", "n10", "n11"]);
        let ten = names("v[1-10]");
        assert_eq!((ten.len(), ten[0].as_str(), ten[9].as_str()), (10, "v01", "v10"));
        assert_eq!(names("x[1-002]y"), ["x001y", "x002y"]);
        assert_eq!(names("[7-7].lab"), ["7.lab"]);
    }

    #[test]
    fn a_single_number_loses_its_brackets_and_a_plain_name_stays() {
        assert_eq!(names("name[5]"), ["name5"]);
        assert_eq!(names("name[05]x"), ["name05x"]);
        assert_eq!(names("test-1"), ["test-1"]);
    }

    #[test]
    fn two_hundred_names_are_the_most() {
        assert_eq!(names("n[1-200]").len(), 200);
        assert_eq!(expand("n[0-200]"), Err(NoNames::TooMany { first: 0, last: 200 }));
        assert!(matches!(
            expand("n[0-999999999999999999]"),
            Err(NoNames::TooMany { .. })
        ));
        assert_eq!(expand("n[3-1]"), Err(NoNames::Empty { first: 3, last: 1 }));
    }

    #[test]
    fn brackets_outside_the_pattern_and_other_signs_are_refused() {
        for text in [
            "a[",
            "a]",
            "a[]",
            "a[x]",
            "a[1-]",
            "a[-1]",
            "a[1-2",
            "a1-2]",
            "a[1-2][3-4]",
            "a[[1-2]]",
            "a]1-2[",
            "a[1-2]]",
            "a[+1-2]",
            "a[1 -2]",
            "a[1-2-3]",
            "a[9999999999999999999-1]",
        ] {
            assert!(expand(text).is_err(), "{text}");
        }
        for text in ["計算[1-2]", "a[１-２]", "a b", "a/b", "a\n", "a\u{0}"] {
            assert_eq!(expand(text), Err(NoNames::Character), "{text}");
        }
    }
}
