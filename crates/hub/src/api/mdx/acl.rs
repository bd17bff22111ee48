//! `/api/acl/…` and `/api/acl_v6/…`: what may enter a segment. Masks come as a number, as text or with dots; they go out with
//! dots for IPv4 and as the number of bits for IPv6, as the portal does.

use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr};

use axum::Json;
use axum::extract::{FromRequestParts, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use renkei_types::acl::{Acl, Allowed, NewAcl};
use renkei_types::id::{AclId, SegmentId};
use renkei_types::network::{Ports, Protocol, Range};
use renkei_types::problem::Problem;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use super::answer::{Page, Refusal, done};
use super::asking::{Call, Id, Paging, Said, part};
use crate::Hub;
use crate::app::Asked;

/// Which of the two lists of rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// `/api/acl/`.
    V4,
    /// `/api/acl_v6/`.
    V6,
}

/// A rule as it is asked for.
#[derive(Debug, Deserialize)]
pub struct Rule {
    /// Which packets.
    protocol: String,
    src_address: String,
    #[serde(default)]
    src_mask: Value,
    #[serde(default)]
    src_port: Value,
    dst_address: String,
    #[serde(default)]
    dst_mask: Value,
    #[serde(default)]
    dst_port: Value,
}

/// A rule as it is shown.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Shown {
    uuid: Uuid,
    protocol: &'static str,
    src_address: String,
    src_mask: String,
    src_port: String,
    dst_address: String,
    dst_mask: String,
    dst_port: String,
}

impl Rule {
    /// What it lets in.
    pub fn allowed(&self, family: Family) -> Result<Allowed, Refusal> {
        let protocol = protocol(&self.protocol)?;
        let source = range(("src_address", &self.src_address), ("src_mask", &self.src_mask), family)?;
        let destination = range(("dst_address", &self.dst_address), ("dst_mask", &self.dst_mask), family)?;
        let source_ports = ports("src_port", &self.src_port)?;
        let destination_ports = ports("dst_port", &self.dst_port)?;
        // ICMP has no ports, and clients send some word or other for them.
        let within = |ports| if protocol == Protocol::Icmp { Ports::ANY } else { ports };
        Ok(Allowed {
            protocol,
            source,
            source_ports: within(source_ports),
            destination,
            destination_ports: within(destination_ports),
        })
    }
}

impl From<Acl> for Shown {
    fn from(acl: Acl) -> Self {
        let Allowed {
            protocol,
            source,
            source_ports,
            destination,
            destination_ports,
        } = acl.allowed;
        Self {
            uuid: acl.id.0,
            protocol: match protocol {
                Protocol::Tcp => "TCP",
                Protocol::Udp => "UDP",
                Protocol::Icmp => "ICMP",
            },
            src_address: source.address().to_string(),
            src_mask: mask(&source),
            src_port: port(source_ports),
            dst_address: destination.address().to_string(),
            dst_mask: mask(&destination),
            dst_port: port(destination_ports),
        }
    }
}

/// The rules of one family of a segment.
pub async fn list(
    State(hub): State<Hub>,
    Call(asked): Call,
    Id(segment): Id,
    family: Family,
    paging: Paging,
) -> Result<Page<Shown>, Refusal> {
    let acls = hub.app.mdx_acls(&asked, SegmentId(segment)).await?;
    paging.cut(
        acls.into_iter()
            .filter(|acl| family.has(acl))
            .map(Shown::from)
            .collect(),
    )
}

/// Lets something in.
pub async fn create(
    State(hub): State<Hub>,
    family: Family,
    Said { asked, body }: Said<Value>,
) -> Result<(StatusCode, Json<Shown>), Refusal> {
    let new = NewAcl {
        allowed: part::<Rule>(&body)?.allowed(family)?,
        note: String::new(),
        expires: None,
    };
    let Within { segment } = part(&body)?;
    let made = done(hub.app.create_acl(&asked, segment, new).await).map_err(renamed)?;
    Ok((StatusCode::CREATED, Json(Shown::from(made.value))))
}

/// Puts another rule in the place of one. What the dialect has no words for stays as it is.
pub async fn replace(
    State(hub): State<Hub>,
    Id(acl): Id,
    family: Family,
    Said { asked, body }: Said<Value>,
) -> Result<Json<Shown>, Refusal> {
    let old = known(&hub, &asked, (acl, family)).await?;
    let new = NewAcl {
        allowed: part::<Rule>(&body)?.allowed(family)?,
        note: old.note,
        expires: old.expires,
    };
    let made = done(hub.app.replace_acl(&asked, old.id, new).await).map_err(renamed)?;
    Ok(Json(Shown::from(made.value)))
}

/// Lets something in no longer.
pub async fn delete(
    State(hub): State<Hub>,
    Id(acl): Id,
    family: Family,
    Call(asked): Call,
) -> Result<StatusCode, Refusal> {
    let old = known(&hub, &asked, (acl, family)).await?;
    done(hub.app.delete_acl(&asked, old.id).await)?;
    Ok(StatusCode::NO_CONTENT)
}

