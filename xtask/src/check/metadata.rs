//! The part of `cargo metadata` that the rules read.

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
pub fn read() -> Result<Metadata> {
    let text = tool::output(tool::cargo()?.args(["metadata", "--format-version", "1"]))?;
    serde_json::from_str(&text).context("cannot understand `cargo metadata`")
}
