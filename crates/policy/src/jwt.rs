//! Signed tokens of the mdx dialect: who signed in, when, and until when it holds.
//!
//! Our own tokens are opaque; only that dialect speaks JWT, because its clients get a new token after each call: signing one
//! writes nothing. Ed25519 alone, by the `jsonwebtoken` crate over aws-lc-rs. What it does not do here is look at a clock:
//! `exp` is held against the `now` of the caller, like everything else in this crate.
//!
//! A session lasts [`SESSION`] however often it is renewed, each of its tokens [`LASTS`] and never longer than the session. A
//! token that was renewed stays valid: several programs may start with the same one.

use std::fmt;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use jiff::{SignedDuration, Timestamp};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use renkei_types::id::UserId;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// How long a token is accepted.
pub const LASTS: SignedDuration = SignedDuration::from_hours(24);
/// How long after signing in tokens are renewed.
pub const SESSION: SignedDuration = SignedDuration::from_hours(30 * 24);
/// A longer text is no token of ours.
const LONGEST: usize = 4096;

/// What a token says. The names are those that clients of the dialect may know from drf-jwt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// Whose it is.
    pub user_id: UserId,
    /// The user's name when it was signed; decides nothing.
    pub username: String,
    /// The user's address when it was signed; decides nothing.
    pub email: String,
    /// From when on it is not accepted, seconds since 1970.
    pub exp: i64,
    /// When the user signed in, seconds since 1970.
    pub orig_iat: i64,
    /// The session, for the audit: the same in all tokens that it was renewed by.
    pub jti: Uuid,
    /// The account's epoch when the user signed in.
    pub epoch: u64,
}

/// Who has just signed in.
#[derive(Clone, Debug)]
pub struct Session {
    /// The user.
    pub user: UserId,
    /// The user's name.
    pub username: String,
    /// Where mail arrives.
    pub email: String,
    /// The account's epoch.
    pub epoch: u64,
}

/// A key that signs.
pub struct SigningKey {
    kid: Uuid,
    pkcs8: Vec<u8>,
    public: Vec<u8>,
}

/// Why a text is not accepted as a token. Never holds the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAJwt {
    /// It has another form, or another algorithm.
    #[error("this is no token of this hub")]
    Form,
    /// Another key signed it, or it was changed.
    #[error("the signature of the token is wrong")]
    Signature,
}

/// Why a key cannot sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoSigning {
    /// No key can be made.
    #[error("no signing key can be made")]
    Make,
    /// What was kept is no key.
    #[error("what was kept as a signing key is none")]
    Unfit,
    /// Nothing can be signed.
    #[error("the token cannot be signed")]
    Sign,
}

/// The session's time is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the session is over since {at}: sign in again")]
pub struct SessionOver {
    /// Since when.
    pub at: Timestamp,
}

impl Claims {
    /// Of the first token of a session.
    pub fn new(session: Session, now: Timestamp) -> Self {
        let orig_iat = now.as_second();
        Self {
            user_id: session.user,
            username: session.username,
            email: session.email,
            exp: expiry(orig_iat, now),
            orig_iat,
            jti: Uuid::now_v7(),
            epoch: session.epoch,
        }
    }

    /// Of the next token of the same session.
    ///
    /// # Errors
    ///
    /// When the session is over.
    pub fn renewed(&self, now: Timestamp) -> Result<Self, SessionOver> {
        let end = session_end(self.orig_iat);
        if end <= now.as_second() {
            let at = Timestamp::from_second(end).unwrap_or(now);
            return Err(SessionOver { at });
        }
        Ok(Self {
            exp: expiry(self.orig_iat, now),
            ..self.clone()
        })
    }

    /// From when on it is not accepted.
    pub fn expires(&self) -> Timestamp {
        Timestamp::from_second(self.exp).unwrap_or(Timestamp::UNIX_EPOCH)
    }
}

