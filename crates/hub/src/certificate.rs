//! Until when a certificate holds: the one thing of X.509 that has to be known before a client says so. What a certificate is worth
//! rustls decides.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

const INTEGER: u8 = 0x02;
const SEQUENCE: u8 = 0x30;
const VERSION: u8 = 0xa0;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

/// From when and until when a certificate (DER) holds (RFC 5280, 4.1.2.5); nothing if it is not understood.
pub fn validity(certificate: &[u8]) -> Option<(Timestamp, Timestamp)> {
    let (certificate, _) = element(certificate, SEQUENCE)?;
    let (mut rest, _) = element(certificate, SEQUENCE)?;
    if let Some((_, after)) = element(rest, VERSION) {
        rest = after;
    }
    // Serial number, algorithm of the signature, issuer.
    for tag in [INTEGER, SEQUENCE, SEQUENCE] {
        rest = element(rest, tag)?.1;
    }
    let (validity, _) = element(rest, SEQUENCE)?;
    let (from, rest) = time(validity)?;
    let (until, _) = time(rest)?;
    Some((from, until))
}

/// The content of the element of this kind that stands first, and what follows it.
fn element(bytes: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (&found, rest) = bytes.split_first()?;
    let (&first, mut rest) = rest.split_first()?;
    let length = match first {
        0..=0x7f => usize::from(first),
        0x81..=0x84 => {
            let (length, after) = rest.split_at_checked(usize::from(first & 0x7f))?;
            rest = after;
            length.iter().fold(0, |sum, &byte| sum << 8 | usize::from(byte))
        }
        _ => return None,
    };
    rest.split_at_checked(length).filter(|_| found == tag)
}

fn time(bytes: &[u8]) -> Option<(Timestamp, &[u8])> {
    let (text, rest, century) = match element(bytes, GENERALIZED_TIME) {
        Some((text, rest)) => (text, rest, None),
        None => {
            let (text, rest) = element(bytes, UTC_TIME)?;
            // Two digits: 50 to 99 are of the century before.
            let century = if *text.first()? >= b'5' { "19" } else { "20" };
            (text, rest, Some(century))
        }
    };
    let text = format!("{}{}", century.unwrap_or_default(), std::str::from_utf8(text).ok()?);
    let time = DateTime::strptime("%Y%m%d%H%M%SZ", text).ok()?;
    Some((time.to_zoned(TimeZone::UTC).ok()?.timestamp(), rest))
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, date_time_ymd};

    use super::*;

    #[test]
    fn both_kinds_of_times_are_read() {
        // Up to 2049 they have two digits.
        for (until, told) in [(2031, "2031-05-17T00:00:00Z"), (2077, "2077-05-17T00:00:00Z")] {
            let mut params = CertificateParams::new(["hub.example".to_owned()]).unwrap();
            params.not_before = date_time_ymd(1999, 12, 31);
            params.not_after = date_time_ymd(until, 5, 17);
            let certificate = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
            let (from, until) = validity(certificate.der()).unwrap();
            assert_eq!(
                (from.to_string().as_str(), until.to_string().as_str()),
                ("1999-12-31T00:00:00Z", told)
            );
        }
    }

    #[test]
    fn what_is_cut_short_is_not_understood() {
        let params = CertificateParams::new(["hub.example".to_owned()]).unwrap();
        let certificate = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
        let bytes: &[u8] = certificate.der();
        for length in 0..bytes.len() {
            assert_eq!(validity(&bytes[..length]), None);
        }
    }
}
