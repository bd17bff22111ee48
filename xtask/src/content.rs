//! Content of files: making it, and the proof that it arrived.
//!
//! It is pseudo-random, so that no compression helps anyone, and different in each file.

use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;

use anyhow::{Context, Result, bail};

/// Bytes written and read at once.
const BLOCK: usize = 1 << 20;

/// Writes a new file of `size` bytes; another `seed` gives other bytes.
pub fn write(path: &Path, size: u64, seed: u64) -> Result<()> {
    let mut file = File::create(path).with_context(|| format!("cannot make {}", path.display()))?;
    let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let mut left = size;
    let mut block = vec![0; BLOCK.min(usize::try_from(size)?)];
    while left > 0 {
        let now = block.len().min(usize::try_from(left)?);
        random.fill(&mut block[..now]);
        file.write_all(&block[..now])
            .with_context(|| format!("cannot write {}", path.display()))?;
        left -= now as u64;
    }
    Ok(())
}

/// xorshift64: fast, and no zeros in the long run.
struct Random(u64);

impl Random {
    fn fill(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            chunk.copy_from_slice(&self.0.to_le_bytes()[..chunk.len()]);
        }
    }
}

/// Fails unless `copy` holds the names and bytes of `original`.
pub fn compare(original: &Path, copy: &Path) -> Result<()> {
    let kind = std::fs::symlink_metadata(original)?;
    let other = std::fs::symlink_metadata(copy).with_context(|| format!("{} has not arrived", copy.display()))?;
    if kind.is_dir() != other.is_dir() || kind.is_symlink() != other.is_symlink() {
        bail!("{} is of another kind than {}", copy.display(), original.display());
    }
    if kind.is_symlink() {
        if std::fs::read_link(original)? != std::fs::read_link(copy)? {
            bail!("{} points elsewhere than {}", copy.display(), original.display());
        }
        return Ok(());
    }
    if !kind.is_dir() {
        return compare_files(original, copy, kind.len() == other.len());
    }
    let names = std::fs::read_dir(original)?
        .map(|entry| Ok(entry?.file_name()))
        .collect::<Result<Vec<_>>>()?;
    for name in &names {
        compare(&original.join(name), &copy.join(name))?;
    }
    if std::fs::read_dir(copy)?.count() != names.len() {
        bail!("{} has entries that {} has not", copy.display(), original.display());
    }
    Ok(())
}

fn compare_files(original: &Path, copy: &Path, sizes_equal: bool) -> Result<()> {
    let differs = || format!("{} differs from {}", copy.display(), original.display());
    if !sizes_equal {
        bail!(differs());
    }
    let (mut one, mut two) = (File::open(original)?, File::open(copy)?);
    let (mut left, mut right) = (vec![0; BLOCK], vec![0; BLOCK]);
    loop {
        let read = one.read(&mut left)?;
        if read == 0 {
            return Ok(());
        }
        two.read_exact(&mut right[..read]).with_context(differs)?;
        if left[..read] != right[..read] {
            bail!(differs());
        }
    }
}

/// Removes a file or a tree; that it is not there is fine.
pub fn remove(path: &Path) -> Result<()> {
    match std::fs::symlink_metadata(path) {
        Ok(kind) if kind.is_dir() => std::fs::remove_dir_all(path)?,
        Ok(_) => std::fs::remove_file(path)?,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(error.into()),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_that_differs_in_one_byte_or_one_name_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let trees = ["a", "b"].map(|name| folder.path().join(name));
        for tree in &trees {
            std::fs::create_dir(tree).unwrap();
            write(&tree.join("file"), 100, 1).unwrap();
        }
        let [a, b] = &trees;
        compare(a, b).unwrap();
        std::fs::write(b.join("more"), "x").unwrap();
        assert!(compare(a, b).is_err());
        std::fs::remove_file(b.join("more")).unwrap();
        let mut bytes = std::fs::read(b.join("file")).unwrap();
        bytes[99] ^= 1;
        std::fs::write(b.join("file"), bytes).unwrap();
        assert!(compare(a, b).is_err());
    }
}