fn session_end(orig_iat: i64) -> i64 {
    orig_iat.saturating_add(SESSION.as_secs())
}

fn expiry(orig_iat: i64, now: Timestamp) -> i64 {
    now.as_second()
        .saturating_add(LASTS.as_secs())
        .min(session_end(orig_iat))
}

impl SigningKey {
    /// A new one.
    ///
    /// # Errors
    ///
    /// When the system has no random bytes.
    pub fn generate() -> Result<Self, NoSigning> {
        let pair = Ed25519KeyPair::generate().map_err(|_| NoSigning::Make)?;
        let pkcs8 = pair.to_pkcs8().map_err(|_| NoSigning::Make)?;
        Self::from_pkcs8(Uuid::now_v7(), pkcs8.as_ref().to_vec())
    }

    /// One that was kept.
    ///
    /// # Errors
    ///
    /// When it is none.
    pub fn from_pkcs8(kid: Uuid, pkcs8: Vec<u8>) -> Result<Self, NoSigning> {
        let pair = Ed25519KeyPair::from_pkcs8(&pkcs8).map_err(|_| NoSigning::Unfit)?;
        let public = pair.public_key().as_ref().to_vec();
        Ok(Self { kid, pkcs8, public })
    }

    /// Its id, which stands in each token.
    pub fn kid(&self) -> Uuid {
        self.kid
    }

    /// To be sealed and kept.
    pub fn pkcs8(&self) -> &[u8] {
        &self.pkcs8
    }

    /// What its signatures are checked with.
    pub fn public(&self) -> &[u8] {
        &self.public
    }

    /// A token.
    ///
    /// # Errors
    ///
    /// When the key is no key.
    pub fn sign(&self, claims: &Claims) -> Result<String, NoSigning> {
        let mut header = Header::new(Algorithm::EdDSA);
        header.kid = Some(self.kid.to_string());
        let key = EncodingKey::from_ed_der(&self.pkcs8);
        jsonwebtoken::encode(&header, claims, &key).map_err(|_| NoSigning::Sign)
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey")
            .field("kid", &self.kid)
            .finish_non_exhaustive()
    }
}

/// Which key is said to have signed a text.
///
/// # Errors
///
/// When it is no token.
pub fn kid(text: &str) -> Result<Uuid, NotAJwt> {
    if text.len() > LONGEST {
        return Err(NotAJwt::Form);
    }
    let header = jsonwebtoken::decode_header(text).map_err(|_| NotAJwt::Form)?;
    let kid = header.kid.filter(|_| header.alg == Algorithm::EdDSA);
    kid.and_then(|kid| Uuid::try_parse(&kid).ok()).ok_or(NotAJwt::Form)
}

