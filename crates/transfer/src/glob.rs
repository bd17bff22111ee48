//! Patterns for names, as shells and rsync read them.
//!
//! `*` and `?` stand for characters other than `/`, `**` also for `/`, `[…]` for one of a set (`[a-z]`, `[!a]`,
//! `[[:digit:]]`), and a backslash takes the next character as it is. Braces mean nothing. Names are bytes: a character is
//! one of UTF-8 where the bytes are that, else a single byte.
//!
//! Pure; who walks directories with it stands elsewhere. Matching takes no more than pattern × name × name steps, so no
//! pattern can make it hang.

use std::ops::RangeInclusive;

/// A pattern that is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// `[` without `]`.
    #[error("a `[` is not closed")]
    Unclosed,
    /// `[:name:]` with a name that is none.
    #[error("it has a character class that is not known")]
    UnknownClass,
}

/// A character of a name: a Unicode one, or above those a byte that belongs to none.
type Symbol = u32;

const SLASH: Symbol = '/' as Symbol;
const STRAY: Symbol = 0x11_0000;

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    Exactly(Symbol),
    AnyOne,
    OneOf(Set),
    Star,
    DoubleStar,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Set {
    negated: bool,
    ranges: Vec<RangeInclusive<Symbol>>,
}

/// A pattern, ready to match.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    tokens: Vec<Token>,
}

/// A name, ready to be matched by several patterns.
#[derive(Clone, Debug)]
pub struct Name(Vec<Symbol>);

impl Name {
    /// From any bytes.
    #[must_use]
    pub fn new(bytes: &[u8]) -> Self {
        Self(symbols(bytes))
    }

    /// Whether the whole name matches.
    #[must_use]
    pub fn matches(&self, pattern: &Pattern) -> bool {
        matches(&pattern.tokens, &self.0)
    }

    /// Whether the name, or what follows one of its slashes, matches.
    #[must_use]
    pub fn tail_matches(&self, pattern: &Pattern) -> bool {
        let slashes = self.0.iter().enumerate().filter(|(_, s)| **s == SLASH);
        let mut starts = std::iter::once(0).chain(slashes.map(|(at, _)| at + 1));
        starts.any(|at| matches(&pattern.tokens, &self.0[at..]))
    }
}

impl Pattern {
    /// Reads a pattern; any bytes.
    ///
    /// # Errors
    /// A set is not closed or not known.
    pub fn new(pattern: &[u8]) -> Result<Self, PatternError> {
        let symbols = symbols(pattern);
        let mut tokens = Vec::new();
        let mut at = 0;
        while let Some(&symbol) = symbols.get(at) {
            at += 1;
            let token = match char::from_u32(symbol) {
                Some('?') => Token::AnyOne,
                Some('*') => {
                    let more = symbols[at..].iter().take_while(|&&s| s == symbol).count();
                    at += more;
                    if more == 0 { Token::Star } else { Token::DoubleStar }
                }
                Some('[') => {
                    let (set, length) = Set::read(&symbols[at..])?;
                    at += length;
                    Token::OneOf(set)
                }
                // The last backslash stands for itself.
                Some('\\') if at < symbols.len() => {
                    at += 1;
                    Token::Exactly(symbols[at - 1])
                }
                _ => Token::Exactly(symbol),
            };
            tokens.push(token);
        }
        Ok(Self { tokens })
    }

    /// Whether the whole of `name` matches.
    #[must_use]
    pub fn is_match(&self, name: &[u8]) -> bool {
        Name::new(name).matches(self)
    }

    /// Whether a shell would match `name`: one that begins with a dot only where the pattern does.
    #[must_use]
    pub fn is_shell_match(&self, name: &[u8]) -> bool {
        let wants_dot = self.tokens.first() == Some(&Token::Exactly('.' as Symbol));
        (wants_dot || !name.starts_with(b".")) && self.is_match(name)
    }
}

/// Whether `text` has a character that means something in a pattern.
#[must_use]
pub fn is_pattern(text: &[u8]) -> bool {
    text.iter().any(|byte| b"*?[\\".contains(byte))
}

/// Whether `text` may match more than one name. If it does not, [`unescape`] gives the name.
#[must_use]
pub fn is_wild(text: &[u8]) -> bool {
    let mut bytes = text.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'*' | b'?' | b'[' => return true,
            b'\\' => drop(bytes.next()),
            _ => {}
        }
    }
    false
}

/// Takes the backslashes out.
#[must_use]
pub fn unescape(text: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(text.len());
    let mut bytes = text.iter();
    while let Some(&byte) = bytes.next() {
        plain.push(match byte {
            b'\\' => bytes.next().copied().unwrap_or(byte),
            _ => byte,
        });
    }
    plain
}

