//! Whether a line of known_hosts is about a host.

use aws_lc_rs::hmac;

use super::parse::Hosts;
use crate::pattern;

/// The names that a host is looked up by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name {
    /// `host`, or `[host]:port` where the port is not 22, or HostKeyAlias; in lower case.
    exact: String,
    /// The host alone, where `exact` has a port: ssh takes a matching key under it too.
    portless: Option<String>,
}

impl Name {
    /// The name of `host` at `port`.
    #[must_use]
    pub fn new(host: &str, port: u16) -> Self {
        let host = host.to_lowercase();
        if port == 22 {
            Self {
                exact: host,
                portless: None,
            }
        } else {
            Self {
                exact: format!("[{host}]:{port}"),
                portless: Some(host),
            }
        }
    }

    /// HostKeyAlias, which stands for host and port.
    #[must_use]
    pub fn alias(alias: &str) -> Self {
        Self {
            exact: alias.to_lowercase(),
            portless: None,
        }
    }

    /// The name under which a key is remembered.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.exact
    }

    pub(super) fn portless(&self) -> Option<&str> {
        self.portless.as_deref()
    }
}

impl Hosts {
    /// Whether `name`, in lower case, is one of them.
    pub(super) fn contain(&self, name: &str) -> bool {
        match self {
            Self::Patterns(patterns) => pattern::list_matches(patterns.iter().map(String::as_str), name),
            Self::Hashed { salt, code } => {
                let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, salt);
                hmac::verify(&key, name.as_bytes(), code).is_ok()
            }
        }
    }
}

/// The hashed form of `name` under a salt of 20 bytes, as `ssh-keygen -H` writes it.
pub(super) fn hashed(name: &str, salt: &[u8; 20]) -> String {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, salt);
    let code = hmac::sign(&key, name.as_bytes());
    format!("|1|{}|{}", STANDARD.encode(salt), STANDARD.encode(code.as_ref()))
}
