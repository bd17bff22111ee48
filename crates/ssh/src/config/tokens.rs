//! `%h` and its like, `~` and `${NAME}` in values, as ssh_config(5) has them under TOKENS.
//!
//! Only the tokens that occur in what we read; `ssh -G` prints values before they are replaced.

use std::path::PathBuf;

/// What the tokens stand for.
pub(super) struct Tokens<'a> {
    /// `%n`: the host as typed.
    pub alias: &'a str,
    /// `%h`: after HostName.
    pub hostname: &'a str,
    /// `%p`.
    pub port: u16,
    /// `%r`: the remote user.
    pub user: &'a str,
    /// `%u`: the local user.
    pub local_user: &'a str,
    /// `%k`: HostKeyAlias, else the host as typed.
    pub host_key_alias: Option<&'a str>,
}

impl Tokens<'_> {
    /// Replaces `%` tokens; an unknown one is left as it is.
    pub(super) fn replace(&self, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        let mut rest = text.chars();
        while let Some(c) = rest.next() {
            if c != '%' {
                out.push(c);
                continue;
            }
            match rest.next() {
                Some('%') | None => out.push('%'),
                Some('d') => out.push_str(&home().to_string_lossy()),
                Some('h') => out.push_str(self.hostname),
                Some('i') => out.push_str(&rustix::process::getuid().as_raw().to_string()),
                Some('k') => out.push_str(self.host_key_alias.unwrap_or(self.alias)),
                Some('n') => out.push_str(self.alias),
                Some('p') => out.push_str(&self.port.to_string()),
                Some('r') => out.push_str(self.user),
                Some('u') => out.push_str(self.local_user),
                Some(other) => {
                    out.push('%');
                    out.push(other);
                }
            }
        }
        out
    }

    /// A file name: `~/` at the start, `${NAME}` and tokens replaced.
    pub(super) fn path(&self, text: &str) -> PathBuf {
        let text = self.replace(&environment(text));
        match text.strip_prefix("~/") {
            Some(rest) => home().join(rest),
            None => PathBuf::from(text),
        }
    }
}

/// The home directory, `/` where there is none.
pub(super) fn home() -> PathBuf {
    std::env::home_dir().unwrap_or_else(|| PathBuf::from("/"))
}

/// Replaces `${NAME}`; a name that is not set stays, so that the error names it.
fn environment(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        out.push_str(before);
        let Some((name, after)) = after.split_once('}') else {
            out.push_str("${");
            rest = after;
            continue;
        };
        match std::env::var(name) {
            Ok(value) => out.push_str(&value),
            Err(_) => {
                out.push_str("${");
                out.push_str(name);
                out.push('}');
            }
        }
        rest = after;
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKENS: Tokens<'_> = Tokens {
        alias: "alias",
        hostname: "host.example",
        port: 2222,
        user: "me",
        local_user: "local",
        host_key_alias: None,
    };

    #[test]
    fn tokens_stand_for_what_ssh_config_says() {
        let cases = [
            ("nc %h %p", "nc host.example 2222"),
            ("%r@%n 100%%", "me@alias 100%"),
            ("%k %u", "alias local"),
            ("%z %", "%z %"),
        ];
        for (text, expected) in cases {
            assert_eq!(TOKENS.replace(text), expected);
        }
    }

    #[test]
    fn home_and_environment_are_replaced_in_paths() {
        assert_eq!(TOKENS.path("~/key_%h"), home().join("key_host.example"));
        let path = std::env::var("PATH").unwrap();
        assert_eq!(TOKENS.path("${PATH}/x"), PathBuf::from(format!("{path}/x")));
        assert_eq!(
            TOKENS.path("/a/${NOT_SET_ANYWHERE_1}"),
            PathBuf::from("/a/${NOT_SET_ANYWHERE_1}")
        );
    }
}
