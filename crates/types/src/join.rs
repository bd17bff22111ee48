//! How a computer becomes a host of a site: an invitation from the hub, a token that somebody carries over, one request.
//!
//! The token has two halves, `rkj_SECRET.HASH`: the hub knows the secret by its hash, and the host knows the hub by the SHA-256 of
//! its CA's certificate. So neither trusts the other for the network's sake.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::agent::Driver;
use crate::hex;
use crate::host::Capacity;
use crate::id::{HostId, SiteId};
use crate::name::Name;

/// With what each token begins.
pub const PREFIX: &str = "rkj_";
/// Characters of the secret: 32 bytes in base64 for URLs without padding.
const SECRET: usize = 43;

/// A text that is no such token. Never holds the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a token to join is `{PREFIX}`, {SECRET} letters and digits, a point and 64 hexadecimal digits: it was cut or mistyped"
)]
pub struct NotAJoinToken;

/// A one-time token. Shown once, by [`JoinToken::reveal`].
#[derive(Clone, PartialEq, Eq)]
pub struct JoinToken {
    secret: String,
    ca: [u8; 32],
}

impl JoinToken {
    /// Of a secret in base64 for URLs without padding, and the SHA-256 of the DER of the hub's CA.
    ///
    /// # Errors
    ///
    /// When it is not such a secret.
    pub fn new(secret: String, ca: [u8; 32]) -> Result<Self, NotAJoinToken> {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        match secret.len() == SECRET && secret.bytes().all(fits) {
            true => Ok(Self { secret, ca }),
            false => Err(NotAJoinToken),
        }
    }

    /// The first half, in base64 for URLs: the hub keeps a hash of this text.
    pub fn secret(&self) -> &str {
        &self.secret
    }

    /// The second half: the SHA-256 of the DER of the hub's CA.
    pub fn ca(&self) -> &[u8; 32] {
        &self.ca
    }

    /// The whole text.
    pub fn reveal(&self) -> String {
        let mut text = format!("{PREFIX}{}.", self.secret);
        // Writing to a `String` cannot fail.
        let _ = hex::write(&self.ca, &mut text);
        text
    }
}

impl FromStr for JoinToken {
    type Err = NotAJoinToken;

    fn from_str(text: &str) -> Result<Self, NotAJoinToken> {
        let rest = text.trim().strip_prefix(PREFIX).ok_or(NotAJoinToken)?;
        let (secret, ca) = rest.split_once('.').ok_or(NotAJoinToken)?;
        Self::new(secret.to_owned(), hex::read_32(ca).ok_or(NotAJoinToken)?)
    }
}

impl fmt::Debug for JoinToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JoinToken(..)")
    }
}

/// An invitation, with its token, which is shown this once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Invited {
    /// The invitation's id.
    pub id: Uuid,
    /// To which site.
    pub site: SiteId,
    /// What the host has to show, once.
    pub token: String,
    /// Where the hub takes agents.
    #[schema(example = "https://hub.example.org:8471")]
    pub url: String,
    /// What to type on the host.
    #[schema(example = "renkei join https://hub.example.org:8471 rkj_…")]
    pub command: String,
    /// From when on it does not work any more.
    pub expires: Timestamp,
}

/// `POST /join` at the hub's agent listener: asks to become a host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Join {
    /// From the invitation.
    pub token: String,
    /// What the host will be called, once in a site.
    pub name: Name,
    /// Where the site's other hosts reach it.
    pub address: IpAddr,
    /// A certificate signing request (PKCS#10, PEM), signed with the key that the host keeps. Only its key counts.
    pub csr_pem: String,
    /// What the host has.
    pub capacity: Capacity,
    /// What runs its machines, and why it is that one.
    #[serde(default)]
    pub driver: Driver,
}

/// The answer to [`Join`]. The same request with the same key gets it again until the invitation expires: an answer may be lost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Joined {
    /// The host's id; its certificate's common name.
    pub host: HostId,
    /// Its site.
    pub site: SiteId,
    /// The host's certificate, for 30 days (PEM).
    pub certificate_pem: String,
    /// The hub's CA (PEM), the only one that the agent believes.
    pub ca_pem: String,
    /// Where the agent dials: `wss://…/agent/v1`.
    pub url: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_read_back() {
        let token = JoinToken::new("a-_4".repeat(10) + "xyz", [7; 32]).unwrap();
        let text = token.reveal();
        assert!(
            text.starts_with("rkj_a-_4") && text.ends_with(&"07".repeat(32)),
            "{text}"
        );
        assert_eq!(text.parse(), Ok(token));
        assert_eq!(format!("{:?}", text.parse::<JoinToken>()), "Ok(JoinToken(..))");
    }

    #[test]
    fn what_was_cut_is_no_token() {
        let text = JoinToken::new("a".repeat(43), [7; 32]).unwrap().reveal();
        for cut in [&text[1..], &text[..text.len() - 1], &text[..47], "rkj_", "", "rkj_.07"] {
            assert_eq!(cut.parse::<JoinToken>(), Err(NotAJoinToken), "{cut}");
        }
        assert_eq!(JoinToken::new("a+".repeat(21) + "a", [7; 32]), Err(NotAJoinToken));
    }
}
