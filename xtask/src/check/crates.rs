//! Crates that may not come in, not even through others. `deny.toml` says the same to cargo-deny.

use super::Fault;
use super::metadata::Metadata;

/// The crate and why.
const BANNED: &[(&str, &str)] = &[
    ("ring", "one crypto provider: aws-lc-rs"),
    ("openssl-sys", "one crypto provider: aws-lc-rs"),
    ("native-tls", "it drags in openssl-sys"),
    ("libssh2-sys", "SSH is russh, in Rust"),
];

/// A fault for each banned crate in the graph.
pub fn check(metadata: &Metadata) -> Vec<Fault> {
    let banned = |name: &str| BANNED.iter().find(|(banned, _)| *banned == name);
    let found = metadata.packages.iter().filter_map(|package| banned(&package.name));
    found
        .map(|(name, why)| {
            let remedy =
                format!("`cargo tree --target all --invert {name}` shows who brings it; turn that feature off");
            Fault::new(*name, format!("is banned: {why}"), remedy)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::metadata::Package;

    fn package(name: &str) -> Package {
        let source = Some("registry".to_owned());
        Package {
            name: name.to_owned(),
            version: "1.0.0".to_owned(),
            license: None,
            source,
            dependencies: Vec::new(),
        }
    }

    #[test]
    fn a_banned_crate_is_named() {
        let metadata = Metadata {
            packages: vec![package("rustix"), package("ring")],
        };
        let faults = check(&metadata);
        assert_eq!(faults.len(), 1);
        assert_eq!(faults[0].place, "ring");
    }

    #[test]
    fn cargo_deny_is_told_the_same() {
        let deny = include_str!("../../../deny.toml");
        for (name, _) in BANNED {
            assert!(
                deny.contains(&format!("crate = \"{name}\"")),
                "{name} is missing in deny.toml"
            );
        }
    }
}
