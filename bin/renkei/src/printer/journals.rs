//! The list of interrupted copies.

use std::fmt::Write as _;

use renkei_types::printable::{JsonName, Printable, terminal_safe_json};
use serde::Serialize;

use super::Form;

/// An interrupted copy, as it is shown.
#[derive(Debug)]
pub struct Journal {
    /// Its name.
    pub id: String,
    /// Where it was begun.
    pub directory: Vec<u8>,
    /// As it was typed.
    pub command: Vec<Vec<u8>>,
}

#[derive(Serialize)]
struct Record<'a> {
    event: &'static str,
    id: &'a str,
    directory: JsonName<'a>,
    command: Vec<JsonName<'a>>,
}

/// A line each.
pub fn list(form: Form, journals: &[Journal]) -> String {
    let mut text = String::new();
    for journal in journals {
        // Writing to a string cannot fail.
        let _ = match form {
            Form::Silent => Ok(()),
            Form::Text => writeln!(
                text,
                "{}  {}  (in {})",
                Printable(journal.id.as_bytes()),
                command(&journal.command),
                Printable(&journal.directory)
            ),
            Form::Json => writeln!(text, "{}", json(journal)),
        };
    }
    text
}

fn command(words: &[Vec<u8>]) -> String {
    let quoted = words.iter().map(|word| {
        let shown = Printable(word).to_string();
        if shown.is_empty() || shown.contains([' ', '\'', '"']) {
            format!("\"{}\"", shown.replace('"', "\\\""))
        } else {
            shown
        }
    });
    quoted.collect::<Vec<_>>().join(" ")
}

fn json(journal: &Journal) -> String {
    let record = Record {
        event: "journal",
        id: &journal.id,
        directory: journal.directory.as_slice().into(),
        command: journal.command.iter().map(|word| word.as_slice().into()).collect(),
    };
    let json = serde_json::to_string(&record).unwrap_or_default();
    terminal_safe_json(&json).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn journal() -> Journal {
        Journal {
            id: "ab12".to_owned(),
            directory: b"/home/u".to_vec(),
            command: [&b"renkei"[..], b"cp", b"a b", b"h:\x1b"].map(<[u8]>::to_vec).into(),
        }
    }

    #[test]
    fn people_see_the_command_and_where_it_was_begun() {
        assert_eq!(
            list(Form::Text, &[journal()]),
            "ab12  renkei cp \"a b\" h:\\x1b  (in /home/u)\n"
        );
    }

    #[test]
    fn machines_see_an_object_a_line() {
        assert_eq!(
            list(Form::Json, &[journal()]),
            "{\"event\":\"journal\",\"id\":\"ab12\",\"directory\":{\"path\":\"/home/u\"},\"command\":[{\"path\":\"renkei\"},\
             {\"path\":\"cp\"},{\"path\":\"a b\"},{\"path\":\"h:\\u001b\"}]}\n"
        );
    }
}
