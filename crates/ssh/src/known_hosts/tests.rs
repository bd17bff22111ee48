use russh::keys::ssh_key::certificate::{Builder, CertType};
use russh::keys::{Algorithm, EcdsaCurve, PrivateKey};

use super::*;

fn key(algorithm: Algorithm) -> PrivateKey {
    PrivateKey::random(&mut russh::keys::key::safe_rng(), algorithm).unwrap()
}

fn ed25519() -> PrivateKey {
    key(Algorithm::Ed25519)
}

fn p256() -> PrivateKey {
    key(Algorithm::Ecdsa {
        curve: EcdsaCurve::NistP256,
    })
}

fn text(key: &PrivateKey) -> String {
    format!(
        "{} {}",
        key.public_key().algorithm(),
        key.public_key().public_key_base64()
    )
}

fn known(content: &str) -> KnownHosts {
    let mut known = KnownHosts::default();
    known.add(Path::new("kh"), content.as_bytes());
    known
}

fn place(line: usize) -> Place {
    Place {
        file: "kh".into(),
        line,
    }
}

fn plain(known: &KnownHosts, host: &str, port: u16, key: &PrivateKey) -> Verdict {
    known.verdict(&Name::new(host, port), HostKey::Plain(key.public_key()))
}

#[test]
fn every_form_of_name_is_found() {
    let key = ed25519();
    let hashed = matching::hashed("secret.example", &[7; 20]);
    let content = format!(
        "# comment\n\nplain.example,10.0.0.1 {0} a comment\n*.wild.example,!bad.wild.example {0}\n{hashed} {0}\n[port.example]:2222 {0}\n",
        text(&key)
    );
    let known = known(&content);
    let cases = [
        ("plain.example", 22, Verdict::Known),
        ("PLAIN.example", 22, Verdict::Known),
        ("10.0.0.1", 22, Verdict::Known),
        ("a.wild.example", 22, Verdict::Known),
        ("bad.wild.example", 22, Verdict::Unknown),
        ("secret.example", 22, Verdict::Known),
        ("port.example", 2222, Verdict::Known),
        ("port.example", 22, Verdict::Unknown),
        ("port.example", 2223, Verdict::Unknown),
        ("plain.example", 2222, Verdict::Known),
        ("other.example", 22, Verdict::Unknown),
    ];
    for (host, port, expected) in cases {
        assert_eq!(plain(&known, host, port, &key), expected, "{host}:{port}");
    }
}

#[test]
fn a_different_key_of_the_same_type_is_a_change_and_names_its_line() {
    let (old, new, other) = (ed25519(), ed25519(), p256());
    let known = known(&format!("h {}\nh {}\n", text(&other), text(&old)));
    assert_eq!(plain(&known, "h", 22, &new), Verdict::Changed(place(2)));
    assert_eq!(plain(&known, "h", 22, &other), Verdict::Known);
}

#[test]
fn a_key_of_another_type_is_told_from_a_change() {
    let known = known(&format!("h {}\n", text(&p256())));
    assert_eq!(plain(&known, "h", 22, &ed25519()), Verdict::OtherTypes(place(1)));
    assert_eq!(known.key_types(&Name::new("h", 22)), ["ecdsa-sha2-nistp256"]);
}

#[test]
fn a_differing_key_without_the_port_says_nothing_about_the_port() {
    let known = known(&format!("h {}\n", text(&ed25519())));
    assert_eq!(plain(&known, "h", 2222, &ed25519()), Verdict::Unknown);
}

#[test]
fn a_revoked_key_is_refused_although_another_line_has_it() {
    let key = ed25519();
    let known = known(&format!("h {0}\n@revoked * {0}\n", text(&key)));
    assert_eq!(plain(&known, "h", 22, &key), Verdict::Revoked(place(2)));
}

#[test]
fn a_host_key_alias_stands_for_host_and_port() {
    let key = ed25519();
    let known = known(&format!("cluster {}\n", text(&key)));
    assert_eq!(
        known.verdict(&Name::alias("Cluster"), HostKey::Plain(key.public_key())),
        Verdict::Known
    );
}

#[test]
fn damaged_lines_count_as_absent() {
    let key = ed25519();
    let good = text(&key);
    let base64 = key.public_key().public_key_base64();
    for bad in [
        "h",
        "h ssh-ed25519",
        "h ssh-ed25519 !!!!",
        "|1|AAAA h",
        "|2|AAAA|AAAA ssh-ed25519 AAAA",
        "@unknown h ssh-ed25519 AAAA",
        "@revoked",
        &format!("h ssh-rsa {base64}"),
        "h ssh-ed25519 AAAA",
    ] {
        let known = known(&format!("{bad}\nother {good}\n"));
        assert_eq!(plain(&known, "h", 22, &key), Verdict::Unknown, "{bad}");
        assert_eq!(plain(&known, "other", 22, &key), Verdict::Known, "{bad}");
    }
}

