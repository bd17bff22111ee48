//! Our own reader of ssh_config, for machines without an ssh.
//!
//! It takes Host, Include, HostName, User, Port, IdentityFile, ProxyJump and the known_hosts keywords, and names every
//! other keyword that it meets in a part that applies. Match is not evaluated: its part is skipped and named.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::Pairs;
use super::tokens::home;
use crate::destination::Destination;
use crate::options::Options;
use crate::pattern;

/// The key files ssh tries where none is named, of the types that this program has.
pub(super) const DEFAULT_IDENTITIES: [&str; 3] = ["~/.ssh/id_rsa", "~/.ssh/id_ecdsa", "~/.ssh/id_ed25519"];

const TAKEN: [&str; 11] = [
    "hostname",
    "user",
    "port",
    "identityfile",
    "proxyjump",
    "userknownhostsfile",
    "globalknownhostsfile",
    "stricthostkeychecking",
    "hashknownhosts",
    "hostkeyalias",
    "checkhostip",
];

/// OpenSSH's own limit on Include within Include.
const MAX_DEPTH: u32 = 16;

/// What was read.
pub(super) struct Read {
    pub pairs: Pairs,
    pub notes: Vec<String>,
}

/// Reads the command line, then the user's file, then the system's; the first value of a keyword counts.
pub(super) fn read(dest: &Destination, options: &Options) -> Result<Read, String> {
    let mut reader = Reader {
        host: &dest.host,
        pairs: command_line(dest, options)?,
        unknown: BTreeSet::new(),
    };
    match &options.config_file {
        Some(file) if file.as_os_str() == "none" => {}
        Some(file) => {
            let text =
                std::fs::read_to_string(file).map_err(|error| format!("cannot read {}: {error}", file.display()))?;
            reader.file(file, &text, 0)?;
        }
        None => {
            for file in [home().join(".ssh/config"), PathBuf::from("/etc/ssh/ssh_config")] {
                if let Ok(text) = std::fs::read_to_string(&file) {
                    reader.file(&file, &text, 0)?;
                }
            }
        }
    }
    let notes = reader
        .unknown
        .iter()
        .map(|(place, keyword)| format!("{place}: {keyword} has no effect without an ssh on this machine"));
    Ok(Read {
        notes: notes.collect(),
        pairs: reader.pairs,
    })
}

fn command_line(dest: &Destination, options: &Options) -> Result<Pairs, String> {
    let mut pairs = Pairs::new();
    let mut push = |key: &str, value: Option<String>| pairs.extend(value.map(|value| (key.to_owned(), value)));
    push("user", dest.user.clone().or_else(|| options.login.clone()));
    push("port", dest.port.or(options.port).map(|port| port.to_string()));
    push("proxyjump", options.jump.clone());
    push("ciphers", options.cipher.clone());
    push("macs", options.mac.clone());
    for file in &options.identities {
        push("identityfile", Some(file.to_string_lossy().into_owned()));
    }
    for option in &options.options {
        let (key, value) = keyword(option).ok_or_else(|| format!("-o `{option}` is not keyword=value"))?;
        push(&key, Some(value));
    }
    Ok(pairs)
}

struct Reader<'a> {
    host: &'a str,
    pairs: Pairs,
    /// Where, and which.
    unknown: BTreeSet<(String, String)>,
}

impl Reader<'_> {
    fn file(&mut self, path: &Path, text: &str, depth: u32) -> Result<(), String> {
        let mut applies = true;
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let place = format!("{}:{}", path.display(), index + 1);
            let (key, value) = keyword(line).ok_or_else(|| format!("{place}: a keyword without a value"))?;
            match key.as_str() {
                "host" => applies = pattern::list_matches(words(&value).iter().map(String::as_str), self.host),
                "match" => {
                    applies = false;
                    self.unknown.insert((place, "Match".into()));
                }
                _ if !applies => {}
                "include" => self.include(path, &value, depth)?,
                taken if TAKEN.contains(&taken) => {
                    let value = match taken {
                        // Lists keep their quotes, to be taken apart later.
                        "userknownhostsfile" | "globalknownhostsfile" => value,
                        _ => words(&value).into_iter().next().unwrap_or_default(),
                    };
                    self.pairs.push((key, value));
                }
                _ => {
                    self.unknown.insert((place, key));
                }
            }
        }
        Ok(())
    }

    fn include(&mut self, from: &Path, value: &str, depth: u32) -> Result<(), String> {
        if depth >= MAX_DEPTH {
            return Err(format!("{}: Include goes deeper than {MAX_DEPTH}", from.display()));
        }
        let base = if from.starts_with("/etc/ssh") {
            PathBuf::from("/etc/ssh")
        } else {
            home().join(".ssh")
        };
        for word in words(value) {
            let wanted = match word.strip_prefix("~/") {
                Some(rest) => home().join(rest),
                None => base.join(word),
            };
            for file in expand(&wanted) {
                if let Ok(text) = std::fs::read_to_string(&file) {
                    self.file(&file, &text, depth + 1)?;
                }
            }
        }
        Ok(())
    }
}

