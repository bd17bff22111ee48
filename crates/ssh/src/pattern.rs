//! Host patterns, as ssh_config and known_hosts share them: `*` and `?`, and lists in which `!` excludes.

/// Whether `text` matches `pattern`, letters compared without case (`match_pattern` in OpenSSH's match.c, whose callers
/// lower the case of both).
pub(crate) fn matches(pattern: &str, text: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().flat_map(char::to_lowercase).collect();
    let text: Vec<char> = text.chars().flat_map(char::to_lowercase).collect();
    // The place to go back to when what follows the last `*` does not fit: greedy with one level of memory is enough,
    // and linear in practice where recursion would be exponential.
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while let Some(&c) = text.get(t) {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p + 1, t));
                p += 1;
            }
            Some(&w) if w == '?' || w == c => {
                p += 1;
                t += 1;
            }
            _ => match star {
                Some((after, from)) => {
                    star = Some((after, from + 1));
                    p = after;
                    t = from + 1;
                }
                None => return false,
            },
        }
    }
    pattern.get(p..).is_some_and(|rest| rest.iter().all(|&c| c == '*'))
}

/// Whether a list matches: at least one pattern does, and none that starts with `!`.
pub(crate) fn list_matches<'a>(patterns: impl IntoIterator<Item = &'a str>, text: &str) -> bool {
    let mut found = false;
    for pattern in patterns {
        match pattern.strip_prefix('!') {
            Some(excluded) if matches(excluded, text) => return false,
            Some(_) => {}
            None => found |= matches(pattern, text),
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_match_as_ssh_config_says() {
        let cases = [
            ("*", "", true),
            ("*.example.org", "a.b.example.org", true),
            ("*.example.org", "example.org", false),
            ("192.168.?.1", "192.168.0.1", true),
            ("192.168.?.1", "192.168.10.1", false),
            ("HOST", "host", true),
            ("a*b*c", "aXbYbZc", true),
            ("a*b*c", "aXbYbZ", false),
            ("[host]:22", "[host]:22", true),
        ];
        for (pattern, text, expected) in cases {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn an_exclusion_wins_wherever_it_stands() {
        assert!(list_matches(["*.org", "!b.org"], "a.org"));
        assert!(!list_matches(["*.org", "!b.org"], "b.org"));
        assert!(!list_matches(["!b.org", "*.org"], "b.org"));
        assert!(!list_matches(["!b.org"], "a.org"));
    }

    #[test]
    fn many_stars_take_no_exponential_time() {
        assert!(!matches(&format!("{}b", "a*".repeat(200)), &"a".repeat(5_000)));
        assert!(!matches(&format!("{}b", "*a".repeat(200)), &"a".repeat(5_000)));
    }
}
