//! Words of nftables' JSON (libnftables-json(5)): fields, comparisons, verdicts.

use renkei_types::network::{Ports, Range};
use serde_json::{Value, json};

/// A field of a packet.
pub(super) fn field(protocol: &str, field: &str) -> Value {
    json!({ "payload": { "protocol": protocol, "field": field } })
}

/// What is known of a packet beside its fields: `iifname`, `nfproto`, `l4proto`.
pub(super) fn meta(key: &str) -> Value {
    json!({ "meta": { "key": key } })
}

/// What is known of the flow of a packet.
pub(super) fn flow(key: &str) -> Value {
    json!({ "ct": { "key": key } })
}

/// What the first packet of the flow had: `ip daddr`.
pub(super) fn at_first(key: &str) -> Value {
    json!({ "ct": { "key": key, "dir": "original" } })
}

/// `left` equals `right`, or is in it.
pub(super) fn is(left: Value, right: Value) -> Value {
    json!({ "match": { "op": "==", "left": left, "right": right } })
}

/// `left` does not equal `right`, or is not in it.
pub(super) fn is_not(left: Value, right: Value) -> Value {
    json!({ "match": { "op": "!=", "left": left, "right": right } })
}

/// One of the bits of `left` is `right`.
pub(super) fn has(left: Value, right: &str) -> Value {
    json!({ "match": { "op": "in", "left": left, "right": right } })
}

/// The addresses of a range.
pub(super) fn within(range: &Range) -> Value {
    json!({ "prefix": { "addr": range.address().to_string(), "len": range.prefix() } })
}

/// One of these.
pub(super) fn one_of(values: impl IntoIterator<Item = Value>) -> Value {
    json!({ "set": values.into_iter().collect::<Vec<_>>() })
}

/// Two fields beside one another.
pub(super) fn pair(one: Value, other: Value) -> Value {
    json!({ "concat": [one, other] })
}

/// The ports; nothing for every port.
pub(super) fn ports(ports: Ports) -> Option<Value> {
    ports.span().map(|(first, last)| match first == last {
        true => json!(first),
        false => json!({ "range": [first, last] }),
    })
}

/// Goes on in another chain and does not come back.
pub(super) fn goto(chain: &str) -> Value {
    json!({ "goto": { "target": chain } })
}

/// Goes on as `cases` say for what `key` is.
pub(super) fn branch(key: Value, cases: impl IntoIterator<Item = (Value, Value)>) -> Value {
    let cases: Vec<Value> = cases
        .into_iter()
        .map(|(case, verdict)| json!([case, verdict]))
        .collect();
    json!({ "vmap": { "key": key, "data": { "set": cases } } })
}

pub(super) fn accept() -> Value {
    json!({ "accept": null })
}

pub(super) fn drop() -> Value {
    json!({ "drop": null })
}

/// A rule.
pub(super) fn rule(expressions: impl IntoIterator<Item = Value>) -> Value {
    Value::Array(expressions.into_iter().collect())
}