/// The files that a pattern with wildcards in its last part stands for, in order of name.
fn expand(wanted: &Path) -> Vec<PathBuf> {
    let name = wanted.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let Some(folder) = wanted.parent().filter(|_| name.contains(['*', '?'])) else {
        return vec![wanted.to_owned()];
    };
    let Ok(entries) = std::fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut files: Vec<PathBuf> = entries
        .flatten()
        .filter(|entry| {
            entry
                .file_name()
                .to_str()
                .is_some_and(|entry| !entry.starts_with('.') && pattern::matches(name, entry))
        })
        .map(|entry| entry.path())
        .collect();
    files.sort();
    files
}

/// `Keyword value`, `Keyword=value` or `Keyword = value`, the keyword in lower case.
fn keyword(line: &str) -> Option<(String, String)> {
    let line = line.trim();
    let end = line.find(|c: char| c.is_whitespace() || c == '=')?;
    let (key, rest) = line.split_at_checked(end)?;
    let rest = rest.trim_start();
    let value = rest.strip_prefix('=').unwrap_or(rest).trim();
    (!key.is_empty() && !value.is_empty()).then(|| (key.to_ascii_lowercase(), value.to_owned()))
}

/// Words separated by blanks, `"` keeping blanks together.
pub(super) fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quoted = false;
    for c in text.chars() {
        match c {
            '"' => {
                quoted = !quoted;
                word.get_or_insert_default();
            }
            c if c.is_whitespace() && !quoted => words.extend(word.take()),
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

/// A time as sshd_config(5) writes it under TIME FORMATS: `90`, `1m30s`, `2h`; in seconds.
pub(super) fn seconds(text: &str) -> Option<u64> {
    let mut total = 0_u64;
    let mut number: Option<u64> = None;
    for c in text.chars() {
        if let Some(digit) = c.to_digit(10) {
            number = Some(number.unwrap_or(0).checked_mul(10)?.checked_add(digit.into())?);
            continue;
        }
        let unit = match c.to_ascii_lowercase() {
            's' => 1,
            'm' => 60,
            'h' => 3600,
            'd' => 86_400,
            'w' => 604_800,
            _ => return None,
        };
        total = total.checked_add(number.take()?.checked_mul(unit)?)?;
    }
    total.checked_add(number.unwrap_or(0))
}

/// A size as RekeyLimit writes it: a number with K, M or G.
pub(super) fn bytes(text: &str) -> Option<u64> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match text.get(digits.len()..)?.to_ascii_uppercase().as_str() {
        "" => 1,
        "K" => 1 << 10,
        "M" => 1 << 20,
        "G" => 1 << 30,
        _ => return None,
    };
    digits.parse::<u64>().ok()?.checked_mul(unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_text(host: &str, text: &str) -> Read {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("config");
        std::fs::write(&file, text).unwrap();
        let options = Options {
            config_file: Some(file),
            ..Options::default()
        };
        read(&Destination::host(host), &options).unwrap()
    }

    fn first<'a>(read: &'a Read, key: &str) -> Option<&'a str> {
        read.pairs
            .iter()
            .find(|(k, _)| k == key)
            .map(|(_, value)| value.as_str())
    }

    #[test]
    fn the_first_value_of_a_matching_part_counts() {
        let text = "Host a !b\n  User one\nHost *\n  User two\n  Port=2222\n";
        assert_eq!(first(&read_text("a", text), "user"), Some("one"));
        assert_eq!(first(&read_text("b", text), "user"), Some("two"));
        assert_eq!(first(&read_text("a", text), "port"), Some("2222"));
    }

    #[test]
    fn other_keywords_are_named_with_their_place() {
        let read = read_text(
            "a",
            "Host a\n  ForwardAgent yes\nHost b\n  Compression yes\nMatch all\n  User x\n",
        );
        assert_eq!(read.notes.len(), 2, "{:?}", read.notes);
        assert!(read.notes.iter().any(|note| note.contains(":2: forwardagent")));
        assert!(read.notes.iter().any(|note| note.contains(":5: Match")));
        assert_eq!(first(&read, "user"), None);
    }

    #[test]
    fn include_takes_wildcards_in_order_of_name() {
        let folder = tempfile::tempdir().unwrap();
        let part = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        part("20.conf", "User late\nPort 2");
        part("10.conf", "User early");
        part("skipped", "User never");
        let read = read_text("h", &format!("Include \"{}/*.conf\"\n", folder.path().display()));
        assert_eq!(first(&read, "user"), Some("early"));
        assert_eq!(first(&read, "port"), Some("2"));
    }

    #[test]
    fn a_file_that_includes_itself_ends() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("config");
        std::fs::write(&file, format!("Include {}\n", file.display())).unwrap();
        let options = Options {
            config_file: Some(file),
            ..Options::default()
        };
        assert!(read(&Destination::host("h"), &options).is_err());
    }

    #[test]
    fn times_and_sizes_are_read_as_ssh_reads_them() {
        assert_eq!(seconds("1h30m"), Some(5400));
        assert_eq!(seconds("90"), Some(90));
        assert_eq!(seconds("x"), None);
        assert_eq!(bytes("2G"), Some(2 << 30));
        assert_eq!(bytes("default"), None);
        assert_eq!(words(r#"a "b c" d"#), ["a", "b c", "d"]);
    }
}
