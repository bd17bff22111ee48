//! Who asks, and what, in the dialect: `Authorization: JWT TOKEN`, bodies that are `null`, empty or an object whatever their
//! type is said to be, pages by number. What a body has that nobody knows is let be.

use std::fmt;

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Path, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use renkei_policy::Caller;
use renkei_types::problem::{Problem, ProblemKind};
use serde::de::{self, DeserializeOwned};
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use uuid::Uuid;

use super::answer::{Page, Refusal};
use crate::Hub;
use crate::api::asking::{self, doer};
use crate::app::{Asked, Mode};
use crate::connections::Scheme;
use crate::problem::unauthenticated;

/// The most entries of a page: the client asks for as many where it wants all, and looks at one page only.
const LARGEST_PAGE: usize = 10_000;
/// What a page has when nobody says how many.
const PAGE: usize = 100;

/// A call whose body, if it has one, says nothing.
pub struct Call(pub Asked);

/// A call with a body.
pub struct Said<T> {
    /// Who.
    pub asked: Asked,
    /// What.
    pub body: T,
}

impl FromRequestParts<Hub> for Call {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, hub: &Hub) -> Result<Self, Refusal> {
        let now = hub.app.now();
        let Some(token) = token(&parts.headers) else {
            return Err(unauthenticated("authentication credentials were not provided").into());
        };
        let actor = hub.app.verify_mdx(token, now).await?;
        let doer = doer(&actor, &parts.extensions);
        let caller = Caller::Known(Box::new(actor));
        let asked = Asked {
            caller,
            doer,
            now,
            mode: Mode::Apply,
            seen: None,
            once: None,
        };
        // Whoever is frozen learns so wherever they ask.
        asked.actor()?;
        Ok(Self(asked))
    }
}

impl<T: DeserializeOwned + Send> FromRequest<Hub> for Said<T> {
    type Rejection = Refusal;

    async fn from_request(request: Request, hub: &Hub) -> Result<Self, Refusal> {
        let (mut parts, body) = request.into_parts();
        let Call(asked) = Call::from_request_parts(&mut parts, hub).await?;
        let bytes = asking::bytes(Request::from_parts(parts, body)).await?;
        Ok(Self {
            asked,
            body: read(&bytes)?,
        })
    }
}

/// The token of a call. The word before it is `JWT`; a secret of our own may also come as anywhere else.
pub fn token(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.trim().split_once(' ')?;
    let known = scheme.eq_ignore_ascii_case("jwt") || scheme.eq_ignore_ascii_case("bearer");
    known.then(|| token.trim()).filter(|token| !token.is_empty())
}

/// What a body says. Nothing, `null` and `{}` say the same.
pub fn read<T: DeserializeOwned>(bytes: &Bytes) -> Result<T, Refusal> {
    part(&object(bytes)?)
}

fn object(bytes: &Bytes) -> Result<Value, Refusal> {
    let text = if bytes.trim_ascii().is_empty() {
        b"null"
    } else {
        &bytes[..]
    };
    let value: Value = serde_json::from_slice(text).map_err(|error| {
        let title = format!("JSON parse error - {error}");
        Refusal::from(Problem::new(ProblemKind::Invalid, title).hint("send a JSON object"))
    })?;
    match value {
        Value::Null => Ok(Value::Object(serde_json::Map::new())),
        value @ Value::Object(_) => Ok(value),
        _ => Err(Refusal::field("non_field_errors", "the body is no JSON object")),
    }
}

/// Those fields of a body that `T` knows.
pub fn part<T: DeserializeOwned>(body: &Value) -> Result<T, Refusal> {
    serde_path_to_error::deserialize(body.clone()).map_err(|error| {
        let path = error.path().to_string();
        let (field, title) = wrong(&path, &error.inner().to_string());
        Refusal::field(field, title)
    })
}

/// Which field is at fault, and how. serde names a missing field in its text alone.
fn wrong(path: &str, text: &str) -> (String, String) {
    match text
        .strip_prefix("missing field `")
        .and_then(|rest| rest.split('`').next())
    {
        Some(field) => {
            let within = if path == "." { String::new() } else { format!("{path}.") };
            (format!("{within}{field}"), "This field is required.".to_owned())
        }
        None if path == "." => ("non_field_errors".to_owned(), text.to_owned()),
        None => (path.to_owned(), text.to_owned()),
    }
}

/// The id in the path. What is none is the id of nothing.
pub struct Id(pub Uuid);

impl<S: Send + Sync> FromRequestParts<S> for Id {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        match Path::<Uuid>::from_request_parts(parts, state).await {
            Ok(Path(id)) => Ok(Self(id)),
            Err(_) => Err(Refusal::nothing()),
        }
    }
}

/// Which page is asked for, and how its neighbours are called.
#[derive(Clone, Debug)]
pub struct Paging {
    page: usize,
    size: usize,
    /// Everything before the query.
    base: String,
    /// All other parameters.
    rest: Vec<(String, String)>,
}

/// What stands after `?`, as pairs.
pub struct Query(Vec<(String, String)>);

