//! `BEGIN EC PRIVATE KEY`: what ssh-keygen wrote for ECDSA keys until OpenSSH 7.8, and `-m PEM` still does.
//!
//! The form is RFC 5915's, which lacks nothing but the wrapping of PKCS #8 that russh can read; it is put around it
//! here. Encrypted ones (`DEK-Info`) are not read.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use russh::keys::PrivateKey;

/// `id-ecPublicKey` (RFC 5480, section 2.1.1) as DER.
const EC_PUBLIC_KEY: [u8; 9] = [0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];

const SEQUENCE: u8 = 0x30;
const OCTET_STRING: u8 = 0x04;
const INTEGER: u8 = 0x02;
/// The curve, `[0]` of ECPrivateKey.
const PARAMETERS: u8 = 0xa0;

/// Reads a key of this form; none for anything else.
pub(super) fn decode(pem: &str) -> Option<PrivateKey> {
    let (_, rest) = pem.split_once("-----BEGIN EC PRIVATE KEY-----")?;
    let (body, _) = rest.split_once("-----END EC PRIVATE KEY-----")?;
    let body: String = body.split_ascii_whitespace().collect();
    let key = STANDARD.decode(body).ok()?;
    let curve = curve(&key)?;
    let algorithm = element(SEQUENCE, &[&EC_PUBLIC_KEY, curve])?;
    let version = element(INTEGER, &[&[0]])?;
    let wrapped = element(SEQUENCE, &[&version, &algorithm, &element(OCTET_STRING, &[&key])?])?;
    russh::keys::pkcs8::decode_pkcs8(&wrapped, None).ok()
}

/// The identifier of the curve, with its own tag and length.
fn curve(key: &[u8]) -> Option<&[u8]> {
    let (SEQUENCE, mut fields, _) = split(key)? else {
        return None;
    };
    while let Some((tag, content, rest)) = split(fields) {
        if tag == PARAMETERS {
            return Some(content);
        }
        fields = rest;
    }
    None
}

/// Tag and content of the first element, and what follows it.
fn split(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = der.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        0x81 => rest.split_first().map(|(length, rest)| (usize::from(*length), rest))?,
        0x82 => rest
            .split_first_chunk()
            .map(|(length, rest)| (usize::from(u16::from_be_bytes(*length)), rest))?,
        _ => return None,
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((tag, content, rest))
}

/// An element with `parts` as its content; none above 64 KiB.
fn element(tag: u8, parts: &[&[u8]]) -> Option<Vec<u8>> {
    let content = parts.concat();
    let [high, low] = u16::try_from(content.len()).ok()?.to_be_bytes();
    let mut der = match (high, low) {
        (0, 0..=0x7f) => vec![tag, low],
        (0, _) => vec![tag, 0x81, low],
        _ => vec![tag, 0x82, high, low],
    };
    der.extend_from_slice(&content);
    Some(der)
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use russh::keys::PublicKeyBase64;

    use super::*;

    #[test]
    fn keys_of_all_three_curves_are_read() {
        let folder = tempfile::tempdir().unwrap();
        for bits in ["256", "384", "521"] {
            let file = folder.path().join(bits);
            let mut generate = Command::new("ssh-keygen");
            generate
                .args(["-q", "-t", "ecdsa", "-m", "PEM", "-N", "", "-b", bits, "-f"])
                .arg(&file);
            assert!(generate.stdout(Stdio::null()).status().unwrap().success());
            let key = decode(&std::fs::read_to_string(&file).unwrap()).unwrap();
            let public = std::fs::read_to_string(file.with_extension("pub")).unwrap();
            assert!(public.contains(&key.public_key().public_key_base64()), "{bits}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_content_makes_the_reader_fail(content in proptest::collection::vec(proptest::num::u8::ANY, 0..200)) {
            let pem = format!("-----BEGIN EC PRIVATE KEY-----\n{}\n-----END EC PRIVATE KEY-----", STANDARD.encode(&content));
            proptest::prop_assert!(decode(&pem).is_none());
            let _ = curve(&content);
        }
    }
}
