//! Which algorithms to offer: what russh has, in the user's order where the user chose, else in the order that is
//! fastest on this machine.

use std::borrow::Cow;
use std::fmt;

use russh::keys::{Algorithm, EcdsaCurve, HashAlg};
use russh::{Preferred, cipher, compression, kex, mac};

/// Lists from the configuration; none where the user did not choose.
pub(super) struct Lists<'a> {
    pub ciphers: Option<&'a str>,
    pub macs: Option<&'a str>,
    pub kex: Option<&'a str>,
    pub host_keys: Option<&'a str>,
    pub user_keys: Option<&'a str>,
    pub compress: bool,
}

/// A list of the user's of which russh has nothing.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct NoneInCommon {
    sort: &'static str,
    wanted: String,
    known: String,
}

impl fmt::Display for NoneInCommon {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { sort, wanted, known } = self;
        write!(f, "none of the {sort} asked for ({wanted}) is built in ({known})")
    }
}

/// What to offer. Host keys are put in order per host, by what known_hosts has.
#[derive(Clone, Debug)]
pub(crate) struct Algorithms {
    pub preferred: Preferred,
    /// Names of host-key algorithms with certificates, which are offered only where an authority is known.
    pub host_certificates: Vec<Algorithm>,
    /// PubkeyAcceptedAlgorithms, where the user chose; else every key may be tried.
    pub user_keys: Option<Vec<String>>,
}

const KEX: [kex::Name; 11] = [
    kex::MLKEM768X25519_SHA256,
    kex::CURVE25519,
    kex::CURVE25519_PRE_RFC_8731,
    kex::ECDH_SHA2_NISTP256,
    kex::ECDH_SHA2_NISTP384,
    kex::ECDH_SHA2_NISTP521,
    kex::DH_GEX_SHA256,
    kex::DH_G16_SHA512,
    kex::DH_G18_SHA512,
    kex::DH_G14_SHA256,
    kex::DH_G15_SHA512,
];

/// Only on request: broken or weak, but some old machines have nothing else.
const KEX_ON_REQUEST: [kex::Name; 4] = [kex::DH_G17_SHA512, kex::DH_GEX_SHA1, kex::DH_G14_SHA1, kex::DH_G1_SHA1];

/// Not algorithms but offers of extensions (RFC 8308; strict key exchange against Terrapin), sent with every list.
const KEX_EXTENSIONS: [kex::Name; 2] = [
    kex::EXTENSION_SUPPORT_AS_CLIENT,
    kex::EXTENSION_OPENSSH_STRICT_KEX_AS_CLIENT,
];

const AES: [cipher::Name; 5] = [
    cipher::AES_128_GCM,
    cipher::AES_256_GCM,
    cipher::AES_128_CTR,
    cipher::AES_192_CTR,
    cipher::AES_256_CTR,
];

const CIPHERS_ON_REQUEST: [cipher::Name; 3] = [cipher::AES_128_CBC, cipher::AES_192_CBC, cipher::AES_256_CBC];

const MACS: [mac::Name; 4] = [
    mac::HMAC_SHA256_ETM,
    mac::HMAC_SHA512_ETM,
    mac::HMAC_SHA256,
    mac::HMAC_SHA512,
];

const MACS_ON_REQUEST: [mac::Name; 2] = [mac::HMAC_SHA1_ETM, mac::HMAC_SHA1];

/// Host keys, in OpenSSH's order.
pub(crate) const HOST_KEYS: [Algorithm; 6] = [
    Algorithm::Ed25519,
    Algorithm::Ecdsa {
        curve: EcdsaCurve::NistP256,
    },
    Algorithm::Ecdsa {
        curve: EcdsaCurve::NistP384,
    },
    Algorithm::Ecdsa {
        curve: EcdsaCurve::NistP521,
    },
    Algorithm::Rsa {
        hash: Some(HashAlg::Sha512),
    },
    Algorithm::Rsa {
        hash: Some(HashAlg::Sha256),
    },
];

/// SHA-1 signatures.
const HOST_KEYS_ON_REQUEST: [Algorithm; 1] = [Algorithm::Rsa { hash: None }];

impl Algorithms {
    pub(super) fn choose(lists: &Lists<'_>) -> Result<Self, NoneInCommon> {
        let mut kex = pick("key exchanges", lists.kex, &KEX, &KEX_ON_REQUEST, |name| {
            name.as_ref().to_owned()
        })?;
        kex.extend(KEX_EXTENSIONS);
        let ciphers = pick("ciphers", lists.ciphers, &ciphers(), &CIPHERS_ON_REQUEST, |name| {
            name.as_ref().to_owned()
        })?;
        let macs = pick("MACs", lists.macs, &MACS, &MACS_ON_REQUEST, |name| {
            name.as_ref().to_owned()
        });
        // umac, which OpenSSH puts first, is not built in; a MAC is not used at all with an AEAD cipher.
        let macs = if ciphers.iter().all(needs_no_mac) {
            macs.unwrap_or(MACS.to_vec())
        } else {
            macs?
        };
        let plain = pick(
            "host keys",
            lists.host_keys,
            &HOST_KEYS,
            &HOST_KEYS_ON_REQUEST,
            Algorithm::to_string,
        );
        let certificates = pick("host keys", lists.host_keys, &HOST_KEYS, &[], |key| {
            key.to_certificate_type()
        });
        let (keys, host_certificates) = match (plain, certificates) {
            (Err(none), Err(_)) => return Err(none),
            (keys, certificates) => (keys.unwrap_or_default(), certificates.unwrap_or_default()),
        };
        let no = compression::NONE;
        let compression = if lists.compress {
            vec![compression::ZLIB_LEGACY, compression::ZLIB, no]
        } else {
            vec![no, compression::ZLIB_LEGACY, compression::ZLIB]
        };
        Ok(Self {
            preferred: Preferred {
                kex: Cow::Owned(kex),
                key: Cow::Owned(keys),
                host_key_certificates: Cow::Borrowed(&[]),
                cipher: Cow::Owned(ciphers),
                mac: Cow::Owned(macs),
                compression: Cow::Owned(compression),
            },
            host_certificates,
            user_keys: lists.user_keys.map(|list| list.split(',').map(str::to_owned).collect()),
        })
    }