impl Query {
    /// The value of a parameter that says something.
    pub fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(known, value)| known == name && !value.is_empty());
        found.map(|(_, value)| value.as_str())
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Query {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refusal> {
        let pairs = axum::extract::Query::<Vec<(String, String)>>::try_from_uri(&parts.uri);
        Ok(Self(pairs.map(|pairs| pairs.0).unwrap_or_default()))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Paging {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        let query = Query::from_request_parts(parts, state).await?;
        let page = query.get("page").map_or(Ok(1), str::parse);
        let Some(page) = page.ok().filter(|page| *page > 0) else {
            return Err(Refusal::field("page", "Invalid page."));
        };
        let size = query.get("page_size").and_then(|size| size.parse().ok());
        let size = size.filter(|size| *size > 0).unwrap_or(PAGE).min(LARGEST_PAGE);
        let host = parts.headers.get(header::HOST).and_then(|host| host.to_str().ok());
        let scheme = parts.extensions.get::<Scheme>().map_or("http", |scheme| scheme.0);
        let path = parts.uri.path();
        let base = host.map_or_else(|| path.to_owned(), |host| format!("{scheme}://{host}{path}"));
        let rest = query.0.into_iter().filter(|(name, _)| name != "page");
        Ok(Self {
            page,
            size,
            base,
            rest: rest.collect(),
        })
    }
}

impl Paging {
    /// The page of these.
    pub fn cut<T>(&self, mut all: Vec<T>) -> Result<Page<T>, Refusal> {
        let count = all.len();
        let before = (self.page - 1).saturating_mul(self.size);
        if before >= count && self.page > 1 {
            return Err(Refusal::nothing());
        }
        let mut results = all.split_off(before.min(count));
        results.truncate(self.size);
        let more = before + results.len() < count;
        Ok(Page {
            count,
            next: more.then(|| self.url(self.page + 1)),
            previous: (self.page > 1).then(|| self.url(self.page - 1)),
            results,
        })
    }

    fn url(&self, page: usize) -> String {
        let pairs = self
            .rest
            .iter()
            .map(|(name, value)| format!("&{}={}", escaped(name), escaped(value)));
        format!("{}?page={page}{}", self.base, pairs.collect::<String>())
    }
}

/// For a query (RFC 3986, section 2.3: what need not be escaped).
fn escaped(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let each = text.bytes().map(|byte| match byte {
        byte if plain(byte) => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    });
    each.collect()
}

/// A whole number, which some clients write as text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Number(pub u64);

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = Number;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a whole number")
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Number, E> {
                Ok(Number(number))
            }

            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Number, E> {
                let number = u64::try_from(number);
                number
                    .map(Number)
                    .map_err(|_| E::custom("a number that is not below 0 is needed"))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Number, E> {
                let number = text.trim().parse();
                number
                    .map(Number)
                    .map_err(|_| E::custom(format!("`{text}` is not a whole number")))
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn paging(page: usize, size: usize) -> Paging {
        Paging {
            page,
            size,
            base: "http://hub/api/vm/".to_owned(),
            rest: vec![
                ("page_size".to_owned(), size.to_string()),
                ("q".to_owned(), "a b".to_owned()),
            ],
        }
    }

    #[test]
    fn pages_are_counted_until_there_is_no_next() {
        let first = paging(1, 2).cut(vec![1, 2, 3]).unwrap();
        assert_eq!((first.count, first.results, first.previous), (3, vec![1, 2], None));
        assert_eq!(
            first.next.as_deref(),
            Some("http://hub/api/vm/?page=2&page_size=2&q=a%20b")
        );
        let last = paging(2, 2).cut(vec![1, 2, 3]).unwrap();
        assert_eq!((last.results, last.next), (vec![3], None));
        assert!(paging(3, 2).cut(vec![1, 2, 3]).is_err());
        let none = paging(1, 2).cut(Vec::<u8>::new()).unwrap();
        assert_eq!((none.count, none.next), (0, None));
        assert!(paging(usize::MAX, 10_000).cut(vec![1]).is_err());
    }

    #[derive(Debug, Deserialize)]
    struct Body {
        number: Option<Number>,
    }

    fn body(text: &str) -> Result<Option<u64>, Value> {
        match read::<Body>(&Bytes::copy_from_slice(text.as_bytes())) {
            Ok(body) => Ok(body.number.map(|number| number.0)),
            Err(refusal) => Err(refusal.body()),
        }
    }

    #[test]
    fn nothing_and_null_and_an_empty_object_are_the_same() {
        for text in ["", " \n", "null", "{}", "{\"colour\": \"red\"}", "{\"number\": null}"] {
            assert_eq!(body(text), Ok(None), "{text}");
        }
        assert_eq!(body("{\"number\": 3}"), Ok(Some(3)));
        assert_eq!(body("{\"number\": \"3\"}"), Ok(Some(3)));
    }

    #[test]
    fn what_is_wrong_is_named_with_its_field() {
        assert_eq!(
            body("{\"number\": \"x\"}"),
            Err(json!({"number": ["`x` is not a whole number"]}))
        );
        assert!(body("{\"number\": -1}").unwrap_err()["number"].is_array());
        assert!(
            body("{\"number\"").unwrap_err()["detail"]
                .as_str()
                .unwrap()
                .starts_with("JSON parse error")
        );
        assert!(body("[1]").is_err() && body("\"{}\"").is_err());
    }

    #[test]
    fn a_missing_field_is_named() {
        #[derive(Debug, Deserialize)]
        #[expect(dead_code, reason = "only whether it is there counts")]
        struct Needs {
            token: String,
        }
        let refusal = read::<Needs>(&Bytes::new()).unwrap_err();
        assert_eq!(refusal.body(), json!({"token": ["This field is required."]}));
    }

    #[test]
    fn a_token_follows_its_word() {
        let of = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::AUTHORIZATION, value.parse().unwrap());
            token(&headers).map(ToOwned::to_owned)
        };
        assert_eq!(of("JWT abc").as_deref(), Some("abc"));
        assert_eq!(of("jwt  abc ").as_deref(), Some("abc"));
        for value in ["", "JWT", "JWT ", "Basic abc", "abc"] {
            assert_eq!(of(value), None, "{value}");
        }
    }
}
