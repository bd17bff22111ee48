//! The data that is copied.

use std::path::Path;

use anyhow::{Context, Result};

use super::case::{Data, Tree};
use crate::content::write;

/// Files in a directory.
const PER_DIRECTORY: u64 = 500;

/// How much of a tree is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// All of it.
    Whole,
    /// One file in so many.
    OneIn(u64),
}

/// Makes it at `path`, which does not exist yet.
pub fn make(path: &Path, data: Data, part: Part) -> Result<()> {
    match data {
        Data::File(size) => write(path, size, 1),
        Data::Tree(tree) => make_tree(path, part.of(tree)),
        Data::Mixed(small, large) => {
            std::fs::create_dir(path)?;
            make_tree(&path.join("small"), part.of(small))?;
            make_tree(&path.join("large"), part.of(large))
        }
    }
}

impl Part {
    fn of(self, tree: Tree) -> Tree {
        match self {
            Part::Whole => tree,
            Part::OneIn(n) => Tree {
                files: tree.files.div_ceil(n),
                ..tree
            },
        }
    }
}

impl Data {
    /// One part in `n` of it; a file stays a file.
    pub fn divided(self, n: u64) -> Data {
        match self {
            Data::File(size) => Data::File(size.div_ceil(n)),
            Data::Tree(tree) => Data::Tree(Part::OneIn(n).of(tree)),
            Data::Mixed(small, large) => Data::Mixed(Part::OneIn(n).of(small), Part::OneIn(n).of(large)),
        }
    }

    /// Bytes of content.
    pub fn bytes(self) -> u64 {
        match self {
            Data::File(size) => size,
            Data::Tree(tree) => tree.files * tree.size,
            Data::Mixed(small, large) => small.files * small.size + large.files * large.size,
        }
    }

    /// Files.
    pub fn files(self) -> u64 {
        match self {
            Data::File(_) => 1,
            Data::Tree(tree) => tree.files,
            Data::Mixed(small, large) => small.files + large.files,
        }
    }
}

fn make_tree(path: &Path, tree: Tree) -> Result<()> {
    std::fs::create_dir(path).with_context(|| format!("cannot make {}", path.display()))?;
    for number in 0..tree.files {
        let directory = path.join(format!("d{:04}", number / PER_DIRECTORY));
        if number % PER_DIRECTORY == 0 {
            std::fs::create_dir(&directory)?;
        }
        write(&directory.join(format!("f{number:06}")), tree.size, number + 1)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_a_tree_has_fewer_files_of_the_same_size() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("part");
        make(&path, Data::Tree(Tree { files: 1000, size: 10 }), Part::OneIn(100)).unwrap();
        assert_eq!(std::fs::read_dir(path.join("d0000")).unwrap().count(), 10);
    }
}