/// A rule of this family.
async fn known(hub: &Hub, asked: &Asked, (id, family): (Uuid, Family)) -> Result<Acl, Refusal> {
    let acl = hub.app.acl(asked, AclId(id)).await?.value;
    if family.has(&acl) {
        Ok(acl)
    } else {
        Err(Refusal::nothing())
    }
}

/// Where a new rule is to be.
#[derive(Debug, Deserialize)]
struct Within {
    segment: SegmentId,
}

fn renamed(problem: Problem) -> Refusal {
    let names = [
        ("source", "src_address"),
        ("source_ports", "src_port"),
        ("destination", "dst_address"),
        ("destination_ports", "dst_port"),
    ];
    Refusal::renamed(problem, &names)
}

impl<S: Send + Sync> FromRequestParts<S> for Family {
    type Rejection = Infallible;

    /// By the path: the two lists differ in nothing else.
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let six = parts.uri.path().starts_with("/api/acl_v6/");
        Ok(if six { Self::V6 } else { Self::V4 })
    }
}

impl Family {
    /// Whether a rule is in this list.
    pub fn has(self, acl: &Acl) -> bool {
        acl.allowed.destination.is_v4() == (self == Self::V4)
    }

    fn word(self) -> &'static str {
        match self {
            Self::V4 => "IPv4",
            Self::V6 => "IPv6",
        }
    }
}

fn protocol(text: &str) -> Result<Protocol, Refusal> {
    match text.trim().to_ascii_lowercase().as_str() {
        "tcp" => Ok(Protocol::Tcp),
        "udp" => Ok(Protocol::Udp),
        "icmp" | "icmpv6" => Ok(Protocol::Icmp),
        _ => Err(Refusal::field(
            "protocol",
            format!("`{text}` is no protocol: use `TCP`, `UDP` or `ICMP`"),
        )),
    }
}

fn range(address: (&str, &str), mask: (&str, &Value), family: Family) -> Result<Range, Refusal> {
    let ((field, text), (mask_field, mask)) = (address, mask);
    let text = text.trim();
    let refused = || {
        let title = format!("`{text}` is no {} address, such as `{}`", family.word(), like(family));
        Refusal::field(field, title)
    };
    if text.eq_ignore_ascii_case("any") {
        return Ok(Range::any(like(family)));
    }
    // Some write the mask behind the address.
    let (alone, behind) = match text.split_once('/') {
        Some((alone, behind)) => (alone, Some(Value::from(behind))),
        None => (text, None),
    };
    let address: IpAddr = alone.parse().map_err(|_| refused())?;
    if address.is_ipv4() != (family == Family::V4) {
        return Err(refused());
    }
    let mask = behind.as_ref().unwrap_or(mask);
    let Some(bits) = bits(mask, family) else {
        let title = format!(
            "`{}` is no mask: use the number of bits, or for IPv4 such as `255.255.255.0`",
            plain(mask)
        );
        return Err(Refusal::field(mask_field, title));
    };
    Range::new(address, bits).ok_or_else(refused)
}

/// An address of the family, for examples and for everything.
fn like(family: Family) -> IpAddr {
    match family {
        Family::V4 => IpAddr::from([10, 15, 0, 4]),
        Family::V6 => IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, 4]),
    }
}

/// The number of bits that a mask says in any of its forms; a single address without one.
fn bits(mask: &Value, family: Family) -> Option<u8> {
    let most = match family {
        Family::V4 => 32,
        Family::V6 => 128,
    };
    let text = match mask {
        Value::Null => return Some(most),
        Value::Number(number) => number.to_string(),
        Value::String(text) => text.trim().trim_start_matches('/').to_owned(),
        _ => return None,
    };
    if let Ok(bits) = text.parse::<u8>() {
        return (bits <= most).then_some(bits);
    }
    let dotted = text
        .parse::<Ipv4Addr>()
        .ok()
        .filter(|_| family == Family::V4)?
        .to_bits();
    let bits = dotted.leading_ones();
    let whole = dotted.checked_shl(bits).unwrap_or(0) == 0;
    u8::try_from(bits).ok().filter(|_| whole)
}

/// With dots for IPv4, the number of bits for IPv6.
fn mask(range: &Range) -> String {
    let prefix = range.prefix();
    if range.is_v4() {
        let bits = u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0);
        return Ipv4Addr::from_bits(bits).to_string();
    }
    prefix.to_string()
}

fn ports(field: &'static str, value: &Value) -> Result<Ports, Refusal> {
    let text = match value {
        Value::Null => return Ok(Ports::ANY),
        Value::String(text) => text.trim().to_owned(),
        other => other.to_string(),
    };
    if text.is_empty() {
        return Ok(Ports::ANY);
    }
    text.parse()
        .map_err(|error: renkei_types::network::NotPorts| Refusal::field(field, error.to_string()))
}

fn port(ports: Ports) -> String {
    match ports.span() {
        None => "Any".to_owned(),
        Some(_) => ports.to_string(),
    }
}

