//! No name can act upon a terminal, and none is lost.

use proptest::prelude::*;
use renkei_types::printable::{JsonName, Printable, is_printable, terminal_safe_json, unescape};

fn shown(name: &[u8]) -> String {
    Printable(name).to_string()
}

#[test]
fn plain_names_stand_as_they_are() {
    for name in ["data", "with space", "データ", "naïve", "🙂", "quote\"'", "-rf", "a/b"] {
        assert_eq!(shown(name.as_bytes()), name);
    }
}

#[test]
fn whatever_a_terminal_acts_upon_is_escaped() {
    assert_eq!(shown(b"\x1b[2J"), "\\x1b[2J");
    assert_eq!(shown(b"a\nb\rc\td"), "a\\nb\\rc\\td");
    assert_eq!(shown(b"back\\slash"), "back\\\\slash");
    assert_eq!(shown("csi \u{9b}2J".as_bytes()), "csi \\xc2\\x9b2J");
    assert_eq!(shown("gpj.\u{202e}exe".as_bytes()), "gpj.\\xe2\\x80\\xaeexe");
    assert_eq!(
        shown("\u{200b}\u{feff}\u{e0041}\u{7f}".as_bytes()).replace("\\x", ""),
        "e2808befbbbff3a081817f"
    );
    assert_eq!(shown(b"latin \xe9\xff"), "latin \\xe9\\xff");
    assert_eq!(shown(b"cut \xe3\x81"), "cut \\xe3\\x81");
}

#[test]
fn a_wrong_escape_is_refused() {
    for text in [r"\", r"\q", r"\x", r"\x1", r"\xg0", r"a\"] {
        assert_eq!(unescape(text.as_bytes()), None, "{text}");
    }
    assert_eq!(unescape(br"\xAb\n").as_deref(), Some(&b"\xab\n"[..]));
}

#[test]
fn a_json_name_is_the_name_or_comes_with_its_bytes() {
    let text = JsonName::from("データ\n".as_bytes());
    assert_eq!((&*text.path, text.path_hex), ("データ\n", None));
    let bytes = JsonName::from(&b"a\xff\\"[..]);
    assert_eq!((&*bytes.path, bytes.path_hex.as_deref()), ("a\\xff\\", Some("61ff5c")));
}

#[test]
fn json_for_a_terminal_means_the_same() {
    let json = "{\"path\":\"a\u{9b}b\u{202e}c\u{e0041}データ\"}";
    let safe = terminal_safe_json(json);
    assert_eq!(safe, "{\"path\":\"a\\u009bb\\u202ec\\udb40\\udc41データ\"}");
    assert_eq!(terminal_safe_json("{\"a\":1}"), "{\"a\":1}");
}

/// Bytes that are likely to hold what matters.
fn names() -> impl Strategy<Value = Vec<u8>> {
    let text = any::<String>().prop_map(String::into_bytes);
    let mixed = prop::collection::vec(
        prop_oneof![
            any::<char>().prop_map(|c| c.to_string().into_bytes()),
            any::<u8>().prop_map(|b| vec![b]),
            Just(b"\\".to_vec()),
            Just("\u{2066}".as_bytes().to_vec()),
        ],
        0..20,
    );
    prop_oneof![text, mixed.prop_map(|parts| parts.concat())]
}

proptest! {
    #[test]
    fn any_name_comes_back_from_its_shown_form(name in names()) {
        let shown = shown(&name);
        prop_assert!(shown.chars().all(is_printable), "{shown:?}");
        let back = unescape(shown.as_bytes());
        prop_assert_eq!(back, Some(name));
    }
}
