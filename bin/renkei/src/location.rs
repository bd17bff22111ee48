//! Reads a source or target as typed: a path here, `[user@]host:path`, `[user@][v6]:path`, or an `sftp://` address.
//!
//! scp's rule decides what is local: a `/` before the first `:` makes it a path, so `./a:b` is a file here. Names are
//! bytes throughout. Whether anything exists is not asked.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;

use renkei_transfer::Location;
use renkei_transfer::ssh::{Destination, DestinationError};
use renkei_types::printable::Printable;

/// Why a text is no location.
#[derive(Debug, thiserror::Error)]
pub enum LocationError {
    /// Nothing stands there.
    #[error("an empty name is not a source or target\nhint: write `.` for this directory")]
    Empty,
    /// The server's name or the user's is not text.
    #[error("the host in `{0}` is not UTF-8")]
    HostNotText(String),
    /// The server's name or the user's cannot be one.
    #[error("`{text}` does not name a host\nhint: a local name with a `:` in it is written `./{text}`")]
    Host {
        /// As typed.
        text: String,
        /// What is wrong with it.
        source: DestinationError,
    },
    /// Another user's home.
    #[error(
        "`{0}`: the home of another user cannot be named by `~`\nhint: write its path, or `./~…` for a name that begins \
         with `~`"
    )]
    OtherHome(String),
    /// An `sftp://` address that is none.
    #[error("`{text}` is not sftp://[user@]host[:port]/path: {reason}")]
    Address {
        /// As typed.
        text: String,
        /// What is wrong with it.
        reason: &'static str,
    },
}

/// Reads one source or target.
pub fn parse(typed: &OsStr) -> Result<Location, LocationError> {
    let bytes = typed.as_bytes();
    if bytes.is_empty() {
        return Err(LocationError::Empty);
    }
    if let Some(address) = bytes.strip_prefix(b"sftp://") {
        return parse_address(bytes, address);
    }
    let Some((login, path)) = split_remote(bytes) else {
        return Ok(Location::Local(bytes.to_vec()));
    };
    let text = || Printable(bytes).to_string();
    let login = std::str::from_utf8(login).map_err(|_| LocationError::HostNotText(text()))?;
    let (user, host) = match login.rsplit_once('@') {
        Some((user, host)) => (Some(user.to_owned()), host),
        None => (None, login),
    };
    let host = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .unwrap_or(host)
        .to_owned();
    let host = Destination { user, host, port: None };
    host.check()
        .map_err(|source| LocationError::Host { text: text(), source })?;
    Ok(Location::Remote {
        host,
        path: under_home(path).ok_or_else(|| LocationError::OtherHome(text()))?,
    })
}

/// Cuts `login:path`; none where it is a local path.
fn split_remote(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    // A bracket opens at the beginning or after the user, and closes before the colon that counts.
    let bracket = match bytes.iter().position(|byte| matches!(byte, b'[' | b'/' | b':'))? {
        0 if bytes[0] == b'[' => true,
        at => bytes[at] == b'[' && bytes[at - 1] == b'@',
    };
    let colon = if bracket {
        bytes.windows(2).position(|pair| pair == b"]:")? + 1
    } else {
        bytes.iter().position(|&byte| byte == b':')?
    };
    let login = &bytes[..colon];
    // A colon that comes first belongs to a name, as in scp.
    (colon > 0 && !login.contains(&b'/')).then(|| (login, &bytes[colon + 1..]))
}

/// Makes `~` and `~/x` relative to the login directory, which is where a relative path starts. None for `~other`.
fn under_home(path: &[u8]) -> Option<Vec<u8>> {
    let rest = match path {
        b"~" => return Some(Vec::new()),
        [b'~', b'/', rest @ ..] => {
            let slashes = rest.iter().take_while(|&&byte| byte == b'/').count();
            &rest[slashes..]
        }
        [b'~', ..] => return None,
        _ => return Some(path.to_vec()),
    };
    // What comes after may itself begin with a tilde, which is then a name.
    let mut relative = if rest.starts_with(b"~") {
        b"./".to_vec()
    } else {
        Vec::new()
    };
    relative.extend_from_slice(rest);
    Some(relative)
}

/// Reads what follows `sftp://`. Its path is absolute, except that `/~/x` is relative to the login directory.
fn parse_address(typed: &[u8], address: &[u8]) -> Result<Location, LocationError> {
    let text = || Printable(typed).to_string();
    let fail = |reason| LocationError::Address { text: text(), reason };
    let (authority, path) = match address.iter().position(|&byte| byte == b'/') {
        Some(slash) => address.split_at(slash),
        None => (address, &b""[..]),
    };
    let authority = std::str::from_utf8(authority).map_err(|_| LocationError::HostNotText(text()))?;
    let (user, host) = match authority.rsplit_once('@') {
        Some((user, _)) if user.contains(':') => {
            return Err(fail("a password on the command line can be read by everyone here"));
        }
        Some((user, host)) => (
            Some(decoded_text(user).ok_or_else(|| fail("the user is not text"))?),
            host,
        ),
        None => (None, authority),
    };
    let (host, port) = if let Some(rest) = host.strip_prefix('[') {
        let (host, after) = rest.split_once(']').ok_or_else(|| fail("`[` is not closed"))?;
        match after.strip_prefix(':') {
            Some(port) => (host, Some(port)),
            None if after.is_empty() => (host, None),
            None => return Err(fail("something follows `]`")),
        }
    } else {
        match host.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (host, None),
        }
    };
    let port = match port.map(str::parse::<u16>) {
        None => None,
        Some(Ok(port)) if port > 0 => Some(port),
        Some(_) => return Err(fail("the port is not a number from 1 to 65535")),
    };
    let host = decoded_text(host).ok_or_else(|| fail("the host is not text"))?;
    let host = Destination { user, host, port };
    host.check()
        .map_err(|source| LocationError::Host { text: text(), source })?;
    let path = decoded(path).ok_or_else(|| fail("a `%` is not followed by two hexadecimal digits, or makes a NUL"))?;
    let path = match path.strip_prefix(b"/") {
        Some(home) if home.starts_with(b"~") => under_home(home).ok_or_else(|| LocationError::OtherHome(text()))?,
        _ => path,
    };
    Ok(Location::Remote { host, path })
}

