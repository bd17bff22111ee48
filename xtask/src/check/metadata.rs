//! The part of `cargo metadata` that the rules read.

use std::collections::HashSet;

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::tool;

/// Every package of the dependency graph, on every platform.
#[derive(Deserialize)]
pub struct Metadata {
    /// Ours and others'.
    pub packages: Vec<Package>,
}

/// One package.
#[derive(Deserialize)]
pub struct Package {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Its licence expression, if it gives one.
    pub license: Option<String>,
    /// Where it comes from; none for our own.
    pub source: Option<String>,
    /// What its manifest asks for, used or not.
    pub dependencies: Vec<Dependency>,
}

/// One line of a manifest's dependencies.
#[derive(Deserialize)]
pub struct Dependency {
    /// The package's name, also where it is renamed.
    pub name: String,
    /// None for a normal dependency.
    pub kind: Option<Kind>,
    /// Where it is, for one of our own.
    pub path: Option<String>,
}

/// When a dependency is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// In tests, examples and benchmarks.
    Dev,
    /// In the build script.
    Build,
}

impl Metadata {
    /// The workspace's own packages.
    pub fn own(&self) -> impl Iterator<Item = &Package> {
        self.packages.iter().filter(|package| package.source.is_none())
    }
}

/// Asks cargo.
///
/// `cargo metadata` also lists crates that only a switched-off feature of a dependency would need (ring, through rustls's
/// `ring?/alloc`) and that are built on no platform; `cargo tree` does not, so what it leaves out is left out here.
pub fn read() -> Result<Metadata> {
    let text = tool::output(tool::cargo()?.args(["metadata", "--format-version", "1"]))?;
    let mut metadata: Metadata = serde_json::from_str(&text).context("cannot understand `cargo metadata`")?;
    let everything = ["--workspace", "--target", "all", "--all-features", "--prefix", "none"];
    let tree = tool::output(tool::cargo()?.arg("tree").args(everything).args(["--format", "{p}"]))?;
    metadata.keep(&tree);
    Ok(metadata)
}

impl Metadata {
    /// Keeps the packages of `tree`: lines `NAME vVERSION …`.
    fn keep(&mut self, tree: &str) {
        let built = tree.lines().filter_map(|line| {
            let (name, rest) = line.split_once(" v")?;
            Some((name, rest.split(' ').next()?))
        });
        let built: HashSet<(&str, &str)> = built.collect();
        self.packages
            .retain(|package| built.contains(&(package.name.as_str(), package.version.as_str())));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_never_built_is_left_out() {
        let package = |name: &str| format!(r#"{{"name":"{name}","version":"1.0.0","dependencies":[]}}"#);
        let text = format!(r#"{{"packages":[{},{}]}}"#, package("rustls"), package("ring"));
        let mut metadata: Metadata = serde_json::from_str(&text).unwrap();
        metadata.keep("rustls v1.0.0\nours v0.1.0 (/here)\nring v2.0.0\n");
        let left: Vec<&str> = metadata.packages.iter().map(|package| package.name.as_str()).collect();
        assert_eq!(left, ["rustls"]);
    }
}
