//! Tables for people. Whatever is in a cell came from the hub, so it goes through [`Printable`]: one line, no escapes.

use comfy_table::presets::NOTHING;
use comfy_table::{Column, Table};
use jiff::{Timestamp, Unit};
use renkei_types::freeze::Freeze;
use renkei_types::printable::Printable;

use super::names::Names;

/// What is shown where there is nothing.
const NONE: &str = "-";

/// A list: a heading and a row for each.
pub fn list(heading: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let mut table = Table::new();
    table.set_header(heading.iter().copied());
    table.add_rows(
        rows.into_iter()
            .map(|row| row.iter().map(|cell| safe(cell)).collect::<Vec<_>>()),
    );
    drawn(table)
}

/// One object: a row for each of its fields.
pub fn fields(fields: impl IntoIterator<Item = (&'static str, String)>) -> String {
    let mut table = Table::new();
    table.add_rows(fields.into_iter().map(|(name, value)| [name.to_owned(), safe(&value)]));
    drawn(table)
}

fn drawn(mut table: Table) -> String {
    table.load_style(NOTHING);
    let gap = |column: &mut Column| {
        column.set_padding((0, 2));
    };
    table.column_iter_mut().for_each(gap);
    table.trim_fmt() + "\n"
}

fn safe(cell: &str) -> String {
    match cell {
        "" => NONE.to_owned(),
        // A backslash is what it is: nobody reads a table back.
        cell => Printable(cell.as_bytes()).to_string().replace("\\\\", "\\"),
    }
}

/// A time for people, and for `--until`: UTC, to the second.
pub fn time(time: Timestamp) -> String {
    time.round(Unit::Second).unwrap_or(time).to_string()
}

/// A time that may be missing.
pub fn time_or(when: Option<Timestamp>, missing: &str) -> String {
    when.map_or_else(|| missing.to_owned(), time)
}

/// Until when something is frozen; nothing when it is not.
pub fn frozen(freeze: Option<&Freeze>) -> String {
    freeze.map(until).unwrap_or_default()
}

/// All of a freeze in one line; nothing when there is none.
pub fn freeze(freeze: Option<&Freeze>, names: &Names) -> String {
    let told = |freeze: &Freeze| {
        let (since, by) = (time(freeze.since), names.get(freeze.by.0));
        format!("since {since} {}, by {by}: {}", until(freeze), freeze.reason)
    };
    freeze.map(told).unwrap_or_default()
}

fn until(freeze: &Freeze) -> String {
    freeze
        .until
        .map_or_else(|| "until it is lifted".to_owned(), |end| format!("until {}", time(end)))
}

/// `a, b, c`.
pub fn joined(words: impl IntoIterator<Item = String>) -> String {
    words.into_iter().collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stand_below_their_heading_whatever_the_script() {
        let rows = [
            vec!["計算科学".to_owned(), "1".to_owned()],
            vec!["a".to_owned(), String::new()],
        ];
        let text = list(&["NAME", "ID"], rows);
        assert_eq!(text, "NAME      ID\n計算科学  1\na         -\n");
    }

    #[test]
    fn nothing_in_a_cell_reaches_the_terminal_as_a_command() {
        let text = fields([("name", "a\u{1b}[2J\nb\\c".to_owned())]);
        assert_eq!(text, "name  a\\x1b[2J\\nb\\c\n");
    }

    #[test]
    fn a_list_of_nothing_is_its_heading() {
        assert_eq!(list(&["NAME", "ID"], []), "NAME  ID\n");
    }

    #[test]
    fn a_freeze_says_until_when_by_whom_and_why() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let by = renkei_types::id::UserId(uuid::Uuid::nil());
        let mut frozen = Freeze {
            reason: "spam".to_owned(),
            by,
            since: at(0),
            until: Some(at(60)),
        };
        let mut names = Names::default();
        names.learn(&serde_json::json!({"id": by, "name": "ada"}));
        let told = freeze(Some(&frozen), &names);
        assert_eq!(
            told,
            "since 1970-01-01T00:00:00Z until 1970-01-01T00:01:00Z, by ada: spam"
        );
        frozen.until = None;
        assert_eq!(super::frozen(Some(&frozen)), "until it is lifted");
        assert_eq!(super::frozen(None), "");
    }
}