/// What a token says that the key with this public half has signed. Whether it still holds is asked of
/// [`Actor::verify`](crate::Actor::verify).
///
/// # Errors
///
/// When it has not.
pub fn verify(text: &str, public: &[u8]) -> Result<Claims, NotAJwt> {
    let mut validation = Validation::new(Algorithm::EdDSA);
    // The clock is the caller's.
    validation.validate_exp = false;
    let key = DecodingKey::from_ed_der(public);
    match jsonwebtoken::decode::<Claims>(text, &key, &validation) {
        Ok(data) => Ok(data.claims),
        Err(error) => Err(match error.kind() {
            jsonwebtoken::errors::ErrorKind::InvalidSignature => NotAJwt::Signature,
            _ => NotAJwt::Form,
        }),
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    fn claims() -> Claims {
        let session = Session {
            user: UserId(Uuid::from_u128(7)),
            username: "alice".to_owned(),
            email: "alice@example.org".to_owned(),
            epoch: 3,
        };
        Claims::new(session, at(0))
    }

    #[test]
    fn what_was_signed_is_read_back_with_its_key_and_no_other() {
        let (key, other) = (SigningKey::generate().unwrap(), SigningKey::generate().unwrap());
        let token = key.sign(&claims()).unwrap();
        assert_eq!(kid(&token), Ok(key.kid()));
        assert_eq!(verify(&token, key.public()), Ok(claims_of(&token)));
        assert_eq!(verify(&token, other.public()), Err(NotAJwt::Signature));
        let kept = SigningKey::from_pkcs8(key.kid(), key.pkcs8().to_vec()).unwrap();
        assert_eq!(kept.public(), key.public());
    }

    fn claims_of(token: &str) -> Claims {
        let payload = token.split('.').nth(1).unwrap();
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap()
    }

    #[test]
    fn it_has_three_parts_and_a_whole_number_as_expiry() {
        let token = SigningKey::generate().unwrap().sign(&claims()).unwrap();
        assert_eq!(token.split('.').count(), 3);
        let payload = URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap();
        let payload: serde_json::Value = serde_json::from_slice(&payload).unwrap();
        assert_eq!(payload["exp"].as_i64(), Some(at(24 * 3600).as_second()));
        assert_eq!(payload["orig_iat"].as_i64(), Some(at(0).as_second()));
        assert_eq!(payload["username"], "alice");
    }

    #[test]
    fn what_was_changed_is_not_accepted() {
        let key = SigningKey::generate().unwrap();
        let token = key.sign(&claims()).unwrap();
        let parts: Vec<&str> = token.split('.').collect();
        let mut more = claims();
        more.exp += 1;
        let payload = URL_SAFE_NO_PAD.encode(serde_json::to_vec(&more).unwrap());
        let changed = format!("{}.{payload}.{}", parts[0], parts[2]);
        assert_eq!(verify(&changed, key.public()), Err(NotAJwt::Signature));
        assert!(verify(&format!("{}.{}.", parts[0], parts[1]), key.public()).is_err());
    }

    #[test]
    fn no_other_algorithm_is_accepted() {
        let key = SigningKey::generate().unwrap();
        let payload = URL_SAFE_NO_PAD.encode(serde_json::to_vec(&claims()).unwrap());
        for alg in ["none", "HS256", "ES256"] {
            let header = format!("{{\"alg\":\"{alg}\",\"typ\":\"JWT\",\"kid\":\"{}\"}}", key.kid());
            let text = format!("{}.{payload}.", URL_SAFE_NO_PAD.encode(header));
            assert_eq!(kid(&text), Err(NotAJwt::Form), "{alg}");
            assert!(verify(&text, key.public()).is_err(), "{alg}");
        }
        // The public half is known; as the secret of another algorithm it opens nothing.
        let header = Header::new(Algorithm::HS256);
        let forged = jsonwebtoken::encode(&header, &claims(), &EncodingKey::from_secret(key.public()));
        assert!(forged.is_err() || verify(&forged.unwrap(), key.public()).is_err());
    }

    #[test]
    fn junk_is_no_token() {
        for text in ["", "a.b.c", "renkei_x", "...", &"a".repeat(10_000)] {
            assert_eq!(kid(text), Err(NotAJwt::Form));
        }
    }

    #[test]
    fn a_session_is_renewed_for_thirty_days_and_no_token_outlives_it() {
        let day = 24 * 3600;
        let first = claims();
        let next = first.renewed(at(day - 1)).unwrap();
        assert_eq!(
            (next.exp, next.jti, next.orig_iat),
            (at(2 * day - 1).as_second(), first.jti, first.orig_iat)
        );
        let last = next.renewed(at(30 * day - 1)).unwrap();
        assert_eq!(last.exp, at(30 * day).as_second());
        assert_eq!(last.renewed(at(30 * day)), Err(SessionOver { at: at(30 * day) }));
    }

    #[test]
    fn nothing_shows_the_key() {
        let key = SigningKey::generate().unwrap();
        assert!(!format!("{key:?}").contains("pkcs8"));
    }
}
