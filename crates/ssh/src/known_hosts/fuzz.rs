//! Entry point for fuzzing: takes any bytes and must return, without a panic and in time and memory bounded by their
//! length.

use std::path::Path;

use russh::keys::PublicKey;

use super::{HostKey, KnownHosts, Marker, Name, Verdict, parse};

/// Takes bytes for the content of a known_hosts file.
///
/// # Panics
/// If a line that was read does not say about its own key what its marker says.
pub fn fuzz_known_hosts(data: &[u8]) {
    let mut known = KnownHosts::default();
    known.add(Path::new("known_hosts"), data);
    let asked = Name::new("host.example", 2222);
    let _ = (known.key_types(&asked), known.has_authority(&asked));
    for line in &known.lines {
        let Ok(key) = russh::keys::key::parse_public_key(&line.key) else {
            continue;
        };
        let _ = known.verdict(&asked, HostKey::Plain(&key));
        // Alone, under a name of ours, so that no other line of the file has a say.
        let mut alone = line.clone();
        alone.hosts = parse::Hosts::Patterns(vec!["h".into()]);
        let alone = KnownHosts { lines: vec![alone] };
        let verdict = alone.verdict(&Name::new("h", 22), HostKey::Plain(&key));
        let expected = match line.marker {
            None => Verdict::Known,
            Some(Marker::Revoked) => Verdict::Revoked(line.place.clone()),
            Some(Marker::Authority) => Verdict::Unknown,
        };
        assert!(
            verdict == expected || !is_canonical(&key, &line.key),
            "{verdict:?} for {line:?}"
        );
    }
}

/// Whether a key is written by us as it stood there; one with something behind its end is not.
fn is_canonical(key: &PublicKey, bytes: &[u8]) -> bool {
    use russh::keys::PublicKeyBase64;
    key.public_key_bytes() == bytes
}