#[test]
fn a_remembered_key_is_known_afterwards_plain_and_hashed() {
    let folder = tempfile::tempdir().unwrap();
    for form in [NameForm::Plain, NameForm::Hashed] {
        let file = folder.path().join(format!("deep/{form:?}"));
        let key = ed25519();
        let name = Name::new("new.example", 2222);
        remember(&file, &name, form, key.public_key()).unwrap();
        let written = std::fs::read_to_string(&file).unwrap();
        assert_eq!(written.contains("new.example"), form == NameForm::Plain, "{written}");
        let known = KnownHosts::read(&[file]);
        assert_eq!(known.verdict(&name, HostKey::Plain(key.public_key())), Verdict::Known);
    }
}

#[test]
fn a_line_is_added_after_one_that_lacks_its_end() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("kh");
    let (first, second) = (ed25519(), ed25519());
    std::fs::write(&file, format!("first {}", text(&first))).unwrap();
    remember(&file, &Name::new("second", 22), NameForm::Plain, second.public_key()).unwrap();
    let known = KnownHosts::read(&[file]);
    assert_eq!(plain(&known, "first", 22, &first), Verdict::Known);
    assert_eq!(plain(&known, "second", 22, &second), Verdict::Known);
}

const NOW: u64 = 1_700_000_000;

fn certify(ca: &PrivateKey, change: impl FnOnce(&mut Builder)) -> Certificate {
    certify_between(ca, NOW - 10, NOW + 10, change)
}

fn certify_between(ca: &PrivateKey, from: u64, to: u64, change: impl FnOnce(&mut Builder)) -> Certificate {
    let host = ed25519();
    let mut builder =
        Builder::new_with_random_nonce(&mut russh::keys::key::safe_rng(), host.public_key(), from, to).unwrap();
    change(&mut builder);
    builder.sign(ca).unwrap()
}

fn for_host(builder: &mut Builder) {
    builder.cert_type(CertType::Host).unwrap();
    builder.valid_principal("h").unwrap();
}

fn certified(known: &KnownHosts, certificate: &Certificate) -> Verdict {
    let key = HostKey::Certified {
        certificate,
        host: "h",
        now: NOW,
    };
    known.verdict(&Name::new("h", 22), key)
}

#[test]
fn a_host_certificate_counts_only_when_every_rule_holds() {
    use CertificateError as E;
    let (ca, stranger) = (ed25519(), ed25519());
    let known = known(&format!(
        "@cert-authority h {}\n@cert-authority elsewhere {}\n",
        text(&ca),
        text(&stranger)
    ));
    assert_eq!(certified(&known, &certify(&ca, for_host)), Verdict::Known);

    let refused = |certificate: &Certificate| match certified(&known, certificate) {
        Verdict::Certificate(error) => error,
        other => panic!("{other:?}"),
    };
    assert_eq!(refused(&certify(&stranger, for_host)), E::UnknownAuthority);
    assert_eq!(refused(&certify_between(&ca, NOW - 10, NOW, for_host)), E::Expired);
    assert_eq!(
        refused(&certify_between(&ca, NOW + 1, NOW + 10, for_host)),
        E::NotYetValid
    );
    let user = certify(&ca, |builder| {
        builder.cert_type(CertType::User).unwrap();
        builder.valid_principal("h").unwrap();
    });
    assert_eq!(refused(&user), E::NotForHosts);
    let other = certify(&ca, |builder| {
        builder.cert_type(CertType::Host).unwrap();
        builder.valid_principal("other").unwrap();
    });
    assert!(matches!(refused(&other), E::Principal { .. }));
    let critical = certify(&ca, |builder| {
        for_host(builder);
        builder.critical_option("verify-required", "").unwrap();
    });
    assert_eq!(refused(&critical), E::CriticalOption("verify-required".into()));
}

#[test]
fn a_certificate_is_refused_when_its_key_or_its_authority_is_revoked() {
    let ca = ed25519();
    let certificate = certify(&ca, for_host);
    let host_key = PublicKey::new(certificate.public_key().clone(), "");
    let host_line = format!("{} {}", host_key.algorithm(), host_key.public_key_base64());
    for revoked in [text(&ca), host_line] {
        let known = known(&format!("@cert-authority h {}\n@revoked * {revoked}\n", text(&ca)));
        assert_eq!(certified(&known, &certificate), Verdict::Revoked(place(2)));
    }
}

proptest::proptest! {
    #[test]
    fn no_content_makes_the_reader_fail(content in proptest::collection::vec(proptest::num::u8::ANY, 0..300)) {
        let key = russh::keys::parse_public_key_base64(
            "AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ",
        ).unwrap();
        let mut known = KnownHosts::default();
        known.add(Path::new("kh"), &content);
        let verdict = known.verdict(&Name::new("h", 22), HostKey::Plain(&key));
        proptest::prop_assert_eq!(verdict, Verdict::Unknown);
    }
}