/// Undoes percent-encoding; none where it is broken or makes a NUL, which no name has.
fn decoded(text: &[u8]) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [first, after @ ..] = rest {
        let byte = if *first == b'%' {
            let [high, low, after @ ..] = after else { return None };
            rest = after;
            u8::try_from(digit(*high)? * 16 + digit(*low)?).ok()?
        } else {
            rest = after;
            *first
        };
        if byte == 0 {
            return None;
        }
        bytes.push(byte);
    }
    Some(bytes)
}

fn decoded_text(text: &str) -> Option<String> {
    String::from_utf8(decoded(text.as_bytes())?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn local(typed: &str) {
        let location = parse(OsStr::new(typed)).unwrap();
        assert_eq!(location, Location::Local(typed.as_bytes().to_vec()), "{typed}");
    }

    #[track_caller]
    fn remote(typed: &str, user: Option<&str>, host: &str, port: Option<u16>, path: &str) {
        let expected = Location::Remote {
            host: Destination {
                user: user.map(str::to_owned),
                host: host.to_owned(),
                port,
            },
            path: path.as_bytes().to_vec(),
        };
        assert_eq!(parse(OsStr::new(typed)).unwrap(), expected, "{typed}");
    }

    fn refused(typed: &str) -> String {
        parse(OsStr::new(typed)).unwrap_err().to_string()
    }

    #[test]
    fn a_slash_before_the_colon_makes_it_local() {
        for typed in [
            "a", "/a", "./a:b", "a/b:c", ":a", "~/a:b", "/[x]:y", "a/@[x]:y", "C", "[x]", "u@[x",
        ] {
            local(typed);
        }
    }

    #[test]
    fn a_host_and_a_path_are_remote() {
        remote("h:p", None, "h", None, "p");
        remote("u@h:/p:q", Some("u"), "h", None, "/p:q");
        remote("u@corp@h:p", Some("u@corp"), "h", None, "p");
        remote("h:", None, "h", None, "");
        remote("h:dir/src*", None, "h", None, "dir/src*");
    }

    #[test]
    fn an_ipv6_address_stands_in_brackets() {
        remote("[::1]:p", None, "::1", None, "p");
        remote("u@[2001:db8::1]:/p", Some("u"), "2001:db8::1", None, "/p");
        remote("[fe80::1%eth0]:", None, "fe80::1%eth0", None, "");
        remote("h:[a]:b", None, "h", None, "[a]:b");
    }

    #[test]
    fn a_tilde_is_the_login_directory() {
        remote("h:~", None, "h", None, "");
        remote("h:~/", None, "h", None, "");
        remote("h:~/x", None, "h", None, "x");
        remote("h:~//x", None, "h", None, "x");
        remote("h:~/~x", None, "h", None, "./~x");
        remote("h:./~x", None, "h", None, "./~x");
        assert!(refused("h:~other").contains("another user"));
    }

    #[test]
    fn an_sftp_address_is_absolute_and_decoded() {
        remote("sftp://h/p", None, "h", None, "/p");
        remote("sftp://u@h:2222/a%20b%25", Some("u"), "h", Some(2222), "/a b%");
        remote("sftp://u%40c@[::1]:22/p", Some("u@c"), "::1", Some(22), "/p");
        remote("sftp://h", None, "h", None, "");
        remote("sftp://h/", None, "h", None, "/");
        remote("sftp://h/~/x", None, "h", None, "x");
        remote("sftp://h/~", None, "h", None, "");
    }

    #[test]
    fn names_need_not_be_text() {
        let typed = OsStr::from_bytes(b"h:\xff\xfe");
        let Location::Remote { path, .. } = parse(typed).unwrap() else {
            panic!("a host was named");
        };
        assert_eq!(path, b"\xff\xfe");
        let typed = OsStr::from_bytes(b"sftp://h/%ff");
        let Location::Remote { path, .. } = parse(typed).unwrap() else {
            panic!("a host was named");
        };
        assert_eq!(path, b"/\xff");
    }

    #[test]
    fn what_names_no_host_is_refused() {
        for typed in [
            "",
            "-oProxyCommand=x:p",
            "u@:p",
            "@h:p",
            "h;x:p",
            "$(x):p",
            "[]:p",
            "sftp://",
            "sftp:///p",
            "sftp://h:0/p",
            "sftp://h:99999/p",
            "sftp://h:x/p",
            "sftp://[::1/p",
            "sftp://h/%0",
            "sftp://h/%zz",
            "sftp://h/%00",
            "sftp://u:pw@h/p",
            "sftp://h/~other",
        ] {
            refused(typed);
        }
        assert!(parse(OsStr::from_bytes(b"\xff:p")).is_err());
    }

    #[test]
    fn a_refused_name_is_shown_without_its_escapes() {
        assert!(!refused("\u{1b}[2J:p").contains('\u{1b}'));
    }
}
