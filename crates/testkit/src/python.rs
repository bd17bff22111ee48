//! Programs from PyPI that tests run, in a virtual environment each. `cargo xtask test` installs them.

use std::path::{Path, PathBuf};

/// The version of schemathesis, which makes requests from an OpenAPI document.
pub const SCHEMATHESIS: &str = "4.32.5";

/// Where schemathesis is, under cargo's target directory.
pub fn schemathesis(target: &Path) -> PathBuf {
    target.join(format!("python/schemathesis-{SCHEMATHESIS}/bin/schemathesis"))
}
