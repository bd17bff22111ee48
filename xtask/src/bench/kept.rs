//! What was measured is kept as a file below `target/`, so that one case can be measured again without the others.

use std::path::Path;

use anyhow::{Context, Result};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// What an earlier run left, or nothing.
pub fn read<T: DeserializeOwned + Default>(path: &Path) -> T {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    serde_json::from_str(&text).unwrap_or_default()
}

/// For the next run.
pub fn write<T: Serialize>(results: &T, path: &Path) -> Result<()> {
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent)?;
    }
    std::fs::write(path, serde_json::to_string(results)?).with_context(|| format!("cannot write {}", path.display()))
}
