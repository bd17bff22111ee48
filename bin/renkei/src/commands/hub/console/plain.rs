//! A console's log for a terminal that must not act upon it.

use crate::printer::safe;

/// The text without the sequences by which a terminal is told colours, places and titles (ECMA-48: CSI, OSC and those of two
/// characters), with one end for each line; what else a terminal could act upon is escaped.
pub fn plain(log: &str) -> String {
    let mut plain = String::with_capacity(log.len());
    let mut rest = log.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '\u{1b}' => match rest.next() {
                // Parameters, then one character from `@` to `~`.
                Some('[') => while rest.next().is_some_and(|c| !('@'..='~').contains(&c)) {},
                // A text, to the bell or to ESC and a backslash.
                Some(']') => {
                    while let Some(c) = rest.next() {
                        if c == '\u{7}' || (c == '\u{1b}' && rest.next_if_eq(&'\\').is_some()) {
                            break;
                        }
                    }
                }
                _ => {}
            },
            '\r' => {
                // Only as a part of an end of a line, of which there may be several.
                while rest.next_if_eq(&'\r').is_some() {}
                if rest.peek() != Some(&'\n') {
                    plain.push('\n');
                }
            }
            '\t' => plain.push_str("    "),
            c => plain.push(c),
        }
    }
    if !plain.is_empty() && !plain.ends_with('\n') {
        plain.push('\n');
    }
    safe(&plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_moves_a_terminal_is_gone_and_the_rest_is_there() {
        for (log, told) in [
            ("", ""),
            ("login: ", "login: \n"),
            ("a\r\nb\r\r\nc\rd", "a\nb\nc\nd\n"),
            ("[\u{1b}[0;32m  OK  \u{1b}[0m] up\n", "[  OK  ] up\n"),
            ("\u{1b}]0;title\u{7}x\u{1b}]0;t\u{1b}\\y\n", "xy\n"),
            ("\u{1b}cx\ty\n", "x    y\n"),
            ("bell\u{7} \u{202e}\n", "bell\\u{7} \\u{202e}\n"),
            ("cut \u{1b}[3", "cut \n"),
        ] {
            assert_eq!(plain(log), told, "{log:?}");
        }
    }
}
