//! Where a hub is: a scheme, a host and a port. A token is shown to nobody else, and never in clear over a network.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use hyper::http::Uri;

/// `https://host[:port]`, or `http://` to this machine.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct HubUrl(String);

/// A text that is not where a hub can be.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum NotAHub {
    /// Not `scheme://host[:port]`.
    #[error("`{0}` is not the address of a hub\nhint: write https://host or https://host:port")]
    Form(String),
    /// A user or password in it.
    #[error("the address of the hub holds a user or a password\nhint: give the address alone, then `renkei login`")]
    Credentials,
    /// In clear over a network.
    #[error(
        "`{0}` would send passwords and tokens over the network in clear\nhint: use https://; plain http:// is for a hub \
         on this machine (127.0.0.1, [::1], localhost)"
    )]
    Clear(String),
}

impl HubUrl {
    /// `scheme://host[:port]`, without a slash at its end.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the connection is encrypted; else it does not leave this machine.
    pub fn is_encrypted(&self) -> bool {
        self.0.starts_with("https:")
    }
}

impl fmt::Display for HubUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl FromStr for HubUrl {
    type Err = NotAHub;

    fn from_str(text: &str) -> Result<Self, NotAHub> {
        let form = || NotAHub::Form(text.to_owned());
        if text.contains('@') {
            return Err(NotAHub::Credentials);
        }
        // A fragment is cut off by the parser without a word.
        let uri: Uri = text.parse().ok().filter(|_| !text.contains('#')).ok_or_else(form)?;
        let (Some(scheme), Some(host), Some(authority)) = (uri.scheme_str(), uri.host(), uri.authority()) else {
            return Err(form());
        };
        let port_is_one = authority.as_str().len() == host.len() || authority.port_u16().is_some();
        if host.is_empty() || !port_is_one || !matches!(uri.path(), "" | "/") || uri.query().is_some() {
            return Err(form());
        }
        match scheme {
            "https" => {}
            "http" if is_here(host) => {}
            "http" => return Err(NotAHub::Clear(text.to_owned())),
            _ => return Err(form()),
        }
        Ok(Self(format!("{scheme}://{}", authority.as_str().to_ascii_lowercase())))
    }
}

/// Whether packets to it stay on this machine.
fn is_here(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost") || bare.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hub_has_a_scheme_a_host_and_a_port() {
        for (text, url) in [
            ("https://Hub.example.org", "https://hub.example.org"),
            ("https://hub.example.org:8443/", "https://hub.example.org:8443"),
            ("HTTPS://hub.example.org", "https://hub.example.org"),
            ("http://127.0.0.1:80", "http://127.0.0.1:80"),
            ("http://127.1.2.3:80", "http://127.1.2.3:80"),
            ("http://[::1]:7000", "http://[::1]:7000"),
            ("http://localhost:7000", "http://localhost:7000"),
        ] {
            assert_eq!(text.parse::<HubUrl>().unwrap().as_str(), url);
        }
    }

    #[test]
    fn what_is_not_the_address_of_a_hub_is_refused() {
        for text in [
            "",
            "hub.example.org",
            "hub.example.org:443",
            "/path",
            "https://",
            "https://hub:port",
            "https://hub:99999",
            "https://hub/path",
            "https://hub?x=1",
            "https://hub#x",
            "ftp://hub",
            "https://hub\n",
        ] {
            assert_eq!(text.parse::<HubUrl>(), Err(NotAHub::Form(text.to_owned())), "{text}");
        }
    }

    #[test]
    fn nothing_goes_over_a_network_in_clear() {
        for text in [
            "http://hub.example.org",
            "http://10.0.0.1:80",
            "http://[::2]",
            "http://localhost.example.org",
        ] {
            let error = text.parse::<HubUrl>().unwrap_err();
            assert_eq!(error, NotAHub::Clear(text.to_owned()));
            assert!(error.to_string().contains("hint: use https://"));
        }
    }

    #[test]
    fn credentials_in_the_address_are_refused_and_not_repeated() {
        let error = "https://me:hunter2@hub".parse::<HubUrl>().unwrap_err();
        assert!(!error.to_string().contains("hunter2"));
    }
}