impl Set {
    /// Reads what follows a `[`; with how long it is, the `]` included.
    fn read(symbols: &[Symbol]) -> Result<(Self, usize), PatternError> {
        let symbol = |at: usize| symbols.get(at).copied().ok_or(PatternError::Unclosed);
        let is = |at: usize, c: char| symbols.get(at) == Some(&(c as Symbol));
        let mut set = Self::default();
        let mut at = 0;
        if is(at, '!') || is(at, '^') {
            set.negated = true;
            at += 1;
        }
        let first = at;
        loop {
            if is(at, ']') && at > first {
                return Ok((set, at + 1));
            }
            if is(at, '[') && is(at + 1, ':') {
                at += set.read_class(&symbols[at + 2..])? + 2;
                continue;
            }
            let one = |at: &mut usize| {
                if is(*at, '\\') {
                    *at += 1;
                }
                *at += 1;
                symbol(*at - 1)
            };
            let low = one(&mut at)?;
            let high = if is(at, '-') && !is(at + 1, ']') {
                at += 1;
                one(&mut at)?
            } else {
                low
            };
            set.ranges.push(low..=high);
        }
    }

    /// Reads what follows a `[:`; with how long it is, the `:]` included.
    fn read_class(&mut self, symbols: &[Symbol]) -> Result<usize, PatternError> {
        let end = [':' as Symbol, ']' as Symbol];
        let length = symbols
            .windows(2)
            .position(|pair| pair == end)
            .ok_or(PatternError::Unclosed)?;
        let name: String = symbols[..length]
            .iter()
            .filter_map(|&symbol| char::from_u32(symbol))
            .collect();
        let ranges: &[(char, char)] = match name.as_str() {
            "alnum" => &[('0', '9'), ('A', 'Z'), ('a', 'z')],
            "alpha" => &[('A', 'Z'), ('a', 'z')],
            "blank" => &[('\t', '\t'), (' ', ' ')],
            "cntrl" => &[('\0', '\x1f'), ('\x7f', '\x7f')],
            "digit" => &[('0', '9')],
            "graph" => &[('!', '~')],
            "lower" => &[('a', 'z')],
            "print" => &[(' ', '~')],
            "punct" => &[('!', '/'), (':', '@'), ('[', '`'), ('{', '~')],
            "space" => &[('\t', '\r'), (' ', ' ')],
            "upper" => &[('A', 'Z')],
            "xdigit" => &[('0', '9'), ('A', 'F'), ('a', 'f')],
            _ => return Err(PatternError::UnknownClass),
        };
        let ranges = ranges.iter().map(|&(low, high)| low as Symbol..=high as Symbol);
        self.ranges.extend(ranges);
        Ok(length + end.len())
    }

    fn has(&self, symbol: Symbol) -> bool {
        symbol != SLASH && self.ranges.iter().any(|range| range.contains(&symbol)) != self.negated
    }
}

fn symbols(bytes: &[u8]) -> Vec<Symbol> {
    let mut symbols = Vec::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        symbols.extend(chunk.valid().chars().map(|c| c as Symbol));
        let stray = chunk.invalid().iter();
        symbols.extend(stray.map(|&byte| STRAY + Symbol::from(byte)));
    }
    symbols
}

/// Greedy, with one way back for the last `*` and one for the last `**`: an earlier star never has to be tried again,
/// because the later one can take whatever it gave up.
fn matches(tokens: &[Token], name: &[Symbol]) -> bool {
    let (mut token, mut at) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    let mut double_star: Option<(usize, usize)> = None;
    loop {
        match tokens.get(token) {
            Some(Token::Star) => {
                token += 1;
                star = Some((token, at));
                continue;
            }
            Some(Token::DoubleStar) => {
                token += 1;
                star = None;
                double_star = Some((token, at));
                continue;
            }
            Some(one) if name.get(at).is_some_and(|&symbol| one.takes(symbol)) => {
                token += 1;
                at += 1;
                continue;
            }
            None if at == name.len() => return true,
            _ => {}
        }
        let longer = |way: Option<(usize, usize)>| way.filter(|&(_, from)| from < name.len());
        if let Some((after, from)) = longer(star).filter(|&(_, from)| name[from] != SLASH) {
            star = Some((after, from + 1));
            (token, at) = (after, from + 1);
        } else if let Some((after, from)) = longer(double_star) {
            star = None;
            double_star = Some((after, from + 1));
            (token, at) = (after, from + 1);
        } else {
            return false;
        }
    }
}

