//! Whom to connect to, as the user wrote it.
//!
//! Nothing here is resolved: the host may be an alias of `~/.ssh/config`, and a missing user or port is what that file
//! or ssh's defaults say.

use std::fmt;

/// `[user@]host[:port]`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Destination {
    /// The login name, where one was written.
    pub user: Option<String>,
    /// A name, an alias, or an address without brackets.
    pub host: String,
    /// The port, where one was written.
    pub port: Option<u16>,
}

/// Text that is no `[user@]host[:port]`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not [user@]host[:port]: {reason}")]
pub struct DestinationError {
    text: String,
    reason: &'static str,
}

impl Destination {
    /// A destination with nothing but a host.
    #[must_use]
    pub fn host(host: impl Into<String>) -> Self {
        Self {
            user: None,
            host: host.into(),
            port: None,
        }
    }

    /// Whether ssh may be given these as arguments: it refuses what a shell or ssh itself could take for something
    /// else (`valid_hostname` and `valid_ruser` in OpenSSH's ssh.c).
    fn refusal(&self) -> Option<&'static str> {
        let bad_host = |c: char| c.is_whitespace() || c.is_control() || "'`\"$\\;&<>|(){}".contains(c);
        let bad_user = |c: char| c.is_control() || "'`\";&<>|(){}".contains(c);
        let user = self.user.as_deref().unwrap_or("x");
        if self.host.is_empty() {
            Some("the host is empty")
        } else if self.host.starts_with('-') || self.host.contains(bad_host) {
            Some("the host contains characters that no host name has")
        } else if user.is_empty() || user.starts_with('-') || user.contains(bad_user) || user.ends_with('\\') {
            Some("the user contains characters that no login name has")
        } else {
            None
        }
    }

    /// Refuses hosts and users that ssh would refuse as arguments.
    ///
    /// # Errors
    /// Says which part is at fault.
    pub fn check(&self) -> Result<(), DestinationError> {
        self.refusal().map_or(Ok(()), |reason| {
            Err(DestinationError {
                text: self.to_string(),
                reason,
            })
        })
    }
}

impl std::str::FromStr for Destination {
    type Err = DestinationError;

    /// Reads `[user@]host[:port]`, `[user@][v6]:port` and `ssh://` before either, as ProxyJump takes them.
    fn from_str(text: &str) -> Result<Self, DestinationError> {
        let fail = |reason| DestinationError {
            text: text.to_owned(),
            reason,
        };
        let rest = text.strip_prefix("ssh://").unwrap_or(text).trim_end_matches('/');
        let (user, rest) = match rest.rsplit_once('@') {
            Some((user, rest)) => (Some(user.to_owned()), rest),
            None => (None, rest),
        };
        let (host, port) = if let Some(bracketed) = rest.strip_prefix('[') {
            let (host, after) = bracketed.split_once(']').ok_or_else(|| fail("`[` is not closed"))?;
            match after.strip_prefix(':') {
                Some(port) => (host, Some(port)),
                None if after.is_empty() => (host, None),
                None => return Err(fail("something follows `]`")),
            }
        } else {
            match rest.split_once(':') {
                // More than one colon: a bare IPv6 address.
                Some((_, port)) if port.contains(':') => (rest, None),
                Some((host, port)) => (host, Some(port)),
                None => (rest, None),
            }
        };
        let port = match port.map(str::parse) {
            None => None,
            Some(Ok(0)) | Some(Err(_)) => return Err(fail("the port is not a number from 1 to 65535")),
            Some(Ok(port)) => Some(port),
        };
        let destination = Self {
            user,
            host: host.to_owned(),
            port,
        };
        destination
            .refusal()
            .map_or(Ok(destination), |reason| Err(fail(reason)))
    }
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(user) = &self.user {
            write!(f, "{user}@")?;
        }
        match (self.host.contains(':'), self.port) {
            (true, Some(port)) => write!(f, "[{}]:{port}", self.host),
            (false, Some(port)) => write!(f, "{}:{port}", self.host),
            (_, None) => f.write_str(&self.host),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(text: &str) -> (Option<String>, String, Option<u16>) {
        let destination: Destination = text.parse().unwrap();
        (destination.user, destination.host, destination.port)
    }

    #[test]
    fn the_forms_of_proxy_jump_are_read() {
        assert_eq!(parts("host"), (None, "host".into(), None));
        assert_eq!(parts("u@host:2222"), (Some("u".into()), "host".into(), Some(2222)));
        assert_eq!(
            parts("u@[fe80::1%eth0]:22"),
            (Some("u".into()), "fe80::1%eth0".into(), Some(22))
        );
        assert_eq!(parts("::1"), (None, "::1".into(), None));
        assert_eq!(parts("ssh://a@b@host:1/"), (Some("a@b".into()), "host".into(), Some(1)));
    }

    #[test]
    fn what_a_shell_or_ssh_could_take_for_something_else_is_refused() {
        for bad in [
            "",
            "u@",
            "-oProxyCommand=x",
            "h;rm",
            "$(x)",
            "host:0",
            "host:x",
            "-u@host",
            "[::1",
            "a b",
        ] {
            assert!(bad.parse::<Destination>().is_err(), "{bad}");
        }
    }

    #[test]
    fn display_can_be_read_back() {
        for text in ["u@[::1]:2222", "host", "u@host:22"] {
            assert_eq!(text.parse::<Destination>().unwrap().to_string(), text);
        }
    }
}