/// Without the quotes of JSON.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use renkei_types::id::{AclId, ProjectId, SegmentId};
    use renkei_types::operation::Generation;
    use serde_json::json;

    use super::*;

    fn rule(change: Value) -> Rule {
        let mut body = json!({"protocol": "TCP", "src_address": "192.0.2.7", "src_mask": "32", "src_port": "Any",
            "dst_address": "10.15.0.4", "dst_mask": "32", "dst_port": "22"});
        for (field, value) in change.as_object().unwrap() {
            body[field] = value.clone();
        }
        serde_json::from_value(body).unwrap()
    }

    fn shown(rule: &Rule, family: Family) -> Shown {
        Shown::from(Acl {
            id: AclId(Uuid::nil()),
            segment: SegmentId(Uuid::nil()),
            project: ProjectId(Uuid::nil()),
            allowed: rule.allowed(family).unwrap(),
            note: String::new(),
            expires: None,
            generation: Generation(1),
            created: Timestamp::UNIX_EPOCH,
        })
    }

    #[test]
    fn masks_are_read_in_any_notation_and_written_in_one() {
        for mask in [
            json!(24),
            json!("24"),
            json!("255.255.255.0"),
            json!("/24"),
            json!(" 24 "),
        ] {
            let rule = rule(json!({"src_address": "192.0.2.0", "src_mask": mask}));
            assert_eq!(shown(&rule, Family::V4).src_mask, "255.255.255.0", "{mask}");
        }
        for (mask, dotted) in [
            (json!(0), "0.0.0.0"),
            (json!("255.255.255.255"), "255.255.255.255"),
            (Value::Null, "255.255.255.255"),
        ] {
            let rule = rule(json!({"src_address": "0.0.0.0", "src_mask": mask}));
            assert_eq!(shown(&rule, Family::V4).src_mask, dotted);
        }
        let six =
            json!({"src_address": "2001:db8::", "src_mask": 64, "dst_address": "2001:db8:1::4", "dst_mask": "128"});
        let six = shown(&rule(six), Family::V6);
        assert_eq!((six.src_mask.as_str(), six.dst_mask.as_str()), ("64", "128"));
    }

    #[test]
    fn what_is_no_mask_is_named() {
        for mask in [
            json!(33),
            json!(-1),
            json!("255.0.255.0"),
            json!("x"),
            json!(""),
            json!([24]),
            json!(1.5),
            json!("0.0.0.255"),
        ] {
            let refusal = rule(json!({"src_mask": mask})).allowed(Family::V4).unwrap_err();
            assert!(refusal.body()["src_mask"].is_array(), "{mask}: {}", refusal.body());
        }
        let six = json!({"src_address": "2001:db8::", "src_mask": "255.255.255.0", "dst_address": "2001:db8::4"});
        assert!(rule(six).allowed(Family::V6).unwrap_err().body()["src_mask"].is_array());
    }

    #[test]
    fn an_address_of_the_other_family_is_refused() {
        let refusal = rule(json!({})).allowed(Family::V6).unwrap_err();
        assert!(refusal.body()["src_address"].is_array());
        let refusal = rule(json!({"dst_address": "lab"})).allowed(Family::V4).unwrap_err();
        assert!(refusal.body()["dst_address"].is_array());
    }

    #[test]
    fn ports_and_protocols_are_read_in_any_case() {
        for (port, written) in [
            (json!("443"), "443"),
            (json!(443), "443"),
            (json!("any"), "Any"),
            (json!("Any"), "Any"),
            (json!("ANY"), "Any"),
            (Value::Null, "Any"),
            (json!(""), "Any"),
            (json!("8000-8080"), "8000-8080"),
        ] {
            assert_eq!(shown(&rule(json!({"dst_port": port})), Family::V4).dst_port, written);
        }
        for (word, written) in [("tcp", "TCP"), ("Udp", "UDP"), ("ICMP", "ICMP"), ("icmpv6", "ICMP")] {
            assert_eq!(shown(&rule(json!({"protocol": word})), Family::V4).protocol, written);
        }
        assert_eq!(
            shown(&rule(json!({"protocol": "ICMP", "dst_port": "22"})), Family::V4).dst_port,
            "Any"
        );
        let refused = rule(json!({"dst_port": "70000"})).allowed(Family::V4).unwrap_err();
        assert!(refused.body()["dst_port"].is_array());
        assert!(rule(json!({"protocol": "GRE"})).allowed(Family::V4).unwrap_err().body()["protocol"].is_array());
    }

    #[test]
    fn a_mask_behind_the_address_and_any_are_understood() {
        let behind = rule(json!({"src_address": "192.0.2.0/24", "src_mask": Value::Null}));
        assert_eq!(shown(&behind, Family::V4).src_mask, "255.255.255.0");
        let any = shown(&rule(json!({"src_address": "Any"})), Family::V4);
        assert_eq!(
            (any.src_address.as_str(), any.src_mask.as_str()),
            ("0.0.0.0", "0.0.0.0")
        );
    }
}