impl Token {
    fn takes(&self, symbol: Symbol) -> bool {
        match self {
            Self::Exactly(wanted) => *wanted == symbol,
            Self::AnyOne => symbol != SLASH,
            Self::OneOf(set) => set.has(symbol),
            Self::Star | Self::DoubleStar => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_match(pattern: &[u8], name: &[u8]) -> bool {
        Pattern::new(pattern).unwrap().is_match(name)
    }

    #[test]
    fn stars_stop_at_slashes_and_double_stars_do_not() {
        assert!(is_match(b"a*c", b"abbc"));
        assert!(is_match(b"*.txt", b".txt"));
        assert!(!is_match(b"a*c", b"a/c"));
        assert!(is_match(b"a**c", b"a/b/c"));
        assert!(is_match(b"**", b"a/b"));
        assert!(is_match(b"a*/b*", b"ax/by"));
        assert!(is_match(b"**/x*y", b"a/xb/xcy"));
        assert!(!is_match(b"a*b", b"abc"));
    }

    #[test]
    fn a_character_is_one_of_utf_8_or_one_byte() {
        assert!(is_match(b"?", "é".as_bytes()));
        assert!(is_match(b"?", b"\xff"));
        assert!(is_match(b"?x", b"\xe9x"));
        assert!(is_match(b"\xff*", b"\xff\n\xfe"));
        assert!(is_match("[à-ü]".as_bytes(), "é".as_bytes()));
        assert!(!is_match(b"?", b"/"));
    }

    #[test]
    fn sets_as_in_a_shell() {
        assert!(is_match(b"[a-cx]", b"b"));
        assert!(!is_match(b"[a-c]", b"d"));
        assert!(is_match(b"[!a]", b"b"));
        assert!(!is_match(b"[^a]", b"a"));
        assert!(is_match(b"[]]", b"]"));
        assert!(is_match(b"[a-]", b"-"));
        assert!(is_match(b"[\\]x]", b"]"));
        assert!(is_match(b"v[[:digit:]._]", b"v7"));
        assert!(!is_match(b"a[!b]c", b"a/c"));
    }

    #[test]
    fn braces_mean_nothing_and_backslashes_quote() {
        assert!(is_match(b"{a,b}", b"{a,b}"));
        assert!(is_match(b"\\*", b"*"));
        assert!(!is_match(b"\\*", b"x"));
        assert!(is_match(b"a\\", b"a\\"));
    }

    #[test]
    fn what_is_no_pattern_is_told() {
        assert_eq!(Pattern::new(b"a[b"), Err(PatternError::Unclosed));
        assert_eq!(Pattern::new(b"[[:x"), Err(PatternError::Unclosed));
        assert_eq!(Pattern::new(b"[[:none:]]"), Err(PatternError::UnknownClass));
    }

    #[test]
    fn a_pattern_of_many_stars_comes_to_an_end() {
        let pattern = b"*a".repeat(30);
        assert!(!is_match(&pattern, &b"a".repeat(255)[..29]));
        assert!(!is_match(&[&pattern[..], b"b"].concat(), &b"a".repeat(255)));
    }

    #[test]
    fn a_shell_hides_dot_files() {
        let all = Pattern::new(b"*").unwrap();
        assert!(!all.is_shell_match(b".hidden"));
        assert!(all.is_shell_match(b"shown"));
        assert!(Pattern::new(b".*").unwrap().is_shell_match(b".hidden"));
    }

    #[test]
    fn quoted_text_is_not_wild() {
        assert!(!is_wild(b"a\\*b"));
        assert!(is_wild(b"a\\\\*b"));
        assert_eq!(unescape(b"a\\*\\\\b\\"), b"a*\\b\\");
        assert!(is_pattern(b"a\\b"));
    }

    mod against_a_plain_matcher {
        use super::*;
        use proptest::prelude::*;

        /// The definition, written down; takes exponential time.
        fn slow(tokens: &[Token], name: &[Symbol]) -> bool {
            match tokens.split_first() {
                None => name.is_empty(),
                Some((Token::Star, rest)) => {
                    slow(rest, name)
                        || name
                            .split_first()
                            .is_some_and(|(&first, others)| first != SLASH && slow(tokens, others))
                }
                Some((Token::DoubleStar, rest)) => slow(rest, name) || !name.is_empty() && slow(tokens, &name[1..]),
                Some((one, rest)) => name
                    .split_first()
                    .is_some_and(|(&first, others)| one.takes(first) && slow(rest, others)),
            }
        }

        proptest! {
            #[test]
            fn agrees(pattern in "[ab/*?]{0,9}", name in "[ab/]{0,9}") {
                let pattern = Pattern::new(pattern.as_bytes()).unwrap();
                let symbols = symbols(name.as_bytes());
                prop_assert_eq!(matches(&pattern.tokens, &symbols), slow(&pattern.tokens, &symbols));
            }

            #[test]
            fn any_bytes_are_read_and_a_quoted_name_matches_itself(name in prop::collection::vec(any::<u8>(), 0..40)) {
                let _ = Pattern::new(&name);
                let quoted: Vec<u8> = name.iter().flat_map(|&byte| {
                    if b"*?[\\".contains(&byte) { vec![b'\\', byte] } else { vec![byte] }
                }).collect();
                prop_assert!(Pattern::new(&quoted).unwrap().is_match(&name));
                prop_assert_eq!(unescape(&quoted), name);
            }
        }
    }
}