    /// How many bytes may go under one key: OpenSSH's rule (`ssh_set_newkeys` in packet.c, RFC 4344 section 3.2), 64
    /// GiB for ciphers with blocks of 16 bytes, 1 GiB for others.
    pub(crate) fn bytes_per_key(&self) -> u64 {
        match self.preferred.cipher.first() {
            Some(name) if name.as_ref().starts_with("aes") => 64 << 30,
            _ => 1 << 30,
        }
    }

    /// Whether PubkeyAcceptedAlgorithms lets a signature of this name be offered.
    pub(crate) fn accepts_user_key(&self, name: &str) -> bool {
        self.user_keys
            .as_ref()
            .is_none_or(|list| list.iter().any(|entry| entry == name))
    }
}

fn needs_no_mac(name: &cipher::Name) -> bool {
    name.as_ref().contains("gcm") || name.as_ref().contains("poly1305")
}

/// Ciphers in the order that is fastest here: AES first where the CPU has instructions for it, else ChaCha20.
fn ciphers() -> Vec<cipher::Name> {
    let mut all = AES.to_vec();
    all.insert(if cpu_has_aes() { 2 } else { 0 }, cipher::CHACHA20_POLY1305);
    all
}

fn cpu_has_aes() -> bool {
    #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
    return std::arch::is_x86_feature_detected!("aes");
    #[cfg(target_arch = "aarch64")]
    return std::arch::is_aarch64_feature_detected!("aes");
    #[cfg(not(any(target_arch = "x86", target_arch = "x86_64", target_arch = "aarch64")))]
    return false;
}

/// `defaults`, or of the user's list what is built in.
fn pick<T: Clone>(
    sort: &'static str,
    list: Option<&str>,
    defaults: &[T],
    on_request: &[T],
    name: impl Fn(&T) -> String,
) -> Result<Vec<T>, NoneInCommon> {
    let Some(list) = list else { return Ok(defaults.to_vec()) };
    let built_in = || defaults.iter().chain(on_request);
    let chosen: Vec<T> = list
        .split(',')
        .filter_map(|wanted| built_in().find(|item| name(item) == wanted.trim()).cloned())
        .collect();
    if chosen.is_empty() {
        return Err(NoneInCommon {
            sort,
            wanted: list.to_owned(),
            known: built_in().map(name).collect::<Vec<_>>().join(","),
        });
    }
    Ok(chosen)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOTHING: Lists<'_> = Lists {
        ciphers: None,
        macs: None,
        kex: None,
        host_keys: None,
        user_keys: None,
        compress: false,
    };

    fn names<T: AsRef<str>>(list: &[T]) -> Vec<&str> {
        list.iter().map(AsRef::as_ref).collect()
    }

    #[test]
    fn the_users_order_is_kept_and_what_is_not_built_in_left_out() {
        let lists = Lists {
            ciphers: Some("3des-cbc,aes256-ctr,aes128-gcm@openssh.com"),
            ..NOTHING
        };
        let chosen = Algorithms::choose(&lists).unwrap();
        assert_eq!(
            names(&chosen.preferred.cipher),
            ["aes256-ctr", "aes128-gcm@openssh.com"]
        );
    }

    #[test]
    fn a_list_with_nothing_in_common_is_an_error_that_names_both() {
        let lists = Lists {
            kex: Some("sntrup761x25519-sha512@openssh.com"),
            ..NOTHING
        };
        let error = Algorithms::choose(&lists).unwrap_err().to_string();
        assert!(
            error.contains("sntrup761") && error.contains("curve25519-sha256"),
            "{error}"
        );
    }

    #[test]
    fn umac_alone_is_no_error_where_no_mac_is_used() {
        let lists = Lists {
            macs: Some("umac-64-etm@openssh.com"),
            ciphers: Some("aes128-gcm@openssh.com"),
            ..NOTHING
        };
        assert!(Algorithms::choose(&lists).is_ok());
        let lists = Lists {
            ciphers: Some("aes128-ctr"),
            ..lists
        };
        assert!(Algorithms::choose(&lists).is_err());
    }

    #[test]
    fn strict_key_exchange_is_offered_whatever_the_list() {
        let lists = Lists {
            kex: Some("curve25519-sha256"),
            ..NOTHING
        };
        let chosen = Algorithms::choose(&lists).unwrap();
        assert!(names(&chosen.preferred.kex).contains(&"kex-strict-c-v00@openssh.com"));
    }

    #[test]
    fn a_list_of_certificates_only_offers_no_plain_keys() {
        let lists = Lists {
            host_keys: Some("ssh-ed25519-cert-v01@openssh.com"),
            ..NOTHING
        };
        let chosen = Algorithms::choose(&lists).unwrap();
        assert!(chosen.preferred.key.is_empty());
        assert_eq!(chosen.host_certificates, [Algorithm::Ed25519]);
    }
}
